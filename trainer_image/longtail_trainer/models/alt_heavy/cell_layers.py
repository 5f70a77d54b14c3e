"""The body of a behavior encoder whose layers an architecture search has found (ALT III-B, III-D)."""

from torch import Tensor, nn

from longtail_trainer.models.blocks.cell import Cell
from longtail_trainer.models.blocks.layer_sum import attentive_sum, attentive_sum_flops
from longtail_trainer.models.blocks.sequence_summary import event_share
from longtail_trainer.operations import Sequence


class CellLayers(nn.Module):
    """(batch, length, width) → the same shape: the attentive sum of the outputs of all layers of a cell."""

    def __init__(self, shape: Sequence, layers: int, cell: nn.Module) -> None:
        super().__init__()
        self.shape = shape
        self.count = layers
        self.cell = cell
        self.attend = nn.Linear(shape.width, 1, bias=False)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return attentive_sum(self.cell(x, mask), event_share(mask, x.dtype), self.attend)

    def fixed_flops(self) -> int:
        """Of the sum alone: what no architecture of as many layers can save."""
        return attentive_sum_flops(self.count, self.shape.length, self.shape.width)

    def flops(self) -> int:
        cell: Cell = self.cell  # pyright: ignore[reportAssignmentType]
        return self.fixed_flops() + cell.flops()
