"""What the entities do: a table of events, and the two histories that count in a row."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from benchmarks.datasets.synthetic.arrays import Floats, Integers
from benchmarks.datasets.synthetic.calendar import SPAN
from benchmarks.datasets.synthetic.columns import NULL_SHARE, names, numbers, times, words
from benchmarks.datasets.synthetic.directions import FAST, SLOW
from benchmarks.datasets.synthetic.parts import Part

KINDS = ("view", "search", "cart", "order", "return", "review", "share", "visit")
KIND_VALUES = np.array([-0.4, 0.2, 0.9, 1.6, -1.6, 0.5, -0.1, -1.1])
CHANNELS = ("app", "web", "store")
CHANNEL_GAINS = np.array([1.3, 0.6, -0.8])


@dataclass(frozen=True)
class Events:
    """A part's events by entity and time, and what they add to the two histories."""

    table: pl.DataFrame
    first_of_entity: Integers
    keys: Integers
    """entity within the part * SPAN + time, ascending."""
    slow: Floats
    fast: Floats


def events_of(part: Part, random: np.random.Generator) -> Events:
    entities = part.last - part.first
    size = int(part.counts.sum())
    local = np.repeat(np.arange(entities), part.counts)
    # Sorted, then pulled apart by a microsecond each: no two events of an entity are simultaneous.
    keys = np.sort(local * SPAN + random.integers(SPAN - size, size=size)) + np.arange(size)
    favourite = random.integers(len(KINDS), size=entities)[local]
    kind = np.where(random.random(size) < 0.3, favourite, random.integers(len(KINDS), size=size))
    channel = random.integers(len(CHANNELS), size=size)
    amount = np.round(random.normal(size=size), 4)
    no_kind, no_channel, no_amount = (random.random(size) < NULL_SHARE for _ in range(3))
    table = pl.DataFrame(
        [
            names(local + part.first),
            times(keys - local * SPAN),
            words("kind", KINDS, kind, no_kind),
            words("channel", CHANNELS, channel, no_channel),
            numbers("amount", amount, no_amount),
        ]
    )
    return Events(
        table=table,
        first_of_entity=np.concatenate([[0], np.cumsum(part.counts)[:-1]]),
        keys=keys,
        slow=np.where(no_kind, 0, KIND_VALUES[kind]),
        fast=np.where(no_channel | no_amount, 0, CHANNEL_GAINS[channel] * amount),
    )


def history(events: Events, entity: Integers, time: Integers, length: int) -> tuple[Floats, Floats]:
    """The decayed sums of each row's last `length` events strictly before its time, the latest first."""
    if not events.keys.size:
        return np.zeros(entity.size), np.zeros(entity.size)
    end = np.searchsorted(events.keys, entity * SPAN + time, side="left")
    ages = np.arange(length)
    positions = end[:, None] - 1 - ages
    present = positions >= events.first_of_entity[entity][:, None]
    positions = np.maximum(positions, 0)

    def decayed(values: Floats, decay: float) -> Floats:
        weights = decay**ages / np.sqrt((decay ** (2 * ages)).sum())
        return np.where(present, values[positions], 0) @ weights

    return decayed(events.slow, SLOW), decayed(events.fast, FAST)
