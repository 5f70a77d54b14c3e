"""What every operation of a search space is: the shape it works on and the two things it can say about it."""

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor, nn, where


@dataclass(frozen=True)
class Shape:
    """Shape of one sample's sequence.

    length: events, as FLOPs are counted (the schema's maxLength); modules take any length ≥ 1
    width: channels of an event
    heads: attention heads, where an operation has any; a divisor of the width
    """

    length: int
    width: int
    heads: int = 1


class Operation(Protocol):
    """One choice in a layer of a light model (ALT III-D): a map from (batch, length, width) to the same shape.

    The modules it builds take `x` (batch, length, width) and `mask` (batch, length; true where there is an event).
    Where the mask is false the output is 0, and the input there is never read: stride 1, SAME padding, width kept.
    A sample without any event gives zeros. Lengths start at 1.
    """

    def build(self, shape: Shape) -> tuple[nn.Module, Shape]:
        """A module with fresh weights, and the shape it gives (for these operations always the shape it takes)."""
        ...

    def flops(self, shape: Shape) -> int:
        """Floating-point operations of one sample at `shape.length` events, exact, so that a budget is a promise.

        Counted: two per multiply-add of convolutions and matrix products, and one per addition, multiplication,
        division or comparison of two activations. Not counted: biases, masks, activation functions, softmax.
        """
        ...


def keep(x: Tensor, mask: Tensor) -> Tensor:
    """`x` (batch, length, width) where `mask` (batch, length) is true, else 0, even where `x` is not a number."""
    return where(mask.unsqueeze(-1), x, 0.0)
