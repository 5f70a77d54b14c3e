"""The one trial loop, of any space and evaluator: limits, early stop of hopeless trials, fault tolerance, resumption.

ALT IV-C: "the time limitation for every single trial and the overall job, early-stopping for the futureless trials,
and the fault-tolerant mechanism".
"""

import hashlib
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal

import optuna
from optuna.pruners import MedianPruner
from optuna.storages import InMemoryStorage, JournalStorage
from optuna.storages.journal import BaseJournalBackend
from optuna.study import Study
from optuna.trial import Trial, TrialState

from longtail_trainer.running.errors import ConfigInvalid, GoalUnreachable, PlatformError
from longtail_trainer.running.stop import NeverStops, Stop
from longtail_trainer.search.budget import UNLIMITED, Budget
from longtail_trainer.search.candidate import Candidate
from longtail_trainer.search.journal import TrialAttempts
from longtail_trainer.search.samplers import Asking, NothingLeft, sampler_of
from longtail_trainer.search.spaces.space import Decoded, Point, Space
from longtail_trainer.search.trial import (
    FIGURES,
    REASON,
    SECONDS,
    Judgement,
    Report,
    TrialEnded,
    TrialRecord,
    TrialReport,
)

Evaluator = Callable[[Decoded, Report], float | Judgement]
"""Judges a decoded candidate; may report a figure after each epoch, in the same direction as the one it gives."""
Direction = Literal["maximize", "minimize"]
Ended = Literal["MaxTrialsReached", "GoalReached", "DeadlineExceeded", "SpaceExhausted"]
STUDY = "search"
LONGEST_REASON = 1000
MOST_DEATHS = 2
"""A Job is given few attempts (`trainer.backoffLimit`); one candidate must not use them all up."""
DIED = f"ProcessDied: {MOST_DEATHS} attempts ended in this trial without a word; it may need more memory than there is"
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)


class NoTrialCompleted(GoalUnreachable):
    """Every trial failed, was pruned, or ran out of time."""

    default_reason = "NoTrialCompleted"


@dataclass(frozen=True)
class Limits:
    """What a search may spend. Seconds are of wall clock; those of earlier attempts at the same search count.

    goal: the figure with which the search is content. A trial is hopeless, and pruned, where after an epoch its best
    figure so far is worse than the median of the earlier trials' at that epoch; the first `trials_before_pruning`
    trials and `epochs_before_pruning` epochs are safe. Raises `ConfigInvalid` where nothing could be tried.
    """

    max_trials: int = 20
    trial_seconds: float | None = None
    total_seconds: float | None = None
    trials_before_pruning: int = 4
    epochs_before_pruning: int = 2
    goal: float | None = None

    def __post_init__(self) -> None:
        for name in ("max_trials", "trial_seconds", "total_seconds"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ConfigInvalid(f"{name} of the search is {value}; give more than 0")


@dataclass(frozen=True)
class Result(Generic[Decoded]):
    """The best candidate, decoded, and its figure; all complete ones and every trial in order; why the search ended."""

    best: Candidate
    found: Decoded
    value: float
    completed: tuple[Candidate, ...]
    trials: tuple[TrialRecord, ...]
    ended: Ended


def search(
    evaluate: Evaluator[Decoded],
    space: Space[Decoded],
    algorithm: str = "racos",
    limits: Limits | None = None,
    *,
    first: Sequence[Point] = (),
    budget: Budget = UNLIMITED,
    direction: Direction = "maximize",
    seed: int = 0,
    journal: BaseJournalBackend | None = None,
    attempts: TrialAttempts | None = None,
    stop: Stop | None = None,
    clock: Callable[[], float] = time.monotonic,
    on_trial: Callable[[TrialRecord], None] = lambda record: None,
) -> Result[Decoded]:
    """Try candidates one after the other until a limit is reached; the best of the complete trials.

    The points of `first` are the first trials, and count as any other; then the algorithm asks. `budget` is for the
    algorithms that draw inside one. An evaluator that raises, or gives NaN, is a failed trial, and the search goes on;
    only a `PlatformError` (the stop signal's `Terminated`) passes through: the next attempt with the same `journal`
    resumes after the last finished trial. With a deterministic evaluator it ends as it would have ended uninterrupted.
    A candidate that an algorithm asks for again isn't evaluated again: its trial is recorded with the earlier figure,
    in no time. A trial in which the process has died (out of memory, say) as often as `MOST_DEATHS`, by `attempts`,
    fails without being run.

    Raises `NoTrialCompleted`, and `ConfigInvalid` where there is no such algorithm.
    """
    limits = limits or Limits()
    stop = stop or NeverStops()

    def asking(number: int) -> Asking:
        return Asking(seed, _trial_seed(seed, number), limits.max_trials, space, budget)

    sampler_of(algorithm, asking(0))  # a wrong name is told before anything runs
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # `on_trial` tells what optuna would write
    study = optuna.create_study(
        storage=InMemoryStorage() if journal is None else JournalStorage(journal),
        study_name=STUDY,
        direction=direction,
        load_if_exists=True,
        pruner=MedianPruner(limits.trials_before_pruning, limits.epochs_before_pruning),
    )
    if not study.get_trials(deepcopy=False):
        for point in first:
            study.enqueue_trial(space.parameters(point))
    spent = sum(record.seconds for record in _records(study))
    search_deadline = math.inf if limits.total_seconds is None else clock() + limits.total_seconds - spent
    while (ended := _end(study, space, limits, clock() >= search_deadline)) is None:
        stop.raise_if_requested()
        study.sampler = sampler_of(algorithm, asking(len(_records(study))))
        trial = study.ask()
        started = clock()
        trial_deadline = math.inf if limits.trial_seconds is None else started + limits.trial_seconds
        report = TrialReport(trial, stop, clock, trial_deadline, search_deadline)
        died = attempts is not None and attempts.begin(trial.number) >= MOST_DEATHS
        try:
            outcome = _outcome(study, trial, evaluate, space, report, died)
        except (PlatformError, NothingLeft) as end:
            if attempts is not None:
                attempts.take_back(trial.number)
            if isinstance(end, PlatformError):
                raise
            ended = "SpaceExhausted"
            break
        trial.set_user_attr(SECONDS, round(clock() - started, 3))
        if outcome.reason is not None:
            trial.set_user_attr(REASON, outcome.reason[:LONGEST_REASON])
        if outcome.judged is not None and outcome.judged.figures:
            figures = {name: figure.to_json_dict() for name, figure in outcome.judged.figures.items()}
            trial.set_user_attr(FIGURES, figures)
        study.tell(trial, None if outcome.judged is None else outcome.judged.value, outcome.state)
        on_trial(_records(study)[-1])
    return _result(study, space, ended)


@dataclass(frozen=True)
class _Outcome:
    """How a trial ended, what is known of a complete one, and why it has no figure of its own."""

    state: TrialState
    judged: Judgement | None = None
    reason: str | None = None


def _outcome(
    study: Study, trial: Trial, evaluate: Evaluator[Decoded], space: Space[Decoded], report: Report, died: bool
) -> _Outcome:
    """Carry a trial out."""
    try:
        candidate = space.decode(space.suggest(trial))
        earlier = _earlier(study, trial.params)
        if earlier is not None:
            reason = f"Repeated: as trial {earlier.number}"
            if earlier.state != "complete" or earlier.value is None:
                return _Outcome(TrialState.PRUNED, reason=reason)
            return _Outcome(TrialState.COMPLETE, Judgement(earlier.value, earlier.figures), reason)
        if died:
            return _Outcome(TrialState.FAIL, reason=DIED)
        judged = evaluate(candidate, report)
        judged = judged if isinstance(judged, Judgement) else Judgement(float(judged))
    except TrialEnded as end:
        return _Outcome(TrialState.PRUNED, reason=str(end))
    except (PlatformError, NothingLeft):
        raise
    except Exception as error:  # whatever it is, it is this candidate's, and is recorded
        return _Outcome(TrialState.FAIL, reason=f"{type(error).__name__}: {error}")
    if math.isnan(judged.value):
        return _Outcome(TrialState.FAIL, reason="NotANumber: the evaluator gave NaN")
    return _Outcome(TrialState.COMPLETE, judged)


def _end(study: Study, space: Space[Any], limits: Limits, late: bool) -> Ended | None:
    """Why the search is over; None where it isn't."""
    finished = study.get_trials(deepcopy=False, states=FINISHED)
    if limits.goal is not None and any(_reaches(trial.value, limits.goal, study) for trial in finished):
        return "GoalReached"
    if len(finished) >= limits.max_trials:
        return "MaxTrialsReached"
    if late:
        return "DeadlineExceeded"
    if space.size is not None and len({_point(trial.params) for trial in finished if trial.params}) >= space.size:
        return "SpaceExhausted"
    return None


def _reaches(value: float | None, goal: float, study: Study) -> bool:
    if value is None:
        return False
    return value >= goal if study.direction == optuna.study.StudyDirection.MAXIMIZE else value <= goal


def _result(study: Study, space: Space[Decoded], ended: Ended) -> Result[Decoded]:
    records = _records(study)
    completed = {
        record.number: Candidate(space.point_of(record.parameters), record.figures)
        for record in records
        if record.state == "complete"
    }
    if not completed:
        reasons = sorted({record.reason for record in records if record.reason})
        raise NoTrialCompleted(
            f"none of {len(records)} trials of the search was completed ({ended}): "
            f"{'; '.join(reasons) or 'there was no time for one'}; give it more time, or other values to try"
        )
    best = study.best_trial
    assert best.value is not None  # it is complete
    found = completed[best.number]
    return Result(found, space.decode(found.point), best.value, tuple(completed.values()), tuple(records), ended)


def _records(study: Study) -> list[TrialRecord]:
    return [TrialRecord.of(trial) for trial in study.get_trials(deepcopy=False, states=FINISHED)]


def _earlier(study: Study, parameters: dict[str, Any]) -> TrialRecord | None:
    """A trial of the same parameters that was complete or pruned, or cost the process its life.

    One that failed otherwise may be tried again.
    """
    for record in _records(study):
        if (record.state != "failed" or record.reason == DIED) and _point(record.parameters) == _point(parameters):
            return record
    return None


def _point(parameters: dict[str, Any]) -> tuple[tuple[str, Any], ...]:
    return tuple(sorted(parameters.items()))


def _trial_seed(seed: int, number: int) -> int:
    """Each trial's own, so that a resumed search draws what an uninterrupted one would have drawn."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{number}".encode()).digest()[:4])
