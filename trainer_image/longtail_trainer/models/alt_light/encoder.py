"""One behavior sequence into one vector, round a cell that is searched or given."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from longtail_api.store_objects import Features
from longtail_trainer.models.blocks.cell import Cell
from longtail_trainer.models.blocks.feature_sum import FeatureSum
from longtail_trainer.models.blocks.layer_sum import attentive_sum, attentive_sum_flops
from longtail_trainer.models.columns import SelectedColumns
from longtail_trainer.operations import Shape
from longtail_trainer.operations.contract import keep

LOWEST = -1e9
"""Below every activation, and finite: a sample without events must not become ∞ − ∞."""
DROPOUT = 0.1


class SequenceEncoder(nn.Module):
    """Events → embedded events → cell → attentive sum of its layers' outputs → summary (batch, 4 × width + 1).

    The summary: last, mean and maximum over time, the mean of the embedded events, and how many there are.
    """

    def __init__(
        self,
        columns: SelectedColumns,
        features: Features,
        shape: Shape,
        layers: int,
        cell: nn.Module,
    ) -> None:
        super().__init__()
        self.shape = shape
        self.layers = layers
        self.embed = FeatureSum(columns, features, shape.width)
        self.dropout = nn.Dropout(DROPOUT)
        self.cell = cell
        self.attend = nn.Linear(shape.width, 1, bias=False)
        self.width = 4 * shape.width + 1

    def forward(self, categorical: Sequence[Tensor], numeric: Tensor, mask: Tensor) -> Tensor:
        """categorical: int64 (batch, length) per column. numeric: (batch, length, 2 × columns). length ≥ 1."""
        embedded = keep(self.embed(categorical, numeric).relu(), mask)
        outputs = self.cell(self.dropout(embedded), mask)
        count = mask.sum(1, keepdim=True)
        share = 1 / count.clamp(min=1).to(embedded.dtype)
        states = attentive_sum(outputs, share, self.attend)
        last_index = (count - 1).clamp(min=0).unsqueeze(-1).expand(-1, 1, self.shape.width)
        last = states.gather(1, last_index).squeeze(1)
        maximum = states.masked_fill(~mask.unsqueeze(-1), LOWEST).amax(1) * (count > 0)
        events = torch.log1p(count.to(embedded.dtype)) / torch.log1p(torch.tensor(float(self.shape.length)))
        return torch.cat([last, states.sum(1) * share, maximum, embedded.sum(1) * share, events], dim=-1)

    def fixed_flops(self) -> int:
        """Of everything but the cell, for one sample with `shape.length` events."""
        length, width = self.shape.length, self.shape.width
        attentive = attentive_sum_flops(self.layers, length, width)
        summary = 3 * length * width  # mean and maximum of the sum, mean of the embedded events
        return self.embed.flops() * length + attentive + summary

    def flops(self) -> int:
        """Of one sample with `shape.length` events."""
        cell: Cell = self.cell  # pyright: ignore[reportAssignmentType]
        return self.fixed_flops() + cell.flops()
