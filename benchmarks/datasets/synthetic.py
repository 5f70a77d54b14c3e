"""Long-tail scenarios from a known truth: sizes by a power law, clusters of scenarios, related tasks.

The truth, in order:
- Scenario i has a share of `--rows` proportional to (i + 1) ** -exponent, at least `--min-rows`. Scenario i belongs to
  cluster i mod K; 7 in 10 of its rows are of entities at home in that cluster, so scenarios of a cluster share more
  entities (SAMD's implicit similarity). Its attribute `market` names the cluster in 85 of 100 scenarios (explicit).
- A row has ten directions of about unit variance (`DIRECTIONS`): two decayed sums over its last events, a slow and a
  fast one, so that content and order count; profile and context; two interactions of history and profile.
- Task t weighs them by a unit vector. The cosine of two tasks' vectors is the relation matrix of `truth.json`: above
  zero for correlated tasks, below for conflicting ones. A cluster turns all vectors by some angle, a scenario by a
  smaller one; a turn keeps the relation matrix as it is.
- label ~ Bernoulli(sigmoid(scenario's offset + SIGNAL * weights · directions)). A null counts as the average.

So the best AUC that any model can reach is that of the true probabilities. `truth.json` has it per scenario and task,
on the test rows themselves: compare a model's AUC on the same rows. `truth.parquet` has their true probabilities.
The same arguments give the same rows; memory does not grow with `--events` but for some bytes per entity.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.datasets.tables import (
    BEHAVIORS,
    PROFILE,
    SAMPLES,
    TRUE_PROBABILITIES,
    TRUTH,
    UTC_TIME,
    InvalidInput,
    Tables,
    check_tables,
    write_schema,
)
from longtail_api.data_schema import BehaviorSequence, DataSchema, FeatureColumns, LabelColumn, SplitRule

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

START = datetime(2024, 1, 1, tzinfo=UTC)
DAY = 86_400_000_000  # microseconds
SPAN = 90 * DAY
FIRST_SAMPLE = 30 * DAY

DIRECTIONS = ("slow", "fast", "age", "tenure", "tier", "region", "price", "slot", "slow*tenure", "fast*tier")
# The first task's weights before normalization: history leads.
FIRST_TASK = (1.0, 1.0, 0.4, 0.5, 0.5, 0.3, 0.4, 0.3, 0.5, 0.4)
# Cosine of task t with the first one.
RELATIONS = (1.0, 0.8, -0.6, 0.0, 0.5, -0.3, 0.7, -0.8)
SIGNAL = 1.9
SLOW, FAST = 0.9, 0.6

KINDS = ("view", "search", "cart", "order", "return", "review", "share", "visit")
KIND_VALUES = np.array([-0.4, 0.2, 0.9, 1.6, -1.6, 0.5, -0.1, -1.1])
CHANNELS = ("app", "web", "store")
CHANNEL_GAINS = np.array([1.3, 0.6, -0.8])
TIERS = ("none", "bronze", "silver", "gold")
TIER_EFFECTS = np.array([-1.3, -0.4, 0.4, 1.3])
REGIONS = tuple(f"region-{i:02d}" for i in range(12))
SLOTS = ("top", "side", "feed", "banner", "mail")
SLOT_EFFECTS = np.array([1.4, -0.5, 0.5, -1.4, 0.0])
SURFACES = ("home", "checkout", "search", "message")

NULL_SHARE = 0.03
NO_HISTORY_SHARE = 0.02
MOVED_SHARE = 0.2  # entities whose profile changes once
AT_HOME_SHARE = 0.7
TOLD_SHARE = 0.85
VALIDATION_SHARE = 0.15
FEWEST_VALIDATION_ROWS = 50
PART_EVENTS = 500_000


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


def schema(options: Options, attributes: dict[str, dict[str, str]]) -> DataSchema:
    return DataSchema(
        labels=[LabelColumn(name=label) for label in options.labels],
        context=FeatureColumns(categorical=["slot"], numeric=["price"]),
        profile=FeatureColumns(categorical=["tier", "region"], numeric=["age", "tenure_days"]),
        behaviors=[
            BehaviorSequence(
                name="events", categorical=["kind", "channel"], numeric=["amount"], max_length=options.length
            )
        ],
        split=SplitRule(method="column"),
        scenario_attributes=attributes,
    )


def auc(labels: NDArray[np.integer], scores: Floats) -> float | None:
    """Area under the ROC curve, ties count half; None where only one class is present."""
    positives = int(labels.sum())
    negatives = labels.size - positives
    if not positives or not negatives:
        return None
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    return float((ranks[labels == 1].sum() - positives * (positives + 1) / 2) / (positives * negatives))


@dataclass(frozen=True)
class Truth:
    """What the labels are drawn from."""

    relation: Floats
    """(tasks, tasks): cosines of the tasks' weight vectors, the same in every scenario."""
    weights: Floats
    """(scenarios, tasks, directions), unit vectors."""
    offsets: Floats
    """(scenarios, tasks), logits."""
    region_effects: Floats

    def probabilities(self, scenario: Integers, directions: Floats) -> Floats:
        """(rows, tasks), of the rows' scenarios and their (rows, directions)."""
        logits = self.offsets[scenario] + SIGNAL * np.einsum("rtd,rd->rt", self.weights[scenario], directions)
        return 1 / (1 + np.exp(-logits))


def _turn(random: np.random.Generator, angle: float) -> Floats:
    """A random rotation of all directions that turns a vector by about `angle` radians (Cayley transform)."""
    size = len(DIRECTIONS)
    noise = random.normal(size=(size, size))
    skew = (noise - noise.T) * (angle / 2 / np.sqrt(2 * (size - 1)))
    return np.asarray(np.linalg.solve(np.eye(size) - skew, np.eye(size) + skew), dtype=np.float64)


def truth(options: Options) -> Truth:
    random = np.random.default_rng([options.seed, 1])
    first = np.array(FIRST_TASK) / np.linalg.norm(FIRST_TASK)
    # Orthonormal: the first column is the first task, the others are each task's own part.
    basis, _ = np.linalg.qr(np.column_stack([first, random.normal(size=(len(DIRECTIONS), options.tasks))]))
    basis[:, 0] = first
    cosines = np.array(RELATIONS[: options.tasks])
    shared = np.outer(cosines, basis[:, 0]) + np.sqrt(1 - cosines**2)[:, None] * basis[:, 1:].T
    clusters = [shared @ _turn(random, options.cluster_angle).T for _ in range(options.clusters)]
    weights = np.stack(
        [clusters[i % options.clusters] @ _turn(random, options.scenario_angle).T for i in range(options.scenarios)]
    )
    effects = random.normal(size=len(REGIONS))
    return Truth(
        relation=np.asarray(shared @ shared.T, dtype=np.float64),
        weights=weights,
        offsets=random.normal(-0.7, 0.5, size=(options.scenarios, options.tasks)),
        region_effects=(effects - effects.mean()) / effects.std(),
    )


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


@dataclass(frozen=True)
class Events:
    """A part's events by entity and time, and what they add to the two histories."""

    table: pl.DataFrame
    first_of_entity: Integers
    keys: Integers
    """entity within the part * SPAN + time, ascending."""
    slow: Floats
    fast: Floats


@dataclass(frozen=True)
class Profiles:
    """A part's profiles: one state of each entity from the start, and for some a second from `moved_at`."""

    table: pl.DataFrame
    moved_at: Integers
    """(entities,), SPAN where the profile stays."""
    directions: Floats
    """(entities, states, [age, tenure, tier, region])."""


def _names(entities: Integers) -> pl.Series:
    return pl.select(pl.format("e{}", pl.Series(entities).cast(pl.String).str.zfill(8))).to_series().alias("entity")


def _times(offsets: Integers) -> pl.Series:
    start = int(START.timestamp()) * 1_000_000
    return pl.Series("time", offsets + start).cast(pl.Datetime("us")).dt.replace_time_zone("UTC").cast(UTC_TIME)


def _words(name: str, choices: tuple[str, ...], codes: Integers, absent: NDArray[np.bool_]) -> pl.Series:
    return pl.Series(name, choices).gather(pl.Series(np.where(absent, 0, codes))).set(pl.Series(absent), None)


def _numbers(name: str, values: Floats, absent: NDArray[np.bool_]) -> pl.Series:
    return pl.Series(name, values).set(pl.Series(absent), None)


def _events(part: Part, random: np.random.Generator) -> Events:
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
            _names(local + part.first),
            _times(keys - local * SPAN),
            _words("kind", KINDS, kind, no_kind),
            _words("channel", CHANNELS, channel, no_channel),
            _numbers("amount", amount, no_amount),
        ]
    )
    return Events(
        table=table,
        first_of_entity=np.concatenate([[0], np.cumsum(part.counts)[:-1]]),
        keys=keys,
        slow=np.where(no_kind, 0, KIND_VALUES[kind]),
        fast=np.where(no_channel | no_amount, 0, CHANNEL_GAINS[channel] * amount),
    )


def _profiles(part: Part, random: np.random.Generator, region_effects: Floats) -> Profiles:
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
                _names(np.arange(part.first, part.last)),
                _times(np.zeros(entities, dtype=np.int64) if state == 0 else moved_at),
                _words("tier", TIERS, tier[:, state], no_tier),
                _words("region", REGIONS, region, no_region),
                _numbers("age", age, no_age),
                _numbers("tenure_days", tenure[:, state], no_tenure),
            ]
        )
        tables.append(table if state == 0 else table.filter(pl.Series(moved_at < SPAN)))
    return Profiles(pl.concat(tables).sort("entity", "time"), moved_at, directions)


def _history(events: Events, entity: Integers, time: Integers, length: int) -> tuple[Floats, Floats]:
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


def _samples(
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
    slow, fast = _history(events, local, chosen.time, options.length)
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
            _names(chosen.entity),
            _times(chosen.time),
            pl.Series("split", SPLITS).gather(pl.Series(chosen.split)),
            _words("slot", SLOTS, slot, no_slot),
            _numbers("price", price, no_price),
            *(pl.Series(label, labels[:, task]) for task, label in enumerate(options.labels)),
            *(pl.Series(f"true:{label}", probabilities[:, task]) for task, label in enumerate(options.labels)),
        ]
    )


def scenario_keys(options: Options) -> list[str]:
    return [f"scenario-{i:04d}" for i in range(options.scenarios)]


def attributes(options: Options) -> dict[str, dict[str, str]]:
    random = np.random.default_rng([options.seed, 4])
    told = random.random(options.scenarios) < TOLD_SHARE
    guess = random.integers(options.clusters, size=options.scenarios)
    surface = random.integers(len(SURFACES), size=options.scenarios)
    return {
        key: {
            "market": f"market-{i % options.clusters if told[i] else guess[i]}",
            "surface": SURFACES[surface[i]],
        }
        for i, key in enumerate(scenario_keys(options))
    }


def generate(options: Options, out: Path) -> pl.DataFrame:
    """Write the data set and its truth into the folder `out`; returns one row per scenario, as `truth.json` has it."""
    known = truth(options)
    all_rows = rows(options)
    made = schema(options, attributes(options))
    folder = out / BEHAVIORS / "events"
    folder.mkdir(parents=True)
    samples: list[pl.DataFrame] = []
    profile: list[pl.DataFrame] = []
    for part in parts(options):
        random = np.random.default_rng([options.seed, 5, part.number])
        events = _events(part, random)
        profiles = _profiles(part, random, known.region_effects)
        chosen = all_rows.of_entities(part.first, part.last)
        samples.append(_samples(options, part, chosen, events, profiles, known, random))
        profile.append(profiles.table)
        if part.number == 0:
            check_tables(Tables(made, samples[0], profile[0], {"events": events.table}))
        events.table.write_parquet(folder / f"part-{part.number:05d}.parquet")
    pl.concat(profile).write_parquet(out / PROFILE)
    labelled = pl.concat(samples).sort("scenario", "time", "entity", maintain_order=True)
    true = [f"true:{label}" for label in options.labels]
    labelled.drop(true).write_parquet(out / SAMPLES)
    tested = labelled.filter(pl.col("split") == "test")
    tested.select("scenario", "entity", "time", *options.labels, *true).rename(
        {column: column.replace("true:", "probability_") for column in true}
    ).write_parquet(out / TRUE_PROBABILITIES)
    write_schema(made, out)
    return _write_truth(options, known, labelled, tested, out)


def _write_truth(
    options: Options, known: Truth, labelled: pl.DataFrame, tested: pl.DataFrame, out: Path
) -> pl.DataFrame:
    counts = {
        (scenario, split): count for scenario, split, count in labelled.group_by("scenario", "split").len().rows()
    }
    by_scenario = tested.partition_by("scenario", as_dict=True)
    scenarios: list[dict[str, object]] = []
    table: list[dict[str, object]] = []
    for i, key in enumerate(scenario_keys(options)):
        test = by_scenario[(key,)]
        best = {label: auc(test[label].to_numpy(), test[f"true:{label}"].to_numpy()) for label in options.labels}
        numbers = {split: counts.get((key, split), 0) for split in SPLITS}
        scenarios.append(
            {
                "name": key,
                "cluster": i % options.clusters,
                "rows": numbers,
                "bestAuc": best,
                "offsets": dict(zip(options.labels, known.offsets[i].tolist(), strict=True)),
                "weights": dict(zip(options.labels, known.weights[i].tolist(), strict=True)),
            }
        )
        positives = labelled.filter(pl.col("scenario") == key).select(pl.col(options.labels).cast(pl.Int64).sum())
        table.append(
            {
                "scenario": key,
                "cluster": i % options.clusters,
                **numbers,
                **{f"{label} positives": positives[label][0] for label in options.labels},
                **{f"{label} best AUC": value for label, value in best.items()},
            }
        )
    document = {
        "schemaVersion": 1,
        "generator": asdict(options),
        "labels": options.labels,
        "relation": known.relation.round(12).tolist(),
        "directions": list(DIRECTIONS),
        "signal": SIGNAL,
        "scenarios": scenarios,
    }
    (out / TRUTH).write_text(json.dumps(document, indent=1) + "\n")
    return pl.DataFrame(table, infer_schema_length=None)
