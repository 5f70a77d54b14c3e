"""One behavior sequence into one vector, round a cell that is searched or given."""

from collections import abc
from dataclasses import dataclass

from torch import Tensor, nn

from longtail_api.store_objects import Features
from longtail_trainer.models.blocks.cell import Cell
from longtail_trainer.models.blocks.embeddings import EmbeddingTables
from longtail_trainer.models.blocks.feature_sum import FeatureSum
from longtail_trainer.models.blocks.layer_sum import attentive_sum, attentive_sum_flops
from longtail_trainer.models.blocks.sequence_summary import (
    event_share,
    sequence_summary,
    summary_flops,
    summary_width,
)
from longtail_trainer.models.columns import SelectedColumns
from longtail_trainer.operations import Sequence
from longtail_trainer.operations.masks import keep

DROPOUT = 0.1


@dataclass
class EncodedEvents:
    """summary: (batch, 4 × width + 1). embedded: (batch, length, width), 0 where the mask is false. layers: the output
    of each layer of the cell, shaped alike."""

    summary: Tensor
    embedded: Tensor
    layers: list[Tensor]


class SequenceEncoder(nn.Module):
    """Events → embedded events → cell → attentive sum of its layers' outputs → summary."""

    def __init__(
        self,
        columns: SelectedColumns,
        features: Features,
        shape: Sequence,
        layers: int,
        cell: nn.Module,
        tables: EmbeddingTables,
    ) -> None:
        super().__init__()
        self.shape = shape
        self.layers = layers
        self.embed = FeatureSum(columns, features, shape.width, tables)
        self.dropout = nn.Dropout(DROPOUT)
        self.cell = cell
        self.attend = nn.Linear(shape.width, 1, bias=False)
        self.width = summary_width(shape.width, attentive=False)

    def forward(self, categorical: abc.Sequence[Tensor], numeric: Tensor, mask: Tensor) -> EncodedEvents:
        """categorical: int64 (batch, length) per column. numeric: (batch, length, 2 × columns). length ≥ 1."""
        embedded = keep(self.embed(categorical, numeric).relu(), mask)
        layers = self.cell(self.dropout(embedded), mask)
        states = attentive_sum(layers, event_share(mask, embedded.dtype), self.attend)
        return EncodedEvents(sequence_summary(states, embedded, mask, self.shape.length), embedded, layers)

    def fixed_flops(self) -> int:
        """Of everything but the cell, for one sample with `shape.length` events."""
        length, width = self.shape.length, self.shape.width
        attentive = attentive_sum_flops(self.layers, length, width)
        return self.embed.flops() * length + attentive + summary_flops(length, width, attentive=False)

    def flops(self) -> int:
        """Of one sample with `shape.length` events."""
        cell: Cell = self.cell  # pyright: ignore[reportAssignmentType]
        return self.fixed_flops() + cell.flops()
