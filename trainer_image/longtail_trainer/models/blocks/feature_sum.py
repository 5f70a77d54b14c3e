"""The features of a sample, or of each event, brought to one width."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from longtail_api.store_objects import Features
from longtail_trainer.models.blocks.embeddings import EmbeddingTables, lookup_flops, spread
from longtail_trainer.models.blocks.piecewise_linear import PiecewiseLinear
from longtail_trainer.models.columns import SelectedColumns


class FeatureSum(nn.Module):
    """bias + Σ embedding(category) + W · (numbers and their bins): (…) per column → (…, width).

    The same as embeddings, concatenated and projected, with the projection folded into the embeddings: a look-up
    costs no FLOPs. (Of a shared table the projection is the column's own, and is counted.)
    """

    def __init__(self, columns: SelectedColumns, features: Features, width: int, tables: EmbeddingTables) -> None:
        super().__init__()
        self.width = width
        self.embeddings = nn.ModuleList(tables.lookup(column, width) for column in columns.categorical)
        self.bins = PiecewiseLinear.of(features, columns.numeric)
        self.numbers = nn.Linear(self.bins.width, width, bias=False) if columns.numeric else None
        self.bias = nn.Parameter(torch.zeros(width))
        spread(self.embeddings)

    def forward(self, categorical: Sequence[Tensor], numeric: Tensor) -> Tensor:
        """categorical: int64 (…) per column. numeric: float32 (…, 2 × columns), values then null indicators."""
        total = self.bias
        if self.numbers is not None:
            total = total + self.numbers(self.bins(numeric))
        for lookup, indices in zip(self.embeddings, categorical, strict=True):
            total = total + lookup(indices)
        return total

    def flops(self) -> int:
        """Of one position: the bins, the products of numbers and of shared tables, the additions of the columns."""
        product = 2 * self.numbers.in_features * self.width if self.numbers is not None else 0
        product += self.bins.flops() + lookup_flops(self.embeddings)
        terms = len(self.embeddings) + (1 if self.numbers is not None else 0)
        return product + max(0, terms - 1) * self.width
