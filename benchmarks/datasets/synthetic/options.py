"""What the generator is asked for, and its command line."""

import argparse
from dataclasses import dataclass, fields

import numpy as np

from benchmarks.datasets.synthetic.arrays import Integers
from benchmarks.datasets.synthetic.directions import RELATIONS
from benchmarks.datasets.tables import InvalidInput


@dataclass(frozen=True)
class Options:
    """What the generator is asked for; the defaults are the data set that other benchmarks name."""

    scenarios: int = 12
    clusters: int = 3
    tasks: int = 2
    events: int = 400_000
    seed: int = 0
    rows: int = 30_000
    test_rows: int = 2_000
    min_rows: int = 300
    exponent: float = 1.5
    events_per_entity: int = 20
    length: int = 16
    cluster_angle: float = 0.25
    scenario_angle: float = 0.1

    @property
    def entities(self) -> int:
        return max(100, self.clusters * 10, self.events // self.events_per_entity)

    @property
    def labels(self) -> list[str]:
        return [f"task_{task}" for task in range(self.tasks)]

    def training_rows(self) -> Integers:
        shares = [(i + 1) ** -self.exponent for i in range(self.scenarios)]
        return np.array([max(self.min_rows, round(self.rows * share / sum(shares))) for share in shares])


# Help, smallest and largest value of each option.
LIMITS: dict[str, tuple[str, float, float]] = {
    "scenarios": ("number of scenarios", 1, 4096),
    "clusters": ("clusters of scenarios", 1, 1000),
    "tasks": ("labels per row", 1, len(RELATIONS)),
    "events": ("behavior events", 1, 10**10),
    "seed": ("seed of everything random", 0, 2**32),
    "rows": ("training rows of all scenarios together, before --min-rows", 1, 10**8),
    "test_rows": ("test rows of each scenario", 1, 10**7),
    "min_rows": ("fewest training rows of a scenario", 1, 10**7),
    "exponent": ("exponent of the power law of sizes; 0 makes them equal", 0, 10),
    "events_per_entity": ("events of an entity, on average", 1, 10_000),
    "length": ("events before a row that count: the schema's maxLength", 1, 512),
    "cluster_angle": ("radians by which a cluster turns the shared weights", 0, 1.5),
    "scenario_angle": ("radians by which a scenario turns its cluster's weights", 0, 1.5),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    for option in fields(Options):
        words, low, high = LIMITS[option.name]
        parser.add_argument(
            "--" + option.name.replace("_", "-"),
            type=float if isinstance(option.default, float) else int,
            default=option.default,
            metavar="N",
            help=f"{words} ({low:g} to {high:g}; default {option.default})",
        )


def options_of(arguments: argparse.Namespace) -> Options:
    """The options on a command line; raises `InvalidInput` where one is out of bounds."""
    options = Options(**{option.name: getattr(arguments, option.name) for option in fields(Options)})
    for name, (_, low, high) in LIMITS.items():
        value = getattr(options, name)
        if not low <= value <= high:
            raise InvalidInput(f"--{name.replace('_', '-')} {value}: give a value from {low:g} to {high:g}")
    if options.clusters > options.scenarios:
        raise InvalidInput(f"--clusters {options.clusters}: more than --scenarios {options.scenarios}; give fewer")
    return options
