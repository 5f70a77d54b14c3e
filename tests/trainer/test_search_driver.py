"""The trial loop: what ends it and what doesn't, what it prunes, and that it resumes where it stopped."""

import math
from collections.abc import Callable
from decimal import Decimal

import pytest

from longtail_api.initialization_search import HyperparameterSpace
from longtail_api.store_objects import Metric
from longtail_trainer.methods.alt.initialization.pre_designed import PreDesigned, space_of
from longtail_trainer.running.errors import ConfigInvalid, Terminated
from longtail_trainer.search.driver import Limits, NoTrialCompleted, Result, search
from longtail_trainer.search.journal import ResumeJournal, TrialAttempts
from longtail_trainer.search.samplers import SAMPLERS
from longtail_trainer.search.spaces.decisions import Choice, Decimals, Integers
from longtail_trainer.search.spaces.fields import FieldSpace
from longtail_trainer.search.trial import Judgement, Report

BASE = PreDesigned()
WIDTHS = [4, 8, 12, 16, 20, 24, 28, 32]
ONE_LINE = FieldSpace(decisions=(Choice("architecture.behavior_width", tuple(WIDTHS)),), base=BASE)
NUMBERS = FieldSpace(
    decisions=(
        Integers("architecture.behavior_width", 2, 64),
        Integers("training.batch_size", 16, 1024, log=True),
        Decimals("training.learning_rate", Decimal("0.0001"), Decimal("0.1"), log=True),
    ),
    base=BASE,
)
PAPER_SPACE = space_of(HyperparameterSpace(), BASE)

EVERY_ALGORITHM = pytest.mark.parametrize(
    "algorithm",
    [pytest.param(name, marks=[pytest.mark.slow] if name == "gp" else []) for name in SAMPLERS if name != "uniform"],
)
"""Fitting a Gaussian process takes seconds a trial. Uniform draws are of choices alone."""


def quality(candidate: PreDesigned, report: object = None) -> float:
    """Best at width 40, batches of 128 and a learning rate of 0.01; its best figure is 0."""
    architecture, training = candidate.architecture, candidate.training
    return -(
        abs(architecture.behavior_width - 40) / 64
        + abs(math.log(training.batch_size / 128)) / 6
        + abs(math.log10(float(training.learning_rate)) + 2)
    )


class Clock:
    """A clock that only the objective moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Memory:
    """A resume point in memory."""

    def __init__(self) -> None:
        self.saved: dict[str, bytes] = {}

    def save(self, name: str, payload: bytes) -> None:
        self.saved[name] = payload

    def load(self, name: str) -> bytes | None:
        return self.saved.get(name)


@EVERY_ALGORITHM
def test_every_algorithm_searches_numbers_and_choices_and_comes_near(algorithm):
    trials = 10 if algorithm == "gp" else 40
    result = search(quality, NUMBERS, algorithm, Limits(max_trials=trials), seed=1)
    assert result.ended == "MaxTrialsReached"
    assert len(result.trials) == trials
    assert result.value == quality(result.found) > -0.9
    paper = search(quality, PAPER_SPACE, algorithm, Limits(max_trials=4))
    assert paper.found.architecture.behavior_layers in (2, 3, 4)


def test_an_unknown_algorithm_is_refused_before_anything_runs():
    with pytest.raises(ConfigInvalid, match=r"no search algorithm 'sobol'; choose one of racos, tpe"):
        search(_never, NUMBERS, "sobol")


def _never(*_: object) -> float:
    raise AssertionError("no trial should run")


def test_a_failed_trial_is_recorded_with_its_error_and_the_search_goes_on():
    def objective(candidate: PreDesigned, report: object) -> float:
        if candidate.architecture.behavior_width == 8:
            raise MemoryError("8 is too wide")
        return float("nan") if candidate.architecture.behavior_width == 12 else candidate.architecture.behavior_width

    result = search(objective, ONE_LINE, "random", Limits(max_trials=60))
    assert (result.value, result.found.architecture.behavior_width) == (32, 32)
    reasons = {
        one.parameters["architecture.behavior_width"]: one.reason for one in result.trials if one.state == "failed"
    }
    assert reasons == {"8": "MemoryError: 8 is too wide", "12": "NotANumber: the evaluator gave NaN"}


def test_candidates_that_are_invalid_fail_alone():
    space = FieldSpace(decisions=(Choice("architecture.behavior_heads", (1, 3)),), base=BASE)
    result = search(lambda *_: 1.0, space, limits=Limits(max_trials=10))
    failed = [one for one in result.trials if one.state == "failed"]
    assert failed
    assert all(one.reason.startswith("ConfigInvalid: behavior_heads 3") for one in failed)


def test_a_search_without_a_complete_trial_says_why():
    def objective(*_: object) -> float:
        raise RuntimeError("CUDA out of memory")

    with pytest.raises(
        NoTrialCompleted, match=r"none of 3 trials.*RuntimeError: CUDA out of memory; give it"
    ) as caught:
        search(objective, ONE_LINE, limits=Limits(max_trials=3))
    assert caught.value.reason == "NoTrialCompleted"


def test_a_trial_over_its_time_is_pruned_and_the_next_one_has_all_of_its_own():
    clock = Clock()

    def objective(candidate: PreDesigned, report: Callable[[int, float], None]) -> float:
        for epoch in range(1, 4):
            clock.now += candidate.architecture.behavior_width
            report(epoch, 1.0)
        return 1.0

    result = search(
        objective,
        ONE_LINE,
        "racos",
        Limits(max_trials=20, trial_seconds=40, trials_before_pruning=99),
        clock=clock,
    )
    slow = {str(width) for width in WIDTHS if 3 * width >= 40}
    assert {one.parameters["architecture.behavior_width"] for one in result.trials if one.state == "pruned"} == slow
    overdue = [one for one in result.trials if one.reason == "TrialDeadlineExceeded"]
    assert overdue
    assert all(one.value == 1.0 and one.seconds >= 40 for one in overdue)


@pytest.mark.parametrize("during", ["trial", "report"])
def test_the_search_ends_with_its_time_and_keeps_what_is_complete(during):
    clock = Clock()

    def objective(candidate: PreDesigned, report: Callable[[int, float], None]) -> float:
        clock.now += 40
        if during == "report":
            report(1, 0.5)
        return 0.5

    result = search(objective, NUMBERS, limits=Limits(max_trials=50, total_seconds=100), clock=clock)
    assert result.ended == "DeadlineExceeded"
    assert [one.state for one in result.trials] == [
        "complete",
        "complete",
        "complete" if during == "trial" else "pruned",
    ]


def test_hopeless_trials_are_pruned_by_the_median_of_the_earlier_ones():
    def objective(candidate: PreDesigned, report: Callable[[int, float], None]) -> float:
        for epoch in range(1, 6):
            report(epoch, quality(candidate) * (1 + 1 / epoch))
        return quality(candidate)

    limits = Limits(max_trials=30, trials_before_pruning=5, epochs_before_pruning=2)
    result = search(objective, NUMBERS, "random", limits)
    pruned = [one for one in result.trials if one.state == "pruned"]
    assert pruned
    assert all(one.number >= 5 and one.reason.startswith("Hopeless") for one in pruned)
    complete = [one.value for one in result.trials if one.state == "complete"]
    assert result.value == max(complete)
    assert max(one.value for one in pruned) < result.value


def test_a_space_is_exhausted_and_no_candidate_trained_twice():
    trained: list[int] = []

    def objective(candidate: PreDesigned, report: object) -> float:
        trained.append(candidate.architecture.behavior_width)
        return candidate.architecture.behavior_width

    result = search(objective, ONE_LINE, "tpe", Limits(max_trials=500), direction="minimize")
    assert result.ended == "SpaceExhausted"
    assert sorted(trained) == WIDTHS
    assert result.value == 4
    repeated = [one for one in result.trials if one.reason is not None]
    assert len(repeated) == len(result.trials) - len(WIDTHS)
    assert all(one.reason.startswith("Repeated: as trial ") for one in repeated)


@EVERY_ALGORITHM
def test_a_search_that_is_stopped_resumes_to_the_result_of_an_uninterrupted_one(algorithm):
    limits = Limits(max_trials=6 if algorithm == "gp" else 18)
    expected = search(quality, NUMBERS, algorithm, limits, seed=3)
    memory, asked = Memory(), []

    def stopped_now_and_then(candidate: PreDesigned, report: object) -> float:
        asked.append(candidate)
        if len(asked) in (3, 5, 10):
            raise Terminated("stopped by SIGTERM")
        return quality(candidate)

    stops = 0
    while True:
        try:
            result = search(stopped_now_and_then, NUMBERS, algorithm, limits, seed=3, journal=ResumeJournal(memory))
            break
        except Terminated:
            stops += 1
    assert stops >= 2
    assert [one.parameters for one in result.trials] == [one.parameters for one in expected.trials]
    assert (result.found, result.value) == (expected.found, expected.value)
    repeated = sum(one.reason is not None for one in result.trials)
    assert len(asked) == limits.max_trials - repeated + stops  # each stopped trial again, no finished one


def test_the_time_of_earlier_attempts_counts():
    memory, clock = Memory(), Clock()

    def objective(candidate: PreDesigned, report: object) -> float:
        clock.now += 30
        return 0.5

    first = search(
        objective,
        NUMBERS,
        limits=Limits(max_trials=2, total_seconds=100),
        journal=ResumeJournal(memory),
        clock=clock,
    )
    assert first.ended == "MaxTrialsReached"
    second = search(
        objective,
        NUMBERS,
        limits=Limits(max_trials=9, total_seconds=100),
        journal=ResumeJournal(memory),
        clock=clock,
    )
    assert (second.ended, len(second.trials)) == ("DeadlineExceeded", 4)


def test_a_stop_between_trials_ends_the_search_and_loses_none():
    memory = Memory()

    class StopAfterThree:
        def raise_if_requested(self) -> None:
            if len(told) == 3:
                raise Terminated("stopped by SIGTERM")

    told: list[int] = []
    with pytest.raises(Terminated):
        search(
            quality, NUMBERS, journal=ResumeJournal(memory), stop=StopAfterThree(),
            on_trial=lambda record: told.append(record.number),
        )  # fmt: skip
    assert told == [0, 1, 2]
    assert len(search(quality, NUMBERS, limits=Limits(max_trials=3), journal=ResumeJournal(memory)).trials) == 3


@pytest.mark.parametrize(("name", "value"), [("max_trials", 0), ("trial_seconds", -1.0), ("total_seconds", math.nan)])
def test_limits_that_allow_nothing_are_refused_by_name(name, value):
    with pytest.raises(ConfigInvalid, match=f"{name} of the search is"):
        Limits(**{name: value})


def test_a_trial_in_which_the_process_dies_again_and_again_fails_at_last_and_the_rest_goes_on():
    memory = Memory()
    begun: list[int] = []

    def objective(candidate: PreDesigned, report: object) -> float:
        begun.append(candidate.architecture.behavior_width)
        if len(begun) <= 2:
            raise KeyboardInterrupt  # as a kill does, it leaves no trace of the trial
        return 1.0

    def attempt() -> Result:
        return search(
            objective, ONE_LINE, limits=Limits(max_trials=5), journal=ResumeJournal(memory),
            attempts=TrialAttempts(memory),
        )  # fmt: skip

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            attempt()
    result = attempt()
    assert result.trials[0].state == "failed"
    assert result.trials[0].reason.startswith("ProcessDied: 2 attempts")
    assert begun.count(begun[0]) == 2  # nor is it run under another number
    assert result.ended == "MaxTrialsReached"
    assert "complete" in {one.state for one in result.trials}


def test_an_attempt_that_was_told_to_stop_is_not_held_against_its_trial():
    memory = Memory()

    def stopped(*_: object) -> float:
        raise Terminated("stopped by SIGTERM")

    def attempt(objective: Callable[..., float]) -> Result:
        return search(
            objective, ONE_LINE, limits=Limits(max_trials=1), journal=ResumeJournal(memory),
            attempts=TrialAttempts(memory),
        )  # fmt: skip

    for _ in range(5):
        with pytest.raises(Terminated):
            attempt(stopped)
    assert attempt(lambda *_: 1.0).trials[0].state == "complete"


@pytest.mark.parametrize(("direction", "goal", "trials"), [("maximize", 0.5, 3), ("minimize", 0.3, 2)])
def test_a_search_is_content_with_its_goal_and_a_later_attempt_too(direction, goal, trials):
    memory = Memory()
    figures = iter([0.4, 0.3, 0.6, 0.9])

    def attempt() -> Result[PreDesigned]:
        return search(
            lambda *_: next(figures), NUMBERS, limits=Limits(max_trials=9, goal=goal), direction=direction,
            journal=ResumeJournal(memory),
        )  # fmt: skip

    first = attempt()
    assert (first.ended, len(first.trials)) == ("GoalReached", trials)
    assert attempt() == first


def test_all_figures_of_a_trial_are_kept_and_outlive_a_kill():
    memory, told = Memory(), []

    def attempt(stops: bool) -> Result[PreDesigned]:
        def evaluate(candidate: PreDesigned, report: Report) -> Judgement:
            if stops and report.number == 2:
                raise Terminated("stopped by SIGTERM")
            figures = {"auc": Metric(value=0.1 * report.number, rows=7), "ece": Metric(reason="MetricNotEstimable")}
            return Judgement(-math.inf if report.number == 0 else 0.1 * report.number, figures)

        limits = Limits(max_trials=3)
        return search(evaluate, NUMBERS, limits=limits, journal=ResumeJournal(memory), on_trial=told.append)

    with pytest.raises(Terminated):
        attempt(stops=True)
    result = attempt(stops=False)
    assert [one.number for one in told] == [0, 1, 2]
    assert [one.figures["auc"] for one in result.completed] == [
        Metric(value=0.1 * number, rows=7) for number in range(3)
    ]
    assert result.completed[0].figures["ece"].reason == "MetricNotEstimable"
    assert (result.trials[0].value, result.best) == (-math.inf, result.completed[2])


def test_the_first_trials_are_those_that_are_given_once_however_often_it_is_resumed():
    memory = Memory()
    given = NUMBERS.encode(NUMBERS.decode({"architecture.behavior_width": 33}))
    stops = iter([True, False, True, False, False, False])

    def evaluate(candidate: PreDesigned, report: Report) -> float:
        if next(stops):
            raise Terminated("stopped by SIGTERM")
        return quality(candidate)

    def attempt() -> Result[PreDesigned]:
        return search(
            evaluate, NUMBERS, limits=Limits(max_trials=4), first=[given], journal=ResumeJournal(memory)
        )  # fmt: skip

    for _ in range(2):
        with pytest.raises(Terminated):
            attempt()
    result = attempt()
    assert result.completed[0].point == given
    assert [one.number for one in result.trials] == [0, 1, 2, 3]
    assert given not in [one.point for one in result.completed[1:]]
