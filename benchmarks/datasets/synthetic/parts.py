"""Entities in parts, so that memory does not grow with the events."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from benchmarks.datasets.synthetic.arrays import Integers
from benchmarks.datasets.synthetic.options import Options

NO_HISTORY_SHARE = 0.02
PART_EVENTS = 500_000


@dataclass(frozen=True)
class Part:
    """The entities `first` to `last` (exclusive) and their numbers of events."""

    number: int
    first: int
    last: int
    counts: Integers


def parts(options: Options) -> Iterator[Part]:
    """Consecutive entities, some `PART_EVENTS` events at a time."""
    random = np.random.default_rng([options.seed, 3])
    activity = random.gamma(2.0, size=options.entities)
    activity[random.random(options.entities) < NO_HISTORY_SHARE] = 0
    counts = random.multinomial(options.events, activity / activity.sum())
    bounds = np.searchsorted(np.cumsum(counts), np.arange(PART_EVENTS, options.events, PART_EVENTS)) + 1
    edges = np.unique(np.concatenate([[0], np.minimum(bounds, options.entities), [options.entities]]))
    for number, (first, last) in enumerate(pairwise(edges.tolist())):
        yield Part(number, first, last, counts[first:last])
