"""Which entity is shown something when, in which scenario and split: the rows before their features."""

from dataclasses import dataclass

import numpy as np

from benchmarks.datasets.synthetic.arrays import Integers
from benchmarks.datasets.synthetic.calendar import FIRST_SAMPLE, SPAN
from benchmarks.datasets.synthetic.options import Options

AT_HOME_SHARE = 0.7
VALIDATION_SHARE = 0.15
FEWEST_VALIDATION_ROWS = 50


@dataclass(frozen=True)
class Rows:
    """Every sample row but for its features, ordered by entity."""

    scenario: Integers
    entity: Integers
    time: Integers
    split: Integers

    def of_entities(self, first: int, last: int) -> "Rows":
        begin, end = np.searchsorted(self.entity, [first, last])
        part = slice(int(begin), int(end))
        return Rows(self.scenario[part], self.entity[part], self.time[part], self.split[part])


SPLITS = ("train", "validation", "test")


def rows(options: Options) -> Rows:
    random = np.random.default_rng([options.seed, 2])
    training = options.training_rows()
    validation = np.maximum(FEWEST_VALIDATION_ROWS, np.round(training * VALIDATION_SHARE)).astype(np.int64)
    counts = np.column_stack([training, validation, np.full_like(training, options.test_rows)])
    scenario = np.repeat(np.arange(options.scenarios), counts.sum(axis=1))
    split = np.concatenate([np.repeat(np.arange(len(SPLITS)), row) for row in counts])
    anywhere = random.integers(options.entities, size=scenario.size)
    # Entity e is at home in cluster e mod K.
    cluster = scenario % options.clusters
    at_home = cluster + options.clusters * random.integers(options.entities // options.clusters, size=scenario.size)
    entity = np.where(random.random(scenario.size) < AT_HOME_SHARE, at_home, anywhere)
    time = random.integers(FIRST_SAMPLE, SPAN, size=scenario.size)
    order = np.lexsort((time, scenario, entity))
    return Rows(scenario[order], entity[order], time[order], split[order])
