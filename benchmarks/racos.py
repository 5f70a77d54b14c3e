"""RACOS against other samplers on NAS-Bench-Macro: regret of the best of N architectures.

    python -m benchmarks.racos [--data FOLDER] [--seeds 20] [--evaluations 100] [--json benchmarks/results/racos.json]

`FOLDER` has `nas/nas_bench_macro.json` (6,561 CIFAR-10 architectures: 8 layers, 3 operations each); the default is
`$LONGTAIL_DATA`, else `../shared/data` beside the checkout. Regret: points of accuracy (mean of three trainings) that
the best architecture found lacks to the best there is. Where ZOOpt is installed (a development-only oracle, no
dependency), its RACOS is a row too.
"""

import argparse
import importlib.util
import json
import math
import os
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import fmean, median, stdev
from typing import Any

import numpy as np
import optuna
from optuna.samplers import BaseSampler

from benchmarks.comparison.results import Claim, write_result
from longtail_trainer.search.samplers import Asking, sampler_of
from longtail_trainer.search.samplers.racos import RacosSampler

LAYERS, OPERATIONS = 8, ["0", "1", "2"]
FLOORS = {"random": 0.255, "ZOOpt's RACOS": 0.083, "regularized evolution": 0.079, "multivariate TPE": 0.032}
"""Measured earlier on the same file; printed beside."""

Accuracies = dict[str, float]
Method = Callable[[Accuracies, int, int], float]
"""(accuracies, seed, evaluations) → the best accuracy found."""


def by_sampler(make: Callable[[int, int], BaseSampler]) -> Method:
    """A method that asks an optuna sampler, made of (seed, evaluations)."""

    def best(accuracies: Accuracies, seed: int, evaluations: int) -> float:
        study = optuna.create_study(direction="maximize", sampler=make(seed, evaluations))
        study.optimize(
            lambda trial: accuracies[
                "".join(trial.suggest_categorical(f"layer{number}", OPERATIONS) for number in range(LAYERS))
            ],
            n_trials=evaluations,
        )
        return study.best_value

    return best


def zoopt_racos(accuracies: Accuracies, seed: int, evaluations: int) -> float:
    """ZOOpt's RACOS with its own choice of set sizes. It draws from the global generators."""
    from zoopt import Dimension, Objective, Opt, Parameter  # pyright: ignore[reportMissingImports]

    random.seed(seed)
    np.random.seed(seed)
    dimension = Dimension(LAYERS, [[0, len(OPERATIONS) - 1]] * LAYERS, [False] * LAYERS, [False] * LAYERS)
    objective = Objective(lambda solution: -accuracies["".join(map(str, solution.get_x()))], dimension)
    return -Opt.min(objective, Parameter(budget=evaluations, seed=seed)).get_value()


METHODS: dict[str, Method] = {
    "random": by_sampler(lambda seed, evaluations: sampler_of("random", Asking(seed, seed, evaluations))),
    "tpe": by_sampler(lambda seed, evaluations: sampler_of("tpe", Asking(seed, seed, evaluations))),
    "evolution": by_sampler(lambda seed, evaluations: sampler_of("evolution", Asking(seed, seed, evaluations))),
    "racos": by_sampler(lambda seed, evaluations: sampler_of("racos", Asking(seed, seed, evaluations))),
    "racos, 1 positive, 5 negatives": by_sampler(lambda seed, _: RacosSampler(seed, positives=1, negatives=5)),
}


def measure(accuracies: Accuracies, seeds: int, evaluations: int) -> list[dict[str, Any]]:
    """One row per method: regrets by seed, and what they come to; differences to `racos` are paired by seed."""
    methods = dict(METHODS)
    if importlib.util.find_spec("zoopt"):
        methods["ZOOpt's RACOS"] = zoopt_racos
    top = max(accuracies.values())
    rows: list[dict[str, Any]] = []
    for name, method in methods.items():
        started = time.monotonic()
        regrets = [top - method(accuracies, seed, evaluations) for seed in range(seeds)]
        rows.append({"method": name, "regrets": regrets, "seconds": round(time.monotonic() - started, 1)})
    ours = next(row["regrets"] for row in rows if row["method"] == "racos")
    for row in rows:
        regrets = row["regrets"]
        row["mean"], row["standardError"] = fmean(regrets), stdev(regrets) / math.sqrt(seeds)
        row["median"] = median(regrets)
        differences = [theirs - mine for theirs, mine in zip(regrets, ours, strict=True)]
        row["overRacos"], row["overRacosHalfInterval"] = (
            fmean(differences),
            1.96 * stdev(differences) / math.sqrt(seeds),
        )
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """The rows as a person reads them."""
    lines = [f"{'method':<32} {'mean':>6} {'± s.e.':>7} {'median':>7} {'more than racos (95 %)':>24} {'seconds':>8}"]
    lines += [
        f"{row['method']:<32} {row['mean']:6.3f} {row['standardError']:7.3f} {row['median']:7.3f} "
        f"{row['overRacos']:+15.3f} ± {row['overRacosHalfInterval']:.3f} {row['seconds']:8.1f}"
        for row in rows
    ]
    lines.append("measured earlier, 100 evaluations: " + ", ".join(f"{name} {value}" for name, value in FLOORS.items()))
    return "\n".join(lines)


def claims(rows: list[dict[str, Any]]) -> list[Claim]:
    """The paired differences to random search and to TPE."""
    found: list[Claim] = []
    for other in ("random", "tpe"):
        row = next(row for row in rows if row["method"] == other)
        figure, half = row["overRacos"], row["overRacosHalfInterval"]
        interval = (figure - half, figure + half)
        name = f"regret of {other} less that of RACOS, points of accuracy"
        found.append(Claim(name=name, figure=figure, interval=interval, target="> 0", holds=interval[0] > 0))
    return found


def parser() -> argparse.ArgumentParser:
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    result = argparse.ArgumentParser(prog="python -m benchmarks.racos", description=(__doc__ or "").splitlines()[0])
    result.add_argument("--data", type=Path, default=Path(os.environ.get("LONGTAIL_DATA", beside)))
    result.add_argument("--seeds", type=int, default=20)
    result.add_argument("--evaluations", type=int, default=100)
    result.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to this file")
    return result


def main(arguments: list[str] | None = None) -> int:
    """Exit code 2 where the data isn't there."""
    options = parser()
    chosen = options.parse_args(arguments)
    if chosen.seeds < 2:
        options.error("--seeds: give at least 2, a standard error needs them")
    path = chosen.data / "nas" / "nas_bench_macro.json"
    if not path.exists():
        print("nas/nas_bench_macro.json is not in the data folder; name the folder by --data or LONGTAIL_DATA")
        return 2
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    accuracies = {name: one["mean_acc"] for name, one in json.loads(path.read_text()).items()}
    rows = measure(accuracies, chosen.seeds, chosen.evaluations)
    print(table(rows))
    if chosen.json:
        command = f"python -m benchmarks.racos --seeds {chosen.seeds} --evaluations {chosen.evaluations}"
        write_result(chosen.json, command, sum(row["seconds"] for row in rows), claims(rows), rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
