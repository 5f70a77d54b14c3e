"""Maximum of each event and its neighbors."""

from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional

from longtail_trainer.operations.contract import Operation
from longtail_trainer.operations.masks import keep, lowest
from longtail_trainer.operations.shapes import Sequence, Shape


class MaxPoolingModule(nn.Module):
    """Maximum over the window's events, as the maximum of shifted copies: max_pool1d exports one fixed length only."""

    def __init__(self, kernel: int) -> None:
        super().__init__()
        self.kernel = kernel

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        nothing = lowest(x.dtype)
        events = x.masked_fill(~mask.unsqueeze(-1), nothing)
        side = (self.kernel - 1) // 2
        padded = functional.pad(events, (0, 0, side, side), value=nothing)
        largest = events
        for shift in (*range(side), *range(side + 1, self.kernel)):
            largest = largest.maximum(padded[:, shift : shift + x.shape[1]])
        return keep(largest, mask)


class MaxPooling(Operation[Sequence]):
    """Max pooling of an odd kernel."""

    takes: ClassVar = (Sequence,)

    def __init__(self, kernel: int) -> None:
        self.kernel = kernel

    def build(self, shape: Sequence) -> tuple[nn.Module, Shape]:
        return MaxPoolingModule(self.kernel), shape

    def flops(self, shape: Sequence) -> int:
        """One comparison for each value of a window, its start included."""
        return self.kernel * shape.width * shape.length
