"""Carries out the work of every seed, over several processes if asked, and gathers what it left."""

import multiprocessing
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor, CancelledError, Future, ProcessPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from benchmarks.comparison.benchmark import Benchmark
from benchmarks.comparison.progress import Progress
from benchmarks.comparison.rows import FigureRow, Outcome, Work
from benchmarks.comparison.stopping import STOPPING, Interrupted

WorkType = TypeVar("WorkType", bound=Work)
OutcomeType = TypeVar("OutcomeType", bound=Outcome[Any])


@dataclass
class Gathered:
    """All rows so far.

    scenarios: those that could be prepared, by seed. skipped: reasons, by scenario, each told once with its seeds.
    failed: by piece of work. outputs: what each kind of work found beside its rows. missing: work not done. seconds:
    of all work done, now or before. complete: seeds with nothing missing. interrupted: whether it was asked to stop.
    """

    rows: list[FigureRow] = field(default_factory=list[FigureRow])
    skipped: dict[str, str] = field(default_factory=dict[str, str])
    failed: dict[str, str] = field(default_factory=dict[str, str])
    scenarios: dict[int, list[str]] = field(default_factory=dict[int, list[str]])
    outputs: dict[str, list[dict[str, Any]]] = field(default_factory=dict[str, list[dict[str, Any]]])
    missing: int = 0
    seconds: float = 0.0
    complete: list[int] = field(default_factory=list[int])
    interrupted: bool = False

    def add(self, work: Work, outcome: Outcome[Any]) -> None:
        self.rows += outcome.rows
        self.seconds += outcome.seconds
        self.outputs.setdefault(work.kind, []).append(outcome.outputs)


def carried_out(work: WorkType, benchmark: Benchmark[WorkType, OutcomeType]) -> OutcomeType:
    """The work's outcome, kept in the cache; found there where it was done before. Raises as `Benchmark` says.

    A step of the work may take SIGTERM for itself while it runs, and says so by `Interrupted`; where the signal comes
    between two steps, the work goes on to its end, and nothing follows it.
    """
    STOPPING.raise_if_requested()
    found = benchmark.cache.outcome(work)
    if found is None:
        started = time.monotonic()
        found = benchmark.carry_out(work)
        found = found.model_copy(update={"seconds": round(time.monotonic() - started, 3)})
        benchmark.cache.keep(work, found)
    return found


class Runner(Generic[WorkType, OutcomeType]):
    """jobs: processes; 1 works in this one. only_cached: start nothing, gather what stands in the cache."""

    def __init__(self, benchmark: Benchmark[WorkType, OutcomeType], jobs: int = 1, only_cached: bool = False) -> None:
        self.benchmark = benchmark
        self.jobs = jobs
        self.only_cached = only_cached
        self._pool: ProcessPoolExecutor | None = None
        self._progress = Progress(0)

    def run(self, seeds: Sequence[int], after_seed: Callable[[Gathered], object]) -> Gathered:
        """One seed after the other, so that an interrupted run has whole repetitions to show."""
        gathered = Gathered()
        self._progress = Progress(len(seeds), self.jobs)
        with ExitStack() as stack:
            stack.enter_context(STOPPING.listening())
            if self.jobs > 1 and not self.only_cached:
                # Fresh interpreters: torch and polars don't survive a fork.
                spawn = multiprocessing.get_context("spawn")
                self._pool = stack.enter_context(ProcessPoolExecutor(self.jobs, spawn, STOPPING.listen))
            for seed in seeds:
                failures, missing = len(gathered.failed), gathered.missing
                self._seed(seed, gathered)
                if gathered.interrupted:
                    break
                if (len(gathered.failed), gathered.missing) == (failures, missing):
                    gathered.complete.append(seed)
                after_seed(gathered)
        self._pool = None
        return gathered

    def _seed(self, seed: int, gathered: Gathered) -> None:
        beginning = self.benchmark.beginning(seed)
        self.phase([beginning], gathered)
        begun = self.benchmark.cache.outcome(beginning)
        if begun is None:
            return
        repetition = self.benchmark.repetition(seed, begun)
        for scenario, why in repetition.skipped.items():
            told = f"{scenario}: {why}"
            earlier = gathered.skipped.get(told)
            gathered.skipped[told] = f"{earlier}, {seed}" if earlier else f"seed {seed}"
        gathered.scenarios[seed] = list(repetition.scenarios)
        self._progress.repetition([beginning, *(work for phase in repetition.phases for work in phase)])
        for phase in repetition.phases:
            self.phase(phase, gathered)

    def phase(self, every: Sequence[WorkType], gathered: Gathered) -> None:
        """All of these, none of which builds on another."""
        cache = self.benchmark.cache
        found = {work: outcome for work in every if (outcome := cache.outcome(work)) is not None}
        for work, outcome in found.items():
            gathered.add(work, outcome)
        self._progress.cached(found)
        left = [work for work in every if work not in found]
        gathered.interrupted |= STOPPING.requested()
        if self.only_cached or gathered.interrupted:
            gathered.missing += len(left)
        elif self._pool is None:
            for work in left:
                self._settle(work, lambda work=work: carried_out(work, self.benchmark), gathered)
        else:
            futures: dict[Future[OutcomeType], WorkType] = {
                self._pool.submit(carried_out, work, self.benchmark): work for work in left
            }
            for future in as_completed(futures):
                self._settle(futures[future], future.result, gathered)
                gathered.interrupted |= STOPPING.requested()  # whatever became of the signal in the other processes
                if gathered.interrupted:
                    for other in futures:
                        other.cancel()

    def _settle(self, work: WorkType, outcome: Callable[[], OutcomeType], gathered: Gathered) -> None:
        """One failure doesn't end a run of hours: it is told at once, and again in the report."""
        try:
            found = outcome()
        except (Interrupted, CancelledError):
            gathered.interrupted = True
            gathered.missing += 1
        except Exception as error:
            if isinstance(error, BrokenExecutor) and STOPPING.requested():
                gathered.interrupted = True  # a process that was just starting knew no better than to end
                gathered.missing += 1
                return
            gathered.failed[work.title()] = f"{type(error).__name__}: {error}"
            self._progress.cached([work])
            print(f"FAILED {work.title()}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
        else:
            gathered.add(work, found)
            self._progress.carried_out(work, found.seconds)
            print(f"{work.title()}: {found.seconds:.1f} s ({self._progress.line()})", file=sys.stderr, flush=True)
