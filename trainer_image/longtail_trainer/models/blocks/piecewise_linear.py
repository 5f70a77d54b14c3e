"""Numbers as shares of quantile bins: a linear layer behind them is a piecewise-linear function of each number."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from longtail_api.store_objects import Features


class PiecewiseLinear(nn.Module):
    """(…, 2 × columns) float → (…, width): values and null indicators as they are, then the bins of every column.

    A bin from edge a to b gives clip((v − a) / (b − a), 0, 1) − ½: the piecewise-linear encoding of Gorishniy,
    Rubachev and Babenko (*On Embeddings for Numerical Features in Tabular Deep Learning*, 2022, Eq. 1). A small model
    on few samples bends a straight line only slowly; trees cut it at the first step, and this lets it do the same.
    The edges are constants of the features, not weights. A column without edges has its value alone.
    """

    def __init__(self, edges: Sequence[Sequence[float]]) -> None:
        super().__init__()
        bins = [(column, low, high) for column, line in enumerate(edges) for low, high in pairwise(line)]
        lows, highs = (torch.tensor([one[side] for one in bins], dtype=torch.float64) for side in (1, 2))
        scale = 1 / (highs - lows)
        self.bins = len(bins)
        self.width = 2 * len(edges) + self.bins
        # Not part of the state: a checkpoint holds weights, and its version names the features.
        self.register_buffer("columns", torch.tensor([one[0] for one in bins], dtype=torch.int64), persistent=False)
        self.register_buffer("scale", scale.float(), persistent=False)
        self.register_buffer("shift", (-lows * scale - 0.5).float(), persistent=False)

    @classmethod
    def of(cls, features: Features, columns: Iterable[str]) -> "PiecewiseLinear":
        """columns: names as in the parts, in the order of the values."""
        return cls([features.numeric[column].edges for column in columns])

    def forward(self, numeric: Tensor) -> Tensor:
        if not self.bins:
            return numeric
        columns, scale, shift = self.get_buffer("columns"), self.get_buffer("scale"), self.get_buffer("shift")
        shares = (numeric.index_select(-1, columns) * scale + shift).clamp(-0.5, 0.5)
        return torch.cat([numeric, shares], dim=-1)

    def flops(self) -> int:
        """Of one position: a multiply-add for each bin; the clipping counts as an activation function does, not."""
        return 2 * self.bins
