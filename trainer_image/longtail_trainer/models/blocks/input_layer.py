"""Encoded columns of one table into one vector: embeddings beside the numbers and their bins."""

import torch
from torch import Tensor, nn

from longtail_api.store_objects import Features
from longtail_trainer.data.features.columns import TableColumns
from longtail_trainer.models.blocks.embeddings import EmbeddingTables, lookup_flops, spread
from longtail_trainer.models.blocks.piecewise_linear import PiecewiseLinear


class InputLayer(nn.Module):
    """(…, columns) int64 and (…, 2 × columns) float → (…, width). An embedding for each categorical column."""

    def __init__(self, columns: TableColumns, features: Features, embedding_size: int, tables: EmbeddingTables) -> None:
        super().__init__()
        # A dot separates the parts of a parameter's name, so a column's own dots are replaced.
        self.embeddings = nn.ModuleDict(
            {column.replace(".", "/"): tables.lookup(column, embedding_size) for column in columns.categorical}
        )
        self.numbers = PiecewiseLinear.of(features, columns.numeric)
        self.width = embedding_size * len(columns.categorical) + self.numbers.width
        spread(self.embeddings.values())

    def forward(self, categorical: Tensor, numeric: Tensor) -> Tensor:
        embedded = [
            embedding(indices)
            for embedding, indices in zip(self.embeddings.values(), categorical.unbind(-1), strict=True)
        ]
        return torch.cat([*embedded, self.numbers(numeric)], dim=-1)

    def flops(self) -> int:
        """Of one position."""
        return self.numbers.flops() + lookup_flops(self.embeddings.values())
