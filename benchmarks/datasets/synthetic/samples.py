"""The samples table: context and labels, drawn from the truth."""

import numpy as np
import polars as pl

from benchmarks.datasets.synthetic.columns import NULL_SHARE, names, numbers, times, words
from benchmarks.datasets.synthetic.events import Events, history
from benchmarks.datasets.synthetic.known_truth import Truth
from benchmarks.datasets.synthetic.options import Options
from benchmarks.datasets.synthetic.parts import Part
from benchmarks.datasets.synthetic.profiles import Profiles
from benchmarks.datasets.synthetic.sample_rows import SPLITS, Rows
from benchmarks.datasets.synthetic.scenarios import scenario_keys

SLOTS = ("top", "side", "feed", "banner", "mail")
SLOT_EFFECTS = np.array([1.4, -0.5, 0.5, -1.4, 0.0])


def samples_of(
    options: Options,
    part: Part,
    chosen: Rows,
    events: Events,
    profiles: Profiles,
    known: Truth,
    random: np.random.Generator,
) -> pl.DataFrame:
    """The part's sample rows with labels, and the true probabilities as `true:<label>`."""
    size = chosen.entity.size
    local = chosen.entity - part.first
    slow, fast = history(events, local, chosen.time, options.length)
    state = (profiles.moved_at[local] <= chosen.time).astype(np.int64)
    age, tenure, tier, region = profiles.directions[local, state].T
    log_price = random.normal(size=size)
    slot = random.integers(len(SLOTS), size=size)
    price = np.exp(3 + 0.5 * log_price).round(2)
    no_price, no_slot = (random.random(size) < NULL_SHARE for _ in range(2))
    directions = np.column_stack(
        [
            slow,
            fast,
            age,
            tenure,
            tier,
            region,
            np.where(no_price, 0, (np.log(price) - 3) / 0.5),
            np.where(no_slot, 0, SLOT_EFFECTS[slot]),
            slow * tenure,
            fast * tier,
        ]
    )
    probabilities = known.probabilities(chosen.scenario, directions)
    labels = (random.random(probabilities.shape) < probabilities).astype(np.int8)
    return pl.DataFrame(
        [
            pl.Series("scenario", scenario_keys(options)).gather(pl.Series(chosen.scenario)),
            names(chosen.entity),
            times(chosen.time),
            pl.Series("split", SPLITS).gather(pl.Series(chosen.split)),
            words("slot", SLOTS, slot, no_slot),
            numbers("price", price, no_price),
            *(pl.Series(label, labels[:, task]) for task, label in enumerate(options.labels)),
            *(pl.Series(f"true:{label}", probabilities[:, task]) for task, label in enumerate(options.labels)),
        ]
    )
