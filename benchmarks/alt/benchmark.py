"""ALT's comparison as the runner takes it."""

import importlib
from dataclasses import dataclass

from benchmarks.alt.plan import Wanted, phases
from benchmarks.alt.rows import Outcome, Unit
from benchmarks.alt.units import KINDS
from benchmarks.alt.units.workplace import AltCache, Workplace
from benchmarks.comparison.benchmark import Repetition


@dataclass(frozen=True)
class AltBenchmark:
    """What the command line asks for, where it is done."""

    workplace: Workplace
    wanted: Wanted

    @property
    def cache(self) -> AltCache:
        return self.workplace.cache

    def beginning(self, seed: int) -> Unit:
        return Unit(kind="prepare", seed=seed)

    def repetition(self, seed: int, begun: Outcome) -> Repetition[Unit]:
        scenarios = sorted(begun.outputs["manifests"])
        return Repetition(scenarios, phases(self.wanted, scenarios, seed), begun.outputs["skipped"])

    def carry_out(self, work: Unit) -> Outcome:
        return importlib.import_module(KINDS[work.kind]).run(work, self.workplace)
