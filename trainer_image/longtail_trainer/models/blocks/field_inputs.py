"""Every feature as one field of the same width, for models that let fields interact."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from longtail_api.store_objects import Features
from longtail_trainer.models.blocks.embeddings import EmbeddingTables, spread
from longtail_trainer.models.blocks.feature_sum import FeatureSum
from longtail_trainer.models.blocks.piecewise_linear import PiecewiseLinear
from longtail_trainer.models.blocks.sequence_summary import event_share
from longtail_trainer.models.columns import ColumnInputs, LightColumns
from longtail_trainer.operations import Fields
from longtail_trainer.operations.masks import keep


class FieldInputs(nn.Module):
    """The columns that a model reads → (batch, fields, width).

    In this order: the embedding of each categorical column; of each number its value, null indicator and bins, mapped
    linearly to the width; and each behavior sequence as a whole, the mean of its embedded events (zeros where there is
    none).
    """

    def __init__(self, columns: LightColumns, features: Features, width: int) -> None:
        super().__init__()
        self.width = width
        static = columns.static
        self.tables = EmbeddingTables(features, columns.categorical, width)
        self.embeddings = nn.ModuleList(self.tables.lookup(column, width) for column in static.categorical)
        self.bins = nn.ModuleList(PiecewiseLinear.of(features, [column]) for column in static.numeric)
        self.numbers = nn.ModuleList(nn.Linear(one.width, width) for one in self._bins())
        self.events = nn.ModuleList(
            FeatureSum(each, features, width, self.tables) for each in columns.sequences.values()
        )
        longest = {sequence.name: sequence.max_length for sequence in features.data_schema.behaviors}
        self.lengths = [longest[name] for name in columns.sequences]
        self.shape = Fields(len(self.embeddings) + len(self.numbers) + len(self.events), width)
        spread(self.embeddings)

    def forward(self, static: ColumnInputs, sequences: Sequence[ColumnInputs]) -> Tensor:
        """The inputs of `ServedModel.predict`; there is at least one column."""
        fields = [lookup(indices) for lookup, indices in zip(self.embeddings, static.categorical, strict=True)]
        count = len(self.numbers)
        for position, (bins, number) in enumerate(zip(self.bins, self.numbers, strict=True)):
            fields.append(number(bins(static.numeric[..., position::count])))
        fields += [self._pooled(embed, events) for embed, events in zip(self.events, sequences, strict=True)]
        return torch.stack(fields, dim=1)

    def flops(self) -> int:
        """Of one sample with `maxLength` events in each sequence; looking an embedding up costs none."""
        numbers = sum(one.flops() + 2 * one.width * self.width for one in self._bins())
        each_event = [embed.flops() for embed in self.events if isinstance(embed, FeatureSum)]
        return numbers + sum(
            length * (event + self.width) for length, event in zip(self.lengths, each_event, strict=True)
        )

    def _bins(self) -> list[PiecewiseLinear]:
        return [bins for bins in self.bins if isinstance(bins, PiecewiseLinear)]

    @staticmethod
    def _pooled(embed: nn.Module, events: ColumnInputs) -> Tensor:
        mask = events.mask
        assert mask is not None, "a sequence has a mask"
        embedded = keep(embed(events.categorical, events.numeric), mask)
        return embedded.sum(1) * event_share(mask, embedded.dtype)
