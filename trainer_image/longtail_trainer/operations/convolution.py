"""1-D convolution over the events, standard or dilated."""

from typing import ClassVar

from torch import Tensor, nn

from longtail_trainer.operations.contract import Operation
from longtail_trainer.operations.masks import keep
from longtail_trainer.operations.shapes import Sequence, Shape

DILATION = 2
"""Rate of the dilated convolutions. ALT names none; 2 is what the searches it builds on use."""


class ConvolutionModule(nn.Module):
    """relu(conv(x)), SAME zero padding."""

    def __init__(self, width: int, kernel: int, dilation: int) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(width, width, kernel, padding=dilation * (kernel - 1) // 2, dilation=dilation)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        convolved = self.convolution(keep(x, mask).transpose(1, 2)).transpose(1, 2)
        return keep(convolved.relu(), mask)


class Convolution(Operation[Sequence]):
    """Convolution of an odd kernel. With kernel 1 it is a linear layer on each event."""

    takes: ClassVar = (Sequence,)

    def __init__(self, kernel: int, dilation: int = 1) -> None:
        self.kernel = kernel
        self.dilation = dilation

    def build(self, shape: Sequence) -> tuple[nn.Module, Shape]:
        return ConvolutionModule(shape.width, self.kernel, self.dilation), shape

    def flops(self, shape: Sequence) -> int:
        return 2 * self.kernel * shape.width * shape.width * shape.length
