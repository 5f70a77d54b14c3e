"""One trial of a search: what its evaluator is told and may be stopped by, what it gives, what is recorded."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from optuna.trial import FrozenTrial, Trial, TrialState

from longtail_api.store_objects import Metric
from longtail_trainer.running.stop import Stop

State = Literal["complete", "pruned", "failed"]
STATES: dict[TrialState, State] = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
}
SECONDS, REASON, FIGURES = "seconds", "reason", "figures"
HOPELESS = "Hopeless: worse than the median of the earlier trials at the same epoch"
TRIAL_DEADLINE = "TrialDeadlineExceeded"
SEARCH_DEADLINE = "SearchDeadlineExceeded"


class Report(Protocol):
    """What an evaluator calls. Whatever these raise ends the trial: the evaluator lets it pass."""

    @property
    def number(self) -> int:
        """Of the trial, from 0: a candidate's weights may follow from it."""
        ...

    def __call__(self, epoch: int, value: float) -> None:
        """The figure after an epoch, counted from 1, in the search's direction."""
        ...

    def raise_if_requested(self) -> None:
        """To be called often, between batches: here time limits and the step's stop signal end a trial."""
        ...


class TrialEnded(Exception):
    """The search ends a trial early; the message is the reason that is recorded."""


@dataclass(frozen=True)
class Judgement:
    """What an evaluator makes of a candidate: the figure that is compared, and all that it came to know."""

    value: float
    figures: Mapping[str, Metric] = field(default_factory=dict[str, Metric])


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

    @property
    def number(self) -> int:
        return self._trial.number

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

    parameters: its point, as samplers see it. value: of a complete trial its result, of a pruned one the last figure
    it reported, if any. reason: why it was pruned, or the error by which it failed. figures: as in `Judgement`.
    """

    number: int
    parameters: dict[str, Any]
    state: State
    value: float | None
    seconds: float
    reason: str | None
    figures: dict[str, Metric]

    @classmethod
    def of(cls, trial: FrozenTrial) -> "TrialRecord":
        """The record of a finished trial."""
        value = trial.value
        if trial.state == TrialState.PRUNED and trial.last_step is not None:
            value = trial.intermediate_values[trial.last_step]
        figures: dict[str, Any] = trial.user_attrs.get(FIGURES, {})
        return cls(
            trial.number,
            dict(trial.params),
            STATES[trial.state],
            None if value is None or math.isnan(value) else value,
            float(trial.user_attrs.get(SECONDS, 0.0)),
            trial.user_attrs.get(REASON),
            {name: Metric.model_validate(figure) for name, figure in figures.items()},
        )
