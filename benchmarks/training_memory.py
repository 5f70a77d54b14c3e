"""Claim: preparing and training on 20 million behavior events take less than 2 GiB of memory, step by step.

Makes synthetic tables of several sizes, all samples in one scenario (the worst case), prepares them, then runs the
training steps as the operator does, each in a process of its own with one thread: `initialize` on the pool; `adapt`,
`search` and `train-light` on the scenario; `meta-train`, and `initialize` with its search, on the pool. Two more sets:
the smallest size trained for more epochs, since memory must not follow them, and the largest size spread over several
scenarios. There the steps of a scenario are those of the first one, and the teacher labels rows of the others, too.

Every training has one epoch, where its row doesn't say otherwise, meta-training one round, the search two trials; all
else is as a HeavyModel has it by default. `--steps` measures fewer: these, and those that they build on.
Needs some 60 bytes of disk per event, three times.

    python -m benchmarks.training_memory [--events 500000 2000000 20000000] [--scenarios 4] [--epochs 3]
                                         [--steps search meta-train] [--json FILE]
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.comparison.results import Claim
from benchmarks.memory import (
    DATA_VERSION,
    RUN,
    arguments,
    carried_out,
    make_tables,
    owner,
    prepare_config,
    report,
    samples_of,
    schema_of,
    under_limit,
)
from longtail_api.architecture import Training
from longtail_api.initialization_search import EncoderSearch, HyperparameterSearch, InitializationSearch
from longtail_api.light_model_search import Algorithm, DifferentiableParameters, GdasParameters
from longtail_api.methods.alt import (
    AdaptConfig,
    InitializeConfig,
    LightTraining,
    MetaTrainConfig,
    SearchConfig,
    TrainLightConfig,
)
from longtail_api.run_config import StepConfig, StoreAddress
from longtail_api.store_layout import architecture_key, manifest_key, result_key
from longtail_api.store_objects import MetaUpdateParameters

SEARCHED = "initialize-searched"
"""The step `initialize`, with `search`; a second generation of the chain."""
BUILDS_ON = {
    "prepare": None,
    "initialize": "prepare",
    "adapt": "initialize",
    "search": "adapt",
    "train-light": "search",
    "meta-train": "initialize",
    SEARCHED: "prepare",
}
STEPS = tuple(BUILDS_ON)
OF_POOL = ("initialize", "meta-train", SEARCHED)
EPOCHS_RATIO = 1.1
"""Peak memory of a step with several epochs over that with one, at most."""


@dataclass(frozen=True)
class DataSet:
    """One set of tables, and how long is trained on it."""

    events: int
    scenarios: int = 1
    epochs: int = 1


@dataclass(frozen=True)
class Measured:
    """One step on one set. samples: those that it had prepared, which are the pool's for `initialize`."""

    step: str
    events: int
    scenarios: int
    samples: int
    epochs: int
    seconds: float
    cpu_seconds: float
    peak_mib: float

    @property
    def data_set(self) -> DataSet:
        return DataSet(self.events, self.scenarios, self.epochs)


def data_sets(events: Sequence[int], scenarios: int, epochs: int) -> list[DataSet]:
    """Every size once; the smallest with more epochs, the largest with more scenarios, where there are more than 1."""
    sizes = sorted(set(events))
    result = [DataSet(size) for size in sizes]
    if epochs > 1:
        result.append(DataSet(sizes[0], epochs=epochs))
    if scenarios > 1:
        result.append(DataSet(sizes[-1], scenarios=scenarios))
    return result


def with_foundations(steps: Iterable[str]) -> list[str]:
    """These steps and all that they build on, in their order."""
    needed: set[str] = set()
    for step in steps:
        foundation: str | None = step
        while foundation is not None:
            needed.add(foundation)
            foundation = BUILDS_ON[foundation]
    return [step for step in STEPS if step in needed]


def measured(data_set: DataSet, folder: Path, steps: Sequence[str] = STEPS) -> Iterator[Measured]:
    """Prepare a set and train on it; what each step took. Raises where one fails."""
    tables, store = folder / "tables", folder / "store"
    scenarios = make_tables(tables, data_set.events, data_set.scenarios)
    for scenario in reversed(scenarios):  # they are of one size; the last one prepared is the one shown
        config = prepare_config(tables, store, scenario).model_copy(update={"threads": 1})
        usage = carried_out("prepare", config, folder)
    pool, own = samples_of(store, scenarios), samples_of(store, scenarios[:1])

    def row(step: str, samples: int) -> Measured:
        return Measured(
            step,
            data_set.events,
            data_set.scenarios,
            samples,
            data_set.epochs,
            usage.seconds,
            usage.cpu_seconds,
            usage.peak_mib,
        )

    yield row("prepare", own)
    configs = training_configs(tables, store, scenarios, data_set.epochs)
    for step in steps:
        if step in configs:
            usage = carried_out(step, configs[step], folder)
            yield row(step, pool if step in OF_POOL else own)


def training_configs(tables: Path, store: Path, scenarios: Sequence[str], epochs: int) -> dict[str, StepConfig]:
    """The training steps. Those of a scenario are of the first one."""
    own = owner(scenarios[0])
    training = Training(epochs=epochs, fine_tune_epochs=epochs)
    every: dict[str, Any] = {
        "store": StoreAddress(uri=store.as_uri()),
        "identity": "benchmark",
        "run": RUN,
        "threads": 1,
    }
    of_scenario: dict[str, Any] = every | {"owner": own, "manifest": manifest_key(own, DATA_VERSION), "base_version": 1}
    light: dict[str, Any] = of_scenario | {"heavy_result": result_key(own, RUN, "adapt")}
    pool = [manifest_key(owner(scenario), DATA_VERSION) for scenario in scenarios]
    agnostic: dict[str, Any] = every | {"owner": "agnostic", "training": training}
    initialize = InitializeConfig(data_schema=schema_of(tables), schema_hash="benchmark", pool=pool, **agnostic)
    looked_for = InitializationSearch(
        hyperparameters=HyperparameterSearch(max_trials=2),
        architecture=EncoderSearch(gdas=DifferentiableParameters(epochs=epochs)),
    )
    searched = {"identity": SEARCHED, "run": RUN + 1, "schema_hash": SEARCHED, "generation": 2, "search": looked_for}
    return {
        "initialize": initialize,
        "adapt": AdaptConfig(training=training, **of_scenario),
        "search": SearchConfig(algorithm=Algorithm(gdas=GdasParameters(epochs=epochs)), **light),
        "train-light": TrainLightConfig(
            search_result=architecture_key(own, RUN),
            light_version="v1",
            training=training,
            light_training=LightTraining(epochs=epochs),
            **light,
        ),
        "meta-train": MetaTrainConfig(
            generation=1,
            base_version=1,
            manifests=pool,
            parameters=MetaUpdateParameters(learning_rate=0.01, staleness_exponent=0.5, clip_norm=1.0),
            rounds=1,
            episode_epochs=epochs,
            **agnostic,
        ),
        SEARCHED: initialize.model_copy(update=searched),
    }


def claims(rows: Sequence[Measured]) -> list[Claim]:
    """What the figures must show, step by step: the limit at the largest size, and that epochs cost no memory."""
    peaks = {(row.step, row.data_set): row.peak_mib for row in rows}
    sets = {row.data_set for row in rows}
    largest = max(one.events for one in sets)
    found: list[Claim] = []
    measured_steps = [step for step in STEPS if any(row.step == step for row in rows)]
    for step in measured_steps:
        found.append(under_limit(step, largest, max(peaks[step, one] for one in sets if one.events == largest)))
    for one in sorted((one for one in sets if one.epochs > 1), key=lambda one: one.epochs):
        for step in measured_steps[1:]:
            ratio = round(peaks[step, one] / peaks[step, DataSet(one.events, one.scenarios)], 2)
            name = f"peak memory of {step} with {one.epochs} epochs over that with 1, at {one.events:,} events"
            found.append(Claim(name=name, figure=ratio, target=f"<= {EPOCHS_RATIO}", holds=ratio <= EPOCHS_RATIO))
    return found


def described(row: Measured) -> str:
    return (
        f"{row.step:<19} {row.events:>12,} events, {row.scenarios} scenarios, {row.samples:>10,} samples, "
        f"{row.epochs} epochs: peak {row.peak_mib:7.1f} MiB, {row.seconds:6.1f} s, {row.cpu_seconds:6.1f} s of CPU"
    )


def table(rows: Sequence[Measured]) -> str:
    """In Markdown, a line for each set: peak memory and seconds of CPU of every step. Samples are those of the pool."""
    steps = [step for step in STEPS if any(row.step == step for row in rows)]
    lines = [
        "| events | scenarios | samples | epochs | " + " | ".join(steps) + " |",
        "|--:" * (4 + len(steps)) + "|",
    ]
    for data_set in dict.fromkeys(row.data_set for row in rows):
        of_set = {row.step: row for row in rows if row.data_set == data_set}
        cells = [f"{of_set[step].peak_mib:,.0f} MiB, {of_set[step].cpu_seconds:,.0f} s" for step in steps]
        samples = max(row.samples for row in of_set.values())
        lines.append(
            f"| {data_set.events:,} | {data_set.scenarios} | {samples:,} | {data_set.epochs} | {' | '.join(cells)} |"
        )
    return "\n".join(lines)


def parser() -> argparse.ArgumentParser:
    result = arguments("benchmarks.training_memory", __doc__, [500_000, 2_000_000, 20_000_000])
    result.add_argument("--scenarios", type=int, default=4, help="spread the largest size over so many, too")
    result.add_argument("--epochs", type=int, default=3, help="train so often on the smallest size, too")
    result.add_argument("--steps", nargs="+", choices=STEPS, default=STEPS, metavar="STEP", help=", ".join(STEPS))
    return result


def main() -> int:
    options = parser().parse_args()
    steps = with_foundations(options.steps)
    started = time.monotonic()
    rows: list[Measured] = []
    for data_set in data_sets(options.events, options.scenarios, options.epochs):
        with tempfile.TemporaryDirectory(prefix="longtail-training-memory-") as folder:
            for row in measured(data_set, Path(folder), steps):
                rows.append(row)
                print(described(row), flush=True)
    print(table(rows))
    command = ["python -m benchmarks.training_memory --events", *map(str, sorted(set(options.events)))]
    command += ["--scenarios", str(options.scenarios), "--epochs", str(options.epochs)]
    if steps != list(STEPS):
        command += ["--steps", *steps]
    return report(" ".join(command), started, claims(rows), rows, options.json)


if __name__ == "__main__":
    sys.exit(main())
