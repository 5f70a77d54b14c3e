"""How much of a comparison is done, and how long the rest may take."""

from collections import Counter
from collections.abc import Iterable, Sequence

from benchmarks.comparison.rows import Work


class Progress:
    """Counts pieces of work by kind; a kind's mean time, once known, stands for those of it that are left."""

    def __init__(self, repetitions: int, jobs: int = 1) -> None:
        self._later = repetitions
        self._jobs = jobs
        self._left = Counter[str]()
        self._of_one: Counter[str] = Counter()
        self._done = 0
        self._seconds = Counter[str]()
        self._timed = Counter[str]()

    def repetition(self, work: Sequence[Work]) -> None:
        """All work of one more repetition is known. Those that come are expected to have as much."""
        self._later -= 1
        self._of_one = Counter(one.kind for one in work)
        self._left.update(self._of_one)

    def cached(self, work: Iterable[Work]) -> None:
        """An earlier run did these."""
        for one in work:
            self._finished(one.kind)

    def carried_out(self, work: Work, seconds: float) -> None:
        self._finished(work.kind)
        self._seconds[work.kind] += seconds
        self._timed[work.kind] += 1

    def _finished(self, kind: str) -> None:
        self._left[kind] -= 1
        self._done += 1

    def line(self) -> str:
        """`12 of 340 units, about 25 minutes left`; less of it where less is known."""
        if not self._of_one:
            return f"{self._done} units"
        left = self._left.copy()
        for kind, count in self._of_one.items():
            left[kind] += self._later * count
        total = self._done + left.total()
        counted = f"{self._done} of {total} units"
        if not self._timed:
            return counted
        mean = sum(self._seconds.values()) / self._timed.total()
        seconds = sum(
            count * (self._seconds[kind] / self._timed[kind] if self._timed[kind] else mean)
            for kind, count in left.items()
        )
        return f"{counted}, about {_words(seconds / self._jobs)} left"


def _words(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"
