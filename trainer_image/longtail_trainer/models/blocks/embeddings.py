"""Embedding tables of categorical columns."""

from collections.abc import Iterable

import torch
from torch import nn

from longtail_api.store_objects import Features

EMBEDDING_SPREAD = 0.1
"""Standard deviation of fresh embeddings: torch's own, 1, outweighs everything else a small model reads."""


def embedding_table(features: Features, column: str, width: int) -> nn.Embedding:
    """Of the column's vocabulary, and of the unknown category, index 0. Its weights are torch's: see `spread`."""
    return nn.Embedding(len(features.vocabularies[column]) + 1, width)


def spread(tables: Iterable[nn.Module]) -> None:
    """Fresh weights for these embedding tables.

    The unknown category starts at zero: what is not known says nothing until training teaches otherwise.
    """
    with torch.no_grad():
        for table in tables:
            assert isinstance(table, nn.Embedding)
            table.weight.normal_(std=EMBEDDING_SPREAD)
            table.weight[0].zero_()
