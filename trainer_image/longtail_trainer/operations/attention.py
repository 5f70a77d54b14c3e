"""Multi-head self-attention between the events of a sample."""

from typing import ClassVar

from torch import Tensor, nn

from longtail_trainer.operations.contract import Operation
from longtail_trainer.operations.masks import keep, lowest
from longtail_trainer.operations.shapes import Sequence, Shape


class AttentionModule(nn.Module):
    """softmax(Q·Kᵀ/√d)·V in plain matrix products: the fused kernels do not survive the export to ONNX."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.scale = (width // heads) ** -0.5
        self.query_key_value = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        batch, length, width = x.shape
        projected = self.query_key_value(keep(x, mask)).reshape(batch, length, 3, self.heads, width // self.heads)
        query, key, value = projected.permute(2, 0, 3, 1, 4).unbind(0)
        scores = query.matmul(key.transpose(2, 3)) * self.scale
        scores = scores.masked_fill(~mask[:, None, None, :], lowest(scores.dtype))
        attended = scores.softmax(dim=-1).matmul(value)
        return keep(self.output(attended.transpose(1, 2).reshape(batch, length, width)), mask)


class Attention(Operation[Sequence]):
    """Self-attention of `shape.heads` heads."""

    takes: ClassVar = (Sequence,)

    def build(self, shape: Sequence) -> tuple[nn.Module, Shape]:
        if shape.width % shape.heads:
            raise ValueError(f"attention: {shape.heads} heads do not divide the width {shape.width}")
        return AttentionModule(shape.width, shape.heads), shape

    def flops(self, shape: Sequence) -> int:
        """Four projections of width × width, and two products of length × length × width."""
        projections = 4 * 2 * shape.width * shape.width * shape.length
        return projections + 2 * 2 * shape.length * shape.length * shape.width
