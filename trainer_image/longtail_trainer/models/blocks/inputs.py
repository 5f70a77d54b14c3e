"""Encoded columns of one table into one vector: embeddings beside the numbers and their bins."""

import torch
from torch import Tensor, nn

from longtail_api.store_objects import Features
from longtail_trainer.data.features.columns import TableColumns
from longtail_trainer.models.blocks.piecewise_linear import PiecewiseLinear

EMBEDDING_SPREAD = 0.1


class InputLayer(nn.Module):
    """(…, columns) int64 and (…, 2 × columns) float → (…, width). One embedding table per categorical column.

    The unknown category (index 0) starts at zero: what is not known says nothing until training teaches otherwise.
    """

    def __init__(self, columns: TableColumns, features: Features, embedding_size: int) -> None:
        super().__init__()
        # A dot separates the parts of a parameter's name, so a column's own dots are replaced.
        self.embeddings = nn.ModuleDict(
            {
                column.replace(".", "/"): nn.Embedding(len(features.vocabularies[column]) + 1, embedding_size)
                for column in columns.categorical
            }
        )
        self.numbers = PiecewiseLinear.of(features, columns.numeric)
        self.width = embedding_size * len(columns.categorical) + self.numbers.width
        with torch.no_grad():
            for embedding in self.embeddings.values():
                assert isinstance(embedding, nn.Embedding)
                embedding.weight.normal_(std=EMBEDDING_SPREAD)
                embedding.weight[0].zero_()

    def forward(self, categorical: Tensor, numeric: Tensor) -> Tensor:
        embedded = [
            embedding(indices)
            for embedding, indices in zip(self.embeddings.values(), categorical.unbind(-1), strict=True)
        ]
        return torch.cat([*embedded, self.numbers(numeric)], dim=-1)

    def flops(self) -> int:
        """Of one position; looking an embedding up costs none."""
        return self.numbers.flops()
