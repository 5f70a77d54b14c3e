"""How long a way may take, the time of attempts that were killed included."""

import time
from collections.abc import Callable

from longtail_trainer.running.resume import ResumePoint
from longtail_trainer.running.stop import Stop
from longtail_trainer.search.trial import SEARCH_DEADLINE, TrialEnded

RESUME_POINT = "seconds"


class TimeLimit:
    """A stop signal that also ends what takes too long, with `TrialEnded`; a `Report` that looks at the time alone."""

    def __init__(
        self, seconds: float, resume: ResumePoint, stop: Stop, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.number = 0
        self._seconds = seconds
        self._resume = resume
        self._stop = stop
        self._clock = clock
        self._started = clock() - float(resume.load(RESUME_POINT) or b"0")

    def __call__(self, epoch: int, value: float) -> None:
        """After an epoch: what was spent until here counts for the next attempt, too."""
        self._resume.save(RESUME_POINT, repr(self._clock() - self._started).encode())
        self.raise_if_requested()

    def raise_if_requested(self) -> None:
        self._stop.raise_if_requested()
        spent = self._clock() - self._started
        if spent >= self._seconds:
            self._resume.save(RESUME_POINT, repr(spent).encode())
            raise TrialEnded(SEARCH_DEADLINE)
