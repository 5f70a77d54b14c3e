"""LSTM over the events, oldest first."""

from torch import Tensor, nn

from longtail_trainer.operations.contract import Shape, keep


class LstmModule(nn.Module):
    """One layer, one direction. Padding is at the end, so it comes after every event and changes none's output."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(width, width, batch_first=True)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        output, _ = self.lstm(keep(x, mask))
        return keep(output, mask)


class Lstm:
    """LSTM whose state is as wide as its input."""

    def build(self, shape: Shape) -> tuple[nn.Module, Shape]:
        return LstmModule(shape.width), shape

    def flops(self, shape: Shape) -> int:
        """Four gates of two products each, then c = f·c + i·g and h = o·tanh(c). FlopCounterMode counts 0 here."""
        gates = 2 * 4 * (shape.width + shape.width) * shape.width
        state = 4 * shape.width
        return shape.length * (gates + state)
