"""Minibatches for a training that takes more of them than a pass has."""

from collections.abc import Iterator

import torch

from longtail_trainer.data.batches import Batch
from longtail_trainer.data.encoded import EncodedSplit, batches
from longtail_trainer.running.errors import DataInvalid


def endless(split: EncodedSplit, size: int, generator: torch.Generator) -> Iterator[Batch]:
    """Minibatches, shuffled anew after each pass. Raises `DataInvalid`, at once, where the split has no row."""
    if not len(split):
        raise DataInvalid("there is no row to draw minibatches from; add samples, or lower the other splits' shares")
    return _passes(split, size, generator)


def _passes(split: EncodedSplit, size: int, generator: torch.Generator) -> Iterator[Batch]:
    while True:
        yield from batches(split, size, generator)
