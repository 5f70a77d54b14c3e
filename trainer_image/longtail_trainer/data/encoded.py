"""Encoded samples in memory: contiguous tensors, events unpadded, from which batches are cut."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from longtail_trainer.data.batches import Batch, SequenceBatch


@dataclass
class EncodedSequence:
    """The events of all samples, one after the other.

    categorical: (events, columns), in the smallest integer type that holds their vocabularies
    numeric: (events, columns) float32: the normalized values, NaN where null (batches have the indicators beside
        them; kept for all events, those would double the memory)
    offsets: (samples + 1,) int64: the events of sample i are rows offsets[i] to offsets[i + 1]
    """

    categorical: Tensor
    numeric: Tensor
    offsets: Tensor

    def select(self, samples: Tensor, longest: int | None = None) -> SequenceBatch:
        """Events of these samples, padded at the end to the longest of them, and to one event at least.

        Who knows the length of the longest, 1 at least, gives it: a device needn't be asked then.
        """
        starts = self.offsets[samples]
        lengths = self.offsets[samples + 1] - starts
        if longest is None:
            longest = max(1, int(lengths.max())) if len(samples) else 1
        positions = torch.arange(longest, device=self.offsets.device)
        mask = positions < lengths[:, None]
        # Padding reads any row, and is masked; without a single event there is none to read.
        rows = torch.where(mask, starts[:, None] + positions, 0)
        events = self if len(self.numeric) else self._one_empty_event()
        numbers = events.numeric[rows]
        missing = numbers.isnan()
        numeric = torch.cat([numbers.masked_fill(missing, 0), missing.to(numbers.dtype)], dim=-1)
        return SequenceBatch(
            events.categorical[rows].to(torch.int64) * mask[:, :, None], numeric * mask[:, :, None], mask
        )

    def _one_empty_event(self) -> "EncodedSequence":
        return EncodedSequence(
            self.categorical.new_zeros(1, self.categorical.shape[1]),
            self.numeric.new_zeros(1, self.numeric.shape[1]),
            self.offsets,
        )

    def to(self, device: torch.device) -> "EncodedSequence":
        """The same events on another device."""
        return EncodedSequence(self.categorical.to(device), self.numeric.to(device), self.offsets.to(device))


@dataclass
class EncodedSplit:
    """Samples of one split, encoded; the fields are those of `Batch`, categorical indices in a smaller type."""

    categorical: Tensor
    numeric: Tensor
    sequences: dict[str, EncodedSequence]
    labels: Tensor
    observed: Tensor
    weight: Tensor
    entity: Tensor

    def __len__(self) -> int:
        return len(self.weight)

    def bytes(self) -> int:
        """Memory that the samples take."""
        tensors = [getattr(self, field) for field in _FIELDS]
        for sequence in self.sequences.values():
            tensors += [sequence.categorical, sequence.numeric, sequence.offsets]
        return sum(tensor.nbytes for tensor in tensors)

    def select(self, samples: Tensor, longest: Mapping[str, int] | None = None) -> Batch:
        """These samples (indices, int64, on the split's device) as one padded batch.

        longest: by sequence, as `EncodedSequence.select` takes it.
        """
        known = longest or {}
        return Batch(
            self.categorical[samples].to(torch.int64),
            self.numeric[samples],
            {name: sequence.select(samples, known.get(name)) for name, sequence in self.sequences.items()},
            self.labels[samples],
            self.observed[samples],
            self.weight[samples],
            self.entity[samples],
        )

    def to(self, device: torch.device) -> "EncodedSplit":
        """The same samples on another device."""
        return EncodedSplit(
            self.categorical.to(device),
            self.numeric.to(device),
            {name: sequence.to(device) for name, sequence in self.sequences.items()},
            self.labels.to(device),
            self.observed.to(device),
            self.weight.to(device),
            self.entity.to(device),
        )


def concatenate(splits: Iterable[EncodedSplit]) -> EncodedSplit:
    """The samples of all of these, in this order. They are encoded with the same features; at least one.

    Each is copied as it comes: where an iterator makes them one by one, memory is what the result takes and one of
    them, not twice the result.
    """
    grown: dict[str, _Grown] = {}
    events: dict[str, dict[str, _Grown]] = {}
    for split in splits:
        for field in _FIELDS:
            _add(grown, field, getattr(split, field))
        for name, sequence in split.sequences.items():
            columns = events.setdefault(name, {})
            _add(columns, "categorical", sequence.categorical)
            _add(columns, "numeric", sequence.numeric)
            _add(columns, "lengths", sequence.offsets.diff())
    sequences = {
        name: EncodedSequence(
            columns["categorical"].tensor(), columns["numeric"].tensor(), offsets_of(columns["lengths"].tensor())
        )
        for name, columns in events.items()
    }
    return EncodedSplit(sequences=sequences, **{field: rows.tensor() for field, rows in grown.items()})


_FIELDS = ("categorical", "numeric", "labels", "observed", "weight", "entity")


class _Grown:
    """A tensor that rows are added to.

    `torch.cat` needs all parts and the result at once. Here the result grows in place: for large blocks the C library
    asks the kernel to move their pages, and nothing is copied.
    """

    def __init__(self, like: Tensor) -> None:
        self._rows: NDArray[np.generic] = np.empty((0, *like.shape[1:]), dtype=like.numpy().dtype)

    def add(self, rows: Tensor) -> None:
        added = rows.numpy()
        # An assignment would cast, and quietly wrap an index that the type of the first rows doesn't hold.
        assert added.dtype == self._rows.dtype, "splits of the same features have the same types"
        before = len(self._rows)
        self._rows.resize((before + len(added), *added.shape[1:]), refcheck=False)  # no one else has seen the array
        self._rows[before:] = added

    def tensor(self) -> Tensor:
        """The rows so far; none may be added after it."""
        return torch.from_numpy(self._rows)


def _add(grown: dict[str, _Grown], name: str, rows: Tensor) -> None:
    if name not in grown:
        grown[name] = _Grown(rows)
    grown[name].add(rows)


def offsets_of(lengths: Tensor) -> Tensor:
    """(samples + 1,) int64: where each sample's events start and end, from their counts."""
    return torch.cat([torch.zeros(1, dtype=torch.int64), lengths.to(torch.int64).cumsum(0)])


def batches(split: EncodedSplit, size: int, generator: torch.Generator | None = None) -> Iterator[Batch]:
    """Minibatches of at most `size` samples: shuffled by the generator, in their own order without one.

    The same generator state gives the same batches.
    """
    order = torch.arange(len(split)) if generator is None else torch.randperm(len(split), generator=generator)
    for start in range(0, len(split), size):
        yield split.select(order[start : start + size])
