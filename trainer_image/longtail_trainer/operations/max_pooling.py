"""Maximum of each event and its neighbors."""

from torch import Tensor, nn
from torch.nn import functional

from longtail_trainer.operations.contract import Shape, keep

LOWEST = -1e30
"""Below every activation, and finite, so that no 0 × ∞ arises where the result is masked."""


class MaxPoolingModule(nn.Module):
    """Maximum over the window's events, as the maximum of shifted copies: max_pool1d exports one fixed length only."""

    def __init__(self, kernel: int) -> None:
        super().__init__()
        self.kernel = kernel

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        events = x.masked_fill(~mask.unsqueeze(-1), LOWEST)
        side = (self.kernel - 1) // 2
        padded = functional.pad(events, (0, 0, side, side), value=LOWEST)
        largest = events
        for shift in (*range(side), *range(side + 1, self.kernel)):
            largest = largest.maximum(padded[:, shift : shift + x.shape[1]])
        return keep(largest, mask)


class MaxPooling:
    """Max pooling of an odd kernel."""

    def __init__(self, kernel: int) -> None:
        self.kernel = kernel

    def build(self, shape: Shape) -> tuple[nn.Module, Shape]:
        return MaxPoolingModule(self.kernel), shape

    def flops(self, shape: Shape) -> int:
        """One comparison for each value of a window, its start included."""
        return self.kernel * shape.width * shape.length
