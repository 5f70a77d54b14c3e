"""Encoded samples in memory: contiguous tensors, events unpadded, from which batches are cut."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from longtail_trainer.batches import Batch, SequenceBatch


@dataclass
class EncodedSequence:
    """The events of all samples, one after the other.

    categorical: (events, columns) int32
    numeric: (events, columns) float32: the normalized values, NaN where null (batches have the indicators beside
        them; kept for all events, those would double the memory)
    offsets: (samples + 1,) int64: the events of sample i are rows offsets[i] to offsets[i + 1]
    """

    categorical: Tensor
    numeric: Tensor
    offsets: Tensor

    def select(self, samples: Tensor) -> SequenceBatch:
        """Events of these samples, padded at the end to the longest of them, and to one event at least."""
        starts = self.offsets[samples]
        lengths = self.offsets[samples + 1] - starts
        longest = max(1, int(lengths.max())) if len(samples) else 1
        positions = torch.arange(longest)
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
            torch.zeros(1, self.categorical.shape[1], dtype=torch.int32),
            torch.zeros(1, self.numeric.shape[1]),
            self.offsets,
        )


@dataclass
class EncodedSplit:
    """Samples of one split, encoded; the fields are those of `Batch`, categorical indices in int32."""

    categorical: Tensor
    numeric: Tensor
    sequences: dict[str, EncodedSequence]
    labels: Tensor
    observed: Tensor
    weight: Tensor

    def __len__(self) -> int:
        return len(self.weight)

    def select(self, samples: Tensor) -> Batch:
        """These samples (indices, int64) as one padded batch."""
        return Batch(
            self.categorical[samples].to(torch.int64),
            self.numeric[samples],
            {name: sequence.select(samples) for name, sequence in self.sequences.items()},
            self.labels[samples],
            self.observed[samples],
            self.weight[samples],
        )


def concatenate(splits: Sequence[EncodedSplit]) -> EncodedSplit:
    """The samples of all of these, in this order. They are encoded with the same features; at least one."""
    first = splits[0]
    return EncodedSplit(
        torch.cat([split.categorical for split in splits]),
        torch.cat([split.numeric for split in splits]),
        {name: _concatenate_events([split.sequences[name] for split in splits]) for name in first.sequences},
        torch.cat([split.labels for split in splits]),
        torch.cat([split.observed for split in splits]),
        torch.cat([split.weight for split in splits]),
    )


def _concatenate_events(sequences: Sequence[EncodedSequence]) -> EncodedSequence:
    lengths = torch.cat([sequence.offsets.diff() for sequence in sequences])
    return EncodedSequence(
        torch.cat([sequence.categorical for sequence in sequences]),
        torch.cat([sequence.numeric for sequence in sequences]),
        offsets_of(lengths),
    )


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
