"""A stack of linear layers, as profile encoder and prediction module are."""

from collections.abc import Sequence

from torch import Tensor, nn


class Perceptron(nn.Module):
    """(batch, inputs) → (batch, widths[-1]): after each linear layer ReLU, then dropout."""

    def __init__(self, inputs: int, widths: Sequence[int], dropout: float) -> None:
        super().__init__()
        self.sizes = [inputs, *widths]
        self.width = self.sizes[-1]
        self.layers = nn.ModuleList(nn.Linear(*pair) for pair in zip(self.sizes[:-1], self.sizes[1:], strict=True))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        return self.hidden(x)[-1]

    def hidden(self, x: Tensor) -> list[Tensor]:
        """The output of every layer, the last one's last."""
        outputs: list[Tensor] = []
        for layer in self.layers:
            x = self.dropout(layer(x).relu())
            outputs.append(x)
        return outputs

    def layer_flops(self) -> list[int]:
        """Multiply-adds × 2 of one sample, layer by layer; biases and activation functions are not counted."""
        return [2 * a * b for a, b in zip(self.sizes[:-1], self.sizes[1:], strict=True)]

    def flops(self) -> int:
        """Of one sample, all layers."""
        return sum(self.layer_flops())
