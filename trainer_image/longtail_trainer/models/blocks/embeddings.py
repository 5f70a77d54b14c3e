"""Embedding tables of categorical columns: one a column, or one for all columns that share a vocabulary."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from longtail_api.store_objects import Features

EMBEDDING_SPREAD = 0.1
"""Standard deviation of fresh embeddings: torch's own, 1, outweighs everything else a small model reads."""


def embedding_table(features: Features, column: str, width: int) -> nn.Embedding:
    """Of the column's vocabulary, and of the unknown category, index 0. Its weights are torch's: see `spread`."""
    return nn.Embedding(len(features.vocabularies[column]) + 1, width)


def spread(lookups: Iterable[nn.Module]) -> None:
    """Fresh weights for the embedding tables among these.

    The unknown category starts at zero: what is not known says nothing until training teaches otherwise.
    """
    with torch.no_grad():
        for table in lookups:
            if isinstance(table, nn.Embedding):
                table.weight.normal_(std=EMBEDDING_SPREAD)
                table.weight[0].zero_()


class SharedLookup(nn.Module):
    """A column's embeddings (…) → (…, width) out of a table that other columns read, too.

    The table is the model's, and no part of this module: it is saved, and moved by a gradient, once. Where it has
    another width, the column maps its embeddings linearly, which keeps the unknown category's start at zero.
    """

    def __init__(self, table: nn.Embedding, width: int) -> None:
        super().__init__()
        self._borrowed = (table,)  # in a tuple, torch doesn't take it for a part of this module
        self.project = nn.Linear(table.embedding_dim, width, bias=False) if table.embedding_dim != width else None

    def forward(self, indices: Tensor) -> Tensor:
        embedded = self._borrowed[0](indices)
        return embedded if self.project is None else self.project(embedded)

    def flops(self) -> int:
        """Of one position."""
        return 0 if self.project is None else 2 * self.project.in_features * self.project.out_features


class EmbeddingTables(nn.Module):
    """A model's tables of the vocabularies that its columns share, and what makes the look-ups of its blocks.

    columns: all that the model reads. A vocabulary of which it reads none has no table; without shared vocabularies
    this module has no weights.
    """

    def __init__(self, features: Features, columns: Iterable[str], width: int) -> None:
        super().__init__()
        read = set(columns)
        self.features = features
        # A vocabulary may be called `items` or `keys`, which a module already has as attributes.
        self.shared = nn.ModuleDict(
            {
                f"vocabulary_{name}": embedding_table(features, together[0], width)
                for name, together in features.data_schema.shared_vocabularies.items()
                if read & set(together)
            }
        )
        spread(self.shared.values())

    def lookup(self, column: str, width: int) -> nn.Module:
        """What gives a column's embeddings, (…) int64 → (…, width): into its vocabulary's table, or one of its own, to
        which `spread` gives weights."""
        for name, together in self.features.data_schema.shared_vocabularies.items():
            if column in together:
                return SharedLookup(self.table(name), width)
        return embedding_table(self.features, column, width)

    def table(self, vocabulary: str) -> nn.Embedding:
        """The table of a shared vocabulary of which the model reads a column."""
        table = self.shared[f"vocabulary_{vocabulary}"]
        assert isinstance(table, nn.Embedding)
        return table


def lookup_flops(lookups: Iterable[nn.Module]) -> int:
    """Of one position: looking an embedding up costs none, bringing it to another width does."""
    return sum(lookup.flops() for lookup in lookups if isinstance(lookup, SharedLookup))
