"""A fully connected layer."""

from typing import ClassVar

from torch import Tensor, nn

from longtail_trainer.operations.contract import Operation
from longtail_trainer.operations.shapes import Shape, Vector


class LinearModule(nn.Module):
    """relu(W x + b)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x).relu()


class Linear(Operation[Vector]):
    """A linear layer as wide as its input, and ReLU."""

    takes: ClassVar = (Vector,)

    def build(self, shape: Vector) -> tuple[nn.Module, Shape]:
        return LinearModule(shape.width), shape

    def flops(self, shape: Vector) -> int:
        return 2 * shape.width * shape.width
