"""Average of each event and its neighbors."""

from typing import ClassVar

from torch import Tensor, nn

from longtail_trainer.operations.contract import Operation
from longtail_trainer.operations.masks import keep
from longtail_trainer.operations.shapes import Sequence, Shape


class AveragePoolingModule(nn.Module):
    """Mean over the window's events; padding counts in neither the sum nor the number."""

    def __init__(self, kernel: int) -> None:
        super().__init__()
        self.kernel = kernel
        self.mean = nn.AvgPool1d(kernel, stride=1, padding=(kernel - 1) // 2)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        share = self.mean(mask.unsqueeze(1).to(x.dtype)).transpose(1, 2)
        mean = self.mean(keep(x, mask).transpose(1, 2)).transpose(1, 2)
        # A window round an event holds at least that event; elsewhere the share may be 0 and the result is masked.
        return keep(mean / share.clamp(min=0.5 / self.kernel), mask)


class AveragePooling(Operation[Sequence]):
    """Average pooling of an odd kernel."""

    takes: ClassVar = (Sequence,)

    def __init__(self, kernel: int) -> None:
        self.kernel = kernel

    def build(self, shape: Sequence) -> tuple[nn.Module, Shape]:
        return AveragePoolingModule(self.kernel), shape

    def flops(self, shape: Sequence) -> int:
        """kernel − 1 additions and one division for each output."""
        return self.kernel * shape.width * shape.length
