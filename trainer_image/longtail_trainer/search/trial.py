"""One trial of a search: what its objective is told and may be stopped by, and what is recorded of it."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from optuna.trial import FrozenTrial, Trial, TrialState

from longtail_trainer.running.stop import Stop

State = Literal["complete", "pruned", "failed"]
STATES: dict[TrialState, State] = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
}
SECONDS, REASON = "seconds", "reason"
HOPELESS = "Hopeless: worse than the median of the earlier trials at the same epoch"
TRIAL_DEADLINE = "TrialDeadlineExceeded"
SEARCH_DEADLINE = "SearchDeadlineExceeded"


class Report(Protocol):
    """What an objective calls. Whatever these raise ends the trial: the objective lets it pass."""

    def __call__(self, epoch: int, value: float) -> None:
        """The figure after an epoch, counted from 1, in the search's direction."""
        ...

    def raise_if_requested(self) -> None:
        """To be called often, between batches: here time limits and the step's stop signal end a trial."""
        ...


class TrialEnded(Exception):
    """The search ends a trial early; the message is the reason that is recorded."""


class TrialReport:
    """The `Report` of a running trial."""

    def __init__(
        self, trial: Trial, stop: Stop, clock: Callable[[], float], trial_deadline: float, search_deadline: float
    ) -> None:
        self._trial = trial
        self._stop = stop
        self._clock = clock
        self._trial_deadline = trial_deadline
        self._search_deadline = search_deadline

    def __call__(self, epoch: int, value: float) -> None:
        self._trial.report(value, epoch)
        if self._trial.should_prune():
            raise TrialEnded(HOPELESS)
        self.raise_if_requested()

    def raise_if_requested(self) -> None:
        self._stop.raise_if_requested()
        now = self._clock()
        if now >= self._search_deadline:
            raise TrialEnded(SEARCH_DEADLINE)
        if now >= self._trial_deadline:
            raise TrialEnded(TRIAL_DEADLINE)


@dataclass(frozen=True)
class TrialRecord:
    """What became of a trial.

    value: of a complete trial its result, of a pruned one the last figure it reported, if any.
    reason: why it was pruned, or the error by which it failed.
    """

    number: int
    parameters: dict[str, Any]
    state: State
    value: float | None
    seconds: float
    reason: str | None

    @classmethod
    def of(cls, trial: FrozenTrial) -> "TrialRecord":
        """The record of a finished trial."""
        value = trial.value
        if trial.state == TrialState.PRUNED and trial.last_step is not None:
            value = trial.intermediate_values[trial.last_step]
        return cls(
            trial.number,
            dict(trial.params),
            STATES[trial.state],
            None if value is None or math.isnan(value) else value,
            float(trial.user_attrs.get(SECONDS, 0.0)),
            trial.user_attrs.get(REASON),
        )
