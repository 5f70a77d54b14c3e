"""One behavior sequence into one vector, round a cell that is searched or given."""

from collections import abc

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


class SequenceEncoder(nn.Module):
    """Events → embedded events → cell → attentive sum of its layers' outputs → summary (batch, 4 × width + 1)."""

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

    def forward(self, categorical: abc.Sequence[Tensor], numeric: Tensor, mask: Tensor) -> Tensor:
        """categorical: int64 (batch, length) per column. numeric: (batch, length, 2 × columns). length ≥ 1."""
        embedded, outputs = self._layers(categorical, numeric, mask)
        return self._summary(embedded, outputs, mask)

    def with_layers(
        self, categorical: abc.Sequence[Tensor], numeric: Tensor, mask: Tensor
    ) -> tuple[Tensor, list[Tensor]]:
        """The summary, and the mean over the events of each layer's output, (batch, width)."""
        embedded, outputs = self._layers(categorical, numeric, mask)
        share = event_share(mask, embedded.dtype)
        return self._summary(embedded, outputs, mask), [output.sum(1) * share for output in outputs]

    def _layers(self, categorical: abc.Sequence[Tensor], numeric: Tensor, mask: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Embedded events and the output of each layer of the cell, all (batch, length, width)."""
        embedded = keep(self.embed(categorical, numeric).relu(), mask)
        return embedded, self.cell(self.dropout(embedded), mask)

    def _summary(self, embedded: Tensor, outputs: list[Tensor], mask: Tensor) -> Tensor:
        states = attentive_sum(outputs, event_share(mask, embedded.dtype), self.attend)
        return sequence_summary(states, embedded, mask, self.shape.length)

    def fixed_flops(self) -> int:
        """Of everything but the cell, for one sample with `shape.length` events."""
        length, width = self.shape.length, self.shape.width
        attentive = attentive_sum_flops(self.layers, length, width)
        return self.embed.flops() * length + attentive + summary_flops(length, width, attentive=False)

    def flops(self) -> int:
        """Of one sample with `shape.length` events."""
        cell: Cell = self.cell  # pyright: ignore[reportAssignmentType]
        return self.fixed_flops() + cell.flops()
