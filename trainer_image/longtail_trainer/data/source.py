"""Where training gets its batches from: one order of all rows an epoch, and of each batch a rank's share.

Whatever the number of ranks, the batches of an epoch are the same ones: rank r of n takes rows r, r + n, r + 2n, … of
each. So every rank makes the same number of steps, and what they take together is the epoch of a single process. Of
rows that are too few for all ranks, the last ones get a row that counts for nothing: weight 0, no label observed.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

import torch
from torch import Tensor

from longtail_api.store_objects import Features, Manifest, Split
from longtail_store import Store
from longtail_trainer.data.batches import Batch
from longtail_trainer.data.encoded import EncodedSplit, concatenate
from longtail_trainer.data.loading import encoded_part
from longtail_trainer.data.rows import slice_of, subset

WINDOW = 100_000
"""Rows that `Streamed` shuffles at once: two parts at their largest."""


class BatchSource(Protocol):
    """Rows to train on, however many and wherever they are."""

    def __len__(self) -> int:
        """Rows of an epoch, over all ranks."""
        ...

    def epoch(self, generator: torch.Generator | None, size: int, rank: int = 0, world: int = 1) -> Iterator[Batch]:
        """One rank's part of an epoch: batches of at most ⌈size / world⌉ rows, as many on every rank.

        Shuffled by the generator, in the rows' own order without one. The same state of the generator gives the same
        batches, so that every rank needs one of its own in the same state.
        """
        ...


@dataclass(frozen=True)
class InMemory:
    """An encoded split; its batches are on the CPU."""

    rows: EncodedSplit

    def __len__(self) -> int:
        return len(self.rows)

    def epoch(self, generator: torch.Generator | None, size: int, rank: int = 0, world: int = 1) -> Iterator[Batch]:
        for chosen in _global_batches(len(self.rows), size, generator):
            yield _counted(self.rows.select(_of_rank(chosen, rank, world)), len(chosen), rank)


class Pinned(InMemory):
    """An encoded split for a GPU whose memory it doesn't fit: batches in pinned memory, copied while others are worked
    on."""

    def epoch(self, generator: torch.Generator | None, size: int, rank: int = 0, world: int = 1) -> Iterator[Batch]:
        for batch in super().epoch(generator, size, rank, world):
            yield batch.pinned()


class OnDevice:
    """An encoded split that was moved to a device once; its batches are cut there, and nothing waits for it.

    The device needs memory for all rows, of which events are unpadded and categories in their smallest type.
    """

    def __init__(self, rows: EncodedSplit, device: torch.device) -> None:
        self._rows = rows.to(device)
        self._device = device
        # Padding needs the longest sequence of a batch: read from the device, it would hold up every step.
        self._lengths = {name: sequence.offsets.diff().cpu() for name, sequence in rows.sequences.items()}

    def __len__(self) -> int:
        return len(self._rows)

    def epoch(self, generator: torch.Generator | None, size: int, rank: int = 0, world: int = 1) -> Iterator[Batch]:
        for chosen in _global_batches(len(self), size, generator):
            own = _of_rank(chosen, rank, world)
            longest = {name: max(1, int(lengths[own].max())) for name, lengths in self._lengths.items()}
            batch = self._rows.select(own.to(self._device, non_blocking=True), longest)
            yield _counted(batch, len(chosen), rank)


class Streamed:
    """Parts read one at a time, shuffled within a window: memory is what the window and one part take.

    The parts of a split are one shuffled whole already (`data.prepare.parts`); those of several scenarios are mixed by
    the order in which they are read, and by the window. Every rank reads all parts.
    """

    def __init__(self, parts: Sequence[tuple[int, Callable[[], EncodedSplit]]], window: int = WINDOW) -> None:
        """`parts`: the rows of each, and how it is read. Raises in `epoch` what reading raises."""
        self._parts = parts
        self._window = window

    @classmethod
    def of(
        cls,
        store: Store,
        manifests: Sequence[Manifest],
        splits: Sequence[Split],
        features: Features,
        window: int = WINDOW,
    ) -> "Streamed":
        """The rows of these splits of these scenarios. A damaged part raises `DataInvalid` when it is read."""
        return cls(
            [
                (part.rows, partial(encoded_part, store, part, features))
                for manifest in manifests
                for split in splits
                for part in manifest.parts
                if part.split == split
            ],
            window,
        )

    def __len__(self) -> int:
        return sum(rows for rows, _ in self._parts)

    def epoch(self, generator: torch.Generator | None, size: int, rank: int = 0, world: int = 1) -> Iterator[Batch]:
        for window in self._windows(generator, size):
            for chosen in _global_batches(len(window), size, None):
                yield _counted(window.select(_of_rank(chosen, rank, world)), len(chosen), rank)

    def _windows(self, generator: torch.Generator | None, size: int) -> Iterator[EncodedSplit]:
        """Whole batches' worth of shuffled rows, about a window at a time; the last one has the rest."""
        held: list[EncodedSplit] = []
        for number in map(int, _order(len(self._parts), generator)):
            held.append(self._parts[number][1]())
            if sum(map(len, held)) >= max(self._window, size):
                window = _shuffled(held, generator)
                whole = len(window) - len(window) % size
                # Not a slice: that would keep the whole window in memory.
                held = [subset(window, torch.arange(whole, len(window)))]
                yield slice_of(window, 0, whole)
        if held:
            yield _shuffled(held, generator)


def _shuffled(held: list[EncodedSplit], generator: torch.Generator | None) -> EncodedSplit:
    """All that is held, which it empties, as one."""
    together = concatenate(_taken(held))
    return together if generator is None else subset(together, _order(len(together), generator))


def _taken(held: list[EncodedSplit]) -> Iterator[EncodedSplit]:
    while held:
        yield held.pop(0)


def _order(count: int, generator: torch.Generator | None) -> Tensor:
    return torch.arange(count) if generator is None else torch.randperm(count, generator=generator)


def _global_batches(rows: int, size: int, generator: torch.Generator | None) -> Iterator[Tensor]:
    """Row numbers of each batch, over all ranks."""
    yield from _order(rows, generator).split(size) if rows else ()


def _of_rank(chosen: Tensor, rank: int, world: int) -> Tensor:
    """One rank's rows of a batch; one that doesn't count where none is left for it."""
    own = chosen[rank::world]
    return own if len(own) else chosen[:1]


def _counted(batch: Batch, rows: int, rank: int) -> Batch:
    """The rank's batch out of one of `rows` rows: it counts for nothing where none of them is the rank's."""
    if rank < rows:
        return batch
    return replace(
        batch,
        labels=torch.zeros_like(batch.labels),
        observed=torch.zeros_like(batch.observed),
        weight=torch.zeros_like(batch.weight),
    )
