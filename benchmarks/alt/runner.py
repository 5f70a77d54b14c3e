"""Carries out the units of every seed, over several processes if asked, and gathers what they left."""

import multiprocessing
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass, field

from benchmarks.alt.plan import Wanted, phases
from benchmarks.alt.rows import Outcome, Row, Unit
from benchmarks.alt.units import carry_out
from benchmarks.alt.units.workplace import Workplace


@dataclass
class Gathered:
    """All rows so far.

    scenarios: those that could be prepared, by seed. skipped: reasons, by seed and scenario. failed: by unit.
    budgets: what each unit of that kind found. missing: units not done. seconds: of all units done, now or before.
    complete: seeds with nothing missing.
    """

    rows: list[Row] = field(default_factory=list[Row])
    skipped: dict[str, str] = field(default_factory=dict[str, str])
    failed: dict[str, str] = field(default_factory=dict[str, str])
    scenarios: dict[int, list[str]] = field(default_factory=dict[int, list[str]])
    budgets: list[dict[str, int]] = field(default_factory=list[dict[str, int]])
    missing: int = 0
    seconds: float = 0.0
    complete: list[int] = field(default_factory=list[int])

    def add(self, unit: Unit, outcome: Outcome) -> None:
        self.rows += outcome.rows
        self.seconds += outcome.seconds
        if unit.kind == "budgets":
            self.budgets.append(outcome.outputs)


class Runner:
    """jobs: processes; 1 works in this one. only_cached: start nothing, gather what stands in the cache."""

    def __init__(self, workplace: Workplace, wanted: Wanted, jobs: int = 1, only_cached: bool = False) -> None:
        self.workplace = workplace
        self.wanted = wanted
        self.jobs = jobs
        self.only_cached = only_cached
        self._pool: ProcessPoolExecutor | None = None

    def run(self, seeds: Sequence[int], after_seed: Callable[[Gathered], object]) -> Gathered:
        """One seed after the other, so that an interrupted run has whole repetitions to show."""
        gathered = Gathered()
        with ExitStack() as stack:
            if self.jobs > 1 and not self.only_cached:
                # Fresh interpreters: torch and polars don't survive a fork.
                spawn = multiprocessing.get_context("spawn")
                self._pool = stack.enter_context(ProcessPoolExecutor(self.jobs, spawn))
            for seed in seeds:
                failures, missing = len(gathered.failed), gathered.missing
                self._seed(seed, gathered)
                if (len(gathered.failed), gathered.missing) == (failures, missing):
                    gathered.complete.append(seed)
                after_seed(gathered)
        return gathered

    def _seed(self, seed: int, gathered: Gathered) -> None:
        prepare = Unit(kind="prepare", seed=seed)
        self._phase([prepare], gathered)
        prepared = self.workplace.cache.outcome(prepare)
        if prepared is None:
            return
        gathered.skipped |= {f"seed {seed}, {name}": why for name, why in prepared.outputs["skipped"].items()}
        gathered.scenarios[seed] = sorted(prepared.outputs["manifests"])
        for units in phases(self.wanted, gathered.scenarios[seed], seed):
            self._phase(units, gathered)

    def _phase(self, units: Sequence[Unit], gathered: Gathered) -> None:
        cache = self.workplace.cache
        found = {unit: outcome for unit in units if (outcome := cache.outcome(unit)) is not None}
        for unit, outcome in found.items():
            gathered.add(unit, outcome)
        left = [unit for unit in units if unit not in found]
        if self.only_cached:
            gathered.missing += len(left)
        elif self._pool is None:
            for unit in left:
                self._settle(unit, lambda unit=unit: carry_out(unit, self.workplace), gathered)
        else:
            futures: dict[Future[Outcome], Unit] = {
                self._pool.submit(carry_out, unit, self.workplace): unit for unit in left
            }
            for future in as_completed(futures):
                self._settle(futures[future], future.result, gathered)

    def _settle(self, unit: Unit, outcome: Callable[[], Outcome], gathered: Gathered) -> None:
        """One failure doesn't end a run of hours: it is told at once, and again in the report."""
        try:
            found = outcome()
        except Exception as error:
            gathered.failed[unit.title()] = f"{type(error).__name__}: {error}"
            print(f"FAILED {unit.title()}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
        else:
            gathered.add(unit, found)
            print(f"{unit.title()}: {found.seconds:.1f} s", file=sys.stderr, flush=True)
