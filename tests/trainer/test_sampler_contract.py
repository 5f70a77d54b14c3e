"""What every registered sampler promises, whatever it learns by; and optuna's own suite, for the samplers of ours."""

import random
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import optuna
import pytest
from optuna.samplers import BaseSampler
from optuna.testing.pytest_samplers import BasicSamplerTestCase, RelativeSamplerTestCase, SingleOnlySamplerTestCase

from longtail_trainer.running.errors import ConfigInvalid, Terminated
from longtail_trainer.search.budget import FLOPS, Budget
from longtail_trainer.search.driver import Limits, Result, search
from longtail_trainer.search.journal import ResumeJournal
from longtail_trainer.search.samplers import SAMPLERS, Asking, sampler_of
from longtail_trainer.search.samplers.evolution import EvolutionSampler
from longtail_trainer.search.samplers.racos import RacosSampler
from longtail_trainer.search.samplers.uniform import UniformSampler, distinct_draws
from longtail_trainer.search.spaces.decisions import Choice, Condition, Decimals, Integers
from longtail_trainer.search.spaces.space import Point, Space
from tests.trainer.test_search_spaces import PlainPicks, PlainSpace

CHOICES = PlainPicks(
    decisions=tuple(Choice(name, ("a", "b", "c"), {FLOPS: (1, 2, 3)}) for name in ("first", "second", "third"))
)
NUMBERS = PlainSpace(
    decisions=(
        Integers("width", 1, 64),
        Decimals("rate", Decimal("0.001"), Decimal("0.1"), log=True),
        Choice("kind", ("a", "b")),
    )
)
CONDITIONAL = PlainSpace(
    decisions=(
        Choice("deep", (True, False)),
        Choice("size", (1, 2, 3), condition=Condition("deep", (True,))),
        Integers("width", 1, 8),
    )
)
ONLY_CHOICES = {"uniform"}
"""Draw from spaces of independent choices alone."""
SPACES = {"choices": CHOICES, "numbers": NUMBERS, "conditional": CONDITIONAL}

EVERY_SAMPLER = pytest.mark.parametrize(
    ("sampler", "space"),
    [
        pytest.param(name, space, id=f"{name}-{kind}", marks=[pytest.mark.slow] if name == "gp" else [])
        for name in SAMPLERS
        for kind, space in SPACES.items()
        if kind == "choices" or name not in ONLY_CHOICES
    ],
)
"""Fitting a Gaussian process takes seconds a trial."""


class Memory(dict[str, bytes]):
    """A resume point in memory."""

    def save(self, name: str, payload: bytes) -> None:
        self[name] = payload

    def load(self, name: str) -> bytes | None:
        return self.get(name)


def quality(point: Point, report: object = None) -> float:
    """Any figure that differs between points."""
    return random.Random(repr(sorted(point.items()))).random()


def searched(sampler: str, space: Space[Point], seed: int = 1, trials: int = 8, **more: Any) -> Result[Point]:
    return search(more.pop("evaluate", quality), space, sampler, Limits(trials), seed=seed, **more)


def asked(result: Result[Point]) -> list[dict[str, Any]]:
    return [one.parameters for one in result.trials]


@EVERY_SAMPLER
def test_it_asks_for_points_of_the_space_alone(sampler, space):
    for candidate in searched(sampler, space).completed:
        taken = {one.name for one in space.decisions if one.condition is None or candidate.point["deep"]}
        assert set(candidate.point) == taken
        for one in space.decisions:
            value = candidate.point.get(one.name)
            assert value is None or (value in one.options if isinstance(one, Choice) else one.low <= value <= one.high)


@EVERY_SAMPLER
def test_what_it_asks_for_follows_from_the_seed(sampler, space):
    assert asked(searched(sampler, space)) == asked(searched(sampler, space))
    assert asked(searched(sampler, space)) != asked(searched(sampler, space, seed=2))


@EVERY_SAMPLER
def test_stopped_in_any_trial_it_goes_on_as_it_would_have(sampler, space):
    expected, memory, begun = searched(sampler, space), Memory(), []

    def stopped_every_third_time(point: Point, report: object) -> float:
        begun.append(point)
        if len(begun) % 3 == 0:
            raise Terminated("stopped by SIGTERM")
        return quality(point)

    result = None
    while result is None:
        try:
            result = searched(sampler, space, evaluate=stopped_every_third_time, journal=ResumeJournal(memory))
        except Terminated:
            continue
    assert asked(result) == asked(expected)
    assert (result.best, result.value) == (expected.best, expected.value)


@EVERY_SAMPLER
def test_what_is_to_be_first_is_the_first_trial_and_counts_as_one(sampler, space):
    if sampler in ONLY_CHOICES:
        given: Point = {"first": "c", "second": "c", "third": "b"}
    else:
        given = searched("random", space, seed=9, trials=1).best.point
    result = searched(sampler, space, trials=3, first=[given])
    assert result.trials[0].parameters == space.parameters(given)
    assert len(result.trials) == 3
    assert result.value >= quality(given)


@pytest.mark.parametrize("sampler", [name for name in SAMPLERS if name not in ("gp", "cmaes", "tpe", "random")])
def test_it_finds_every_point_of_a_small_space(sampler):
    result = searched(sampler, CHOICES, trials=300)
    assert result.ended == "SpaceExhausted"
    assert result.value == max(quality(CHOICES.point((a, b, c))) for a in range(3) for b in range(3) for c in range(3))


def test_uniform_draws_stay_inside_the_budget_and_end_with_what_is_there():
    budget = Budget(flops=4)
    result = searched("uniform", CHOICES, trials=100, budget=budget)
    found = [CHOICES.picks(candidate.point) for candidate in result.completed]
    assert result.ended == "SpaceExhausted"
    assert sorted(found) == [(0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0)]
    draws = distinct_draws(UniformSampler(CHOICES, 4), budget, random.Random(1))
    assert found == list(draws), "the sequence of the seed, trial by trial"


def test_uniform_draws_from_what_cannot_be_counted_are_refused_before_anything_runs():
    with pytest.raises(ConfigInvalid, match="which a space of choices alone allows"):
        searched("uniform", NUMBERS)


@pytest.fixture(autouse=True)
def quiet():
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield
    optuna.logging.set_verbosity(before)


OURS: dict[str, Callable[[], BaseSampler]] = {
    "racos": lambda: sampler_of("racos", Asking(3, 3, 100)),
    "racos, with its defaults": RacosSampler,
    # The suite's studies are short: with sets of one each, its draws come from boxes, and with two a child has parents.
    "racos, from the second trial on": lambda: RacosSampler(
        seed=3, positives=1, negatives=1, exploration=0.1, free_axes=2
    ),
    "evolution": lambda: sampler_of("evolution", Asking(3, 3, 100)),
    "evolution, from the third trial on": lambda: EvolutionSampler(seed=3, population=2, tournament=2),
}


@pytest.mark.parametrize("made", OURS)
class TestOptunasSuite(BasicSamplerTestCase, RelativeSamplerTestCase, SingleOnlySamplerTestCase):
    @pytest.fixture
    def sampler(self, made) -> Callable[[], BaseSampler]:
        return OURS[made]
