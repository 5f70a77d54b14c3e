"""Which scenarios form the pool, and which arrive later. Pure."""

import random
from dataclasses import dataclass

POOL_SIZE = 8
ARRIVALS = 3


@dataclass(frozen=True)
class Choice:
    """Scenario keys of the initial pool, and of those that arrive afterwards."""

    pool: list[str]
    arrivals: list[str]


def choose(rows: dict[str, int], seed: int, pool_size: int = POOL_SIZE) -> Choice:
    """Draw the pool at random; three others arrive, the smallest scenario of all among them.

    rows: samples by scenario. The smallest one is kept out of the pool, so that it can arrive. Raises ValueError where
    there are too few scenarios.
    """
    if len(rows) < pool_size + ARRIVALS:
        raise ValueError(f"{len(rows)} scenarios are too few: the demo needs {pool_size + ARRIVALS}")
    smallest = min(sorted(rows), key=lambda name: rows[name])
    others = sorted(set(rows) - {smallest})
    generator = random.Random(seed)
    pool = sorted(generator.sample(others, pool_size))
    rest = sorted(set(others) - set(pool))
    return Choice(pool=pool, arrivals=[*sorted(generator.sample(rest, ARRIVALS - 1)), smallest])
