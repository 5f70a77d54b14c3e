"""What a benchmark gives for a comparison to be run: its pieces of work, and how one is carried out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from benchmarks.comparison.cache import Cache
from benchmarks.comparison.rows import Outcome, Work

WorkType = TypeVar("WorkType", bound=Work)
OutcomeType = TypeVar("OutcomeType", bound=Outcome[Any])


@dataclass(frozen=True)
class Repetition(Generic[WorkType]):
    """One seed's work, once its beginning is done.

    scenarios: those that can be compared on. phases: work in the order in which it can be done; that of one phase
    doesn't build on one another. skipped: why a scenario is left out, by scenario.
    """

    scenarios: Sequence[str]
    phases: Sequence[Sequence[WorkType]]
    skipped: Mapping[str, str] = field(default_factory=dict[str, str])


class Benchmark(Protocol[WorkType, OutcomeType]):
    """Handed to other processes, so it can be pickled."""

    @property
    def cache(self) -> Cache[OutcomeType, Any]: ...

    def beginning(self, seed: int) -> WorkType:
        """The work that all else of this seed builds on."""
        ...

    def repetition(self, seed: int, begun: OutcomeType) -> Repetition[WorkType]:
        """What the beginning's outcome leaves to do. Pure."""
        ...

    def carry_out(self, work: WorkType) -> OutcomeType:
        """Do one piece of work, not looking for an earlier outcome. Safe to run again wherever it was stopped.

        Raises `stopping.Interrupted` where it was asked to stop and has left what the next attempt goes on with.
        """
        ...
