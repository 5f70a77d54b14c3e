"""Self-attention and a feed-forward part, each with a norm and a way round it."""

from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional

from longtail_trainer.operations.attention import Attention
from longtail_trainer.operations.contract import Operation, keeping
from longtail_trainer.operations.masks import keep
from longtail_trainer.operations.shapes import Sequence, Shape

WIDENING = 2
"""Intermediate width of the operation, in widths: ALT's light Transformer has 32 units between layers of 15 (V-A)."""


class TransformerBlockModule(nn.Module):
    """x + attention(norm(x)), then x + linear(gelu(linear(norm(x)))).

    A block of Vaswani et al. (*Attention Is All You Need*, 2017, Sec. 3.1 and 3.3) whose norms stand before its parts:
    so it trains without a warm-up (Xiong et al., *On Layer Normalization in the Transformer Architecture*, 2020).
    """

    def __init__(self, shape: Sequence, intermediate: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.attention = keeping(Attention(), shape)
        self.attention_norm = nn.LayerNorm(shape.width)
        self.forward_norm = nn.LayerNorm(shape.width)
        self.widen = nn.Linear(shape.width, intermediate)
        self.narrow = nn.Linear(intermediate, shape.width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        x = x + self.dropout(self.attention(self.attention_norm(x), mask))
        forwarded = self.narrow(functional.gelu(self.widen(self.forward_norm(x))))
        return keep(x + self.dropout(forwarded), mask)


def transformer_block_flops(shape: Sequence, intermediate: int) -> int:
    """Of one sample: the attention, two products of width × intermediate, and two sums; norms are not counted."""
    forward = 2 * 2 * shape.length * shape.width * intermediate
    return Attention().flops(shape) + forward + 2 * shape.length * shape.width


class TransformerBlock(Operation[Sequence]):
    """A block of `shape.heads` heads, twice as wide between its linear layers. It knows no positions."""

    takes: ClassVar = (Sequence,)

    def build(self, shape: Sequence) -> tuple[nn.Module, Shape]:
        if shape.width % shape.heads:
            raise ValueError(f"transformer_block: {shape.heads} heads do not divide the width {shape.width}")
        return TransformerBlockModule(shape, WIDENING * shape.width), shape

    def flops(self, shape: Sequence) -> int:
        return transformer_block_flops(shape, WIDENING * shape.width)
