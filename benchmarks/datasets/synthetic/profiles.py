"""Who the entities are: a table of profiles, and what these add to a row's directions."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from benchmarks.datasets.synthetic.arrays import Floats, Integers
from benchmarks.datasets.synthetic.calendar import FIRST_SAMPLE, SPAN
from benchmarks.datasets.synthetic.columns import NULL_SHARE, names, numbers, times, words
from benchmarks.datasets.synthetic.parts import Part

TIERS = ("none", "bronze", "silver", "gold")
TIER_EFFECTS = np.array([-1.3, -0.4, 0.4, 1.3])
REGIONS = tuple(f"region-{i:02d}" for i in range(12))
MOVED_SHARE = 0.2  # entities whose profile changes once


@dataclass(frozen=True)
class Profiles:
    """A part's profiles: one state of each entity from the start, and for some a second from `moved_at`."""

    table: pl.DataFrame
    moved_at: Integers
    """(entities,), SPAN where the profile stays."""
    directions: Floats
    """(entities, states, [age, tenure, tier, region])."""


def profiles_of(part: Part, random: np.random.Generator, region_effects: Floats) -> Profiles:
    entities = part.last - part.first
    moved_at = np.where(random.random(entities) < MOVED_SHARE, random.integers(FIRST_SAMPLE, SPAN, size=entities), SPAN)
    age = random.integers(18, 81, size=entities).astype(np.float64)
    tenure = np.round(random.gamma(2.0, 400.0, size=(entities, 2)))
    tier = random.integers(len(TIERS), size=(entities, 2))
    region = random.integers(len(REGIONS), size=entities)
    no_age, no_tenure, no_tier, no_region = (random.random(entities) < NULL_SHARE for _ in range(4))
    directions = np.zeros((entities, 2, 4))
    tables: list[pl.DataFrame] = []
    for state in range(2):
        directions[:, state, 0] = np.where(no_age, 0, 1.5 * np.tanh((age - 49) / 18))
        # Mean and deviation of log(1 + gamma(2, 400)).
        directions[:, state, 1] = np.where(no_tenure, 0, (np.log1p(tenure[:, state]) - 6.415) / 0.80)
        directions[:, state, 2] = np.where(no_tier, 0, TIER_EFFECTS[tier[:, state]])
        directions[:, state, 3] = np.where(no_region, 0, region_effects[region])
        table = pl.DataFrame(
            [
                names(np.arange(part.first, part.last)),
                times(np.zeros(entities, dtype=np.int64) if state == 0 else moved_at),
                words("tier", TIERS, tier[:, state], no_tier),
                words("region", REGIONS, region, no_region),
                numbers("age", age, no_age),
                numbers("tenure_days", tenure[:, state], no_tenure),
            ]
        )
        tables.append(table if state == 0 else table.filter(pl.Series(moved_at < SPAN)))
    return Profiles(pl.concat(tables).sort("entity", "time"), moved_at, directions)
