"""LSTM over the events, oldest first."""

from typing import ClassVar

from torch import Tensor, nn

from longtail_trainer.operations.contract import Operation
from longtail_trainer.operations.masks import keep
from longtail_trainer.operations.shapes import Sequence, Shape


class LstmModule(nn.Module):
    """One layer, one direction. Padding is at the end, so it comes after every event and changes none's output."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(width, width, batch_first=True)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        output, _ = self.lstm(keep(x, mask))
        return keep(output, mask)


class Lstm(Operation[Sequence]):
    """LSTM whose state is as wide as its input."""

    takes: ClassVar = (Sequence,)

    def build(self, shape: Sequence) -> tuple[nn.Module, Shape]:
        return LstmModule(shape.width), shape

    def flops(self, shape: Sequence) -> int:
        """Four gates of two products each, then c = f·c + i·g and h = o·tanh(c). FlopCounterMode counts 0 here."""
        gates = 2 * 4 * (shape.width + shape.width) * shape.width
        state = 4 * shape.width
        return shape.length * (gates + state)
