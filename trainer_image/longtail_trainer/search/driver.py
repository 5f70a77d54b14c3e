"""Search of a space of candidates by any objective: limits, early stop of hopeless trials, fault tolerance, resumption.

ALT IV-C: "the time limitation for every single trial and the overall job, early-stopping for the futureless trials,
and the fault-tolerant mechanism".
"""

import hashlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import optuna
from optuna.pruners import MedianPruner
from optuna.storages import InMemoryStorage, JournalStorage
from optuna.storages.journal import BaseJournalBackend
from optuna.study import Study
from optuna.trial import FixedTrial, Trial, TrialState

from longtail_api.architecture import Architecture, Training
from longtail_trainer.running.errors import ConfigInvalid, GoalUnreachable, PlatformError
from longtail_trainer.running.stop import NeverStops, Stop
from longtail_trainer.search.journal import TrialAttempts
from longtail_trainer.search.samplers.algorithms import sampler_of
from longtail_trainer.search.spaces.fields import Candidate, Space
from longtail_trainer.search.trial import REASON, SECONDS, Report, TrialEnded, TrialRecord, TrialReport

Objective = Callable[[Architecture, Training, Report], float]
"""Trains a candidate and gives its figure; reports the figure after each epoch, in the same direction."""
Direction = Literal["maximize", "minimize"]
Ended = Literal["MaxTrialsReached", "DeadlineExceeded", "SpaceExhausted"]
STUDY = "hyperparameters"
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

    A trial is hopeless, and pruned, where after an epoch its best figure so far is worse than the median of the
    earlier trials' at that epoch; the first `trials_before_pruning` trials and `epochs_before_pruning` epochs are safe.
    Raises `ConfigInvalid` where nothing could be tried.
    """

    max_trials: int = 20
    trial_seconds: float | None = None
    total_seconds: float | None = None
    trials_before_pruning: int = 4
    epochs_before_pruning: int = 2

    def __post_init__(self) -> None:
        for name in ("max_trials", "trial_seconds", "total_seconds"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ConfigInvalid(f"{name} of the hyper-parameter search is {value}; give more than 0")


@dataclass(frozen=True)
class Result:
    """The best candidate, its figure, every trial in order, and why the search ended."""

    best: Candidate
    value: float
    trials: tuple[TrialRecord, ...]
    ended: Ended


def search(
    objective: Objective,
    space: Space,
    base: Candidate,
    algorithm: str = "racos",
    limits: Limits | None = None,
    *,
    direction: Direction = "maximize",
    seed: int = 0,
    journal: BaseJournalBackend | None = None,
    attempts: TrialAttempts | None = None,
    stop: Stop | None = None,
    clock: Callable[[], float] = time.monotonic,
    on_trial: Callable[[TrialRecord], None] = lambda record: None,
) -> Result:
    """Try candidates one after the other until a limit is reached; the best of the complete trials.

    An objective that raises, or gives NaN, is a failed trial, and the search goes on; only a `PlatformError` (the
    stop signal's `Terminated`) passes through: the next attempt with the same `journal` resumes after the last
    finished trial. With a deterministic objective it ends as it would have ended uninterrupted. A candidate that an
    algorithm asks for again isn't trained again: its trial is recorded with the earlier figure, in no time. A trial in
    which the process has died (out of memory, say) as often as `MOST_DEATHS`, by `attempts`, fails without being run.

    Raises `NoTrialCompleted`, and `ConfigInvalid` where there is no such algorithm.
    """
    limits = limits or Limits()
    stop = stop or NeverStops()
    sampler_of(algorithm, seed, limits.max_trials)  # a wrong name is told before anything runs
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # `on_trial` tells what optuna would write
    study = optuna.create_study(
        storage=InMemoryStorage() if journal is None else JournalStorage(journal),
        study_name=STUDY,
        direction=direction,
        load_if_exists=True,
        pruner=MedianPruner(limits.trials_before_pruning, limits.epochs_before_pruning),
    )
    spent = sum(record.seconds for record in _records(study))
    search_deadline = math.inf if limits.total_seconds is None else clock() + limits.total_seconds - spent
    while (ended := _end(study, space, limits, clock() >= search_deadline)) is None:
        stop.raise_if_requested()
        study.sampler = sampler_of(algorithm, _trial_seed(seed, len(study.trials)), limits.max_trials)
        trial = study.ask()
        started = clock()
        trial_deadline = math.inf if limits.trial_seconds is None else started + limits.trial_seconds
        report = TrialReport(trial, stop, clock, trial_deadline, search_deadline)
        died = attempts is not None and attempts.begin(trial.number) >= MOST_DEATHS
        try:
            state, value, reason = _outcome(study, trial, objective, space, base, report, died)
        except PlatformError:
            if attempts is not None:
                attempts.take_back(trial.number)
            raise
        trial.set_user_attr(SECONDS, round(clock() - started, 3))
        if reason is not None:
            trial.set_user_attr(REASON, reason[:LONGEST_REASON])
        study.tell(trial, value, state)
        on_trial(_records(study)[-1])
    return _result(study, space, base, ended)


def _outcome(
    study: Study, trial: Trial, objective: Objective, space: Space, base: Candidate, report: Report, died: bool
) -> tuple[TrialState, float | None, str | None]:
    """Carry a trial out: its state, its figure, and why it has none."""
    try:
        candidate = space.suggest(trial, base)
        earlier = _earlier(study, trial.params)
        if earlier is not None:
            value = earlier.value if earlier.state == "complete" else None
            state = TrialState.PRUNED if value is None else TrialState.COMPLETE
            return state, value, f"Repeated: as trial {earlier.number}"
        if died:
            return TrialState.FAIL, None, DIED
        value = float(objective(candidate.architecture, candidate.training, report))
    except TrialEnded as end:
        return TrialState.PRUNED, None, str(end)
    except PlatformError:
        raise
    except Exception as error:  # whatever it is, it is this candidate's, and is recorded
        return TrialState.FAIL, None, f"{type(error).__name__}: {error}"
    if math.isnan(value):
        return TrialState.FAIL, None, "NotANumber: the objective gave NaN"
    return TrialState.COMPLETE, value, None


def _end(study: Study, space: Space, limits: Limits, late: bool) -> Ended | None:
    """Why the search is over; None where it isn't."""
    finished = study.get_trials(deepcopy=False, states=FINISHED)
    if len(finished) >= limits.max_trials:
        return "MaxTrialsReached"
    if late:
        return "DeadlineExceeded"
    if space.size is not None and len({_point(trial.params) for trial in finished if trial.params}) >= space.size:
        return "SpaceExhausted"
    return None


def _result(study: Study, space: Space, base: Candidate, ended: Ended) -> Result:
    records = _records(study)
    if not any(record.state == "complete" for record in records):
        reasons = sorted({record.reason for record in records if record.reason})
        raise NoTrialCompleted(
            f"none of {len(records)} trials of the hyper-parameter search was completed ({ended}): "
            f"{'; '.join(reasons) or 'there was no time for one'}; give it more time, or other values to try"
        )
    best = study.best_trial
    assert best.value is not None  # it is complete
    return Result(space.suggest(FixedTrial(best.params), base), best.value, tuple(records), ended)


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
