"""Encoded columns of one table into one vector: embeddings beside the normalized numbers."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from longtail_trainer.features.columns import TableColumns

EMBEDDING_SPREAD = 0.1


class InputLayer(nn.Module):
    """(…, columns) int64 and (…, 2 × columns) float → (…, width). One embedding table per categorical column.

    The unknown category (index 0) starts at zero: what is not known says nothing until training teaches otherwise.
    """

    def __init__(self, columns: TableColumns, vocabularies: Mapping[str, Sequence[str]], embedding_size: int) -> None:
        super().__init__()
        # A dot separates the parts of a parameter's name, so a column's own dots are replaced.
        self.embeddings = nn.ModuleDict(
            {
                column.replace(".", "/"): nn.Embedding(len(vocabularies[column]) + 1, embedding_size)
                for column in columns.categorical
            }
        )
        self.width = embedding_size * len(columns.categorical) + 2 * len(columns.numeric)
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
        return torch.cat([*embedded, numeric], dim=-1)
