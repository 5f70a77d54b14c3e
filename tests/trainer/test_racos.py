"""RACOS: what its boxes cover, which trials it learns from, and that it finds what it should."""

import math
from itertools import product
from typing import Any

import numpy as np
import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from longtail_trainer.search.samplers.axes import axis_of
from longtail_trainer.search.samplers.coverage import contains, covering_box, draw
from longtail_trainer.search.samplers.racos import RacosSampler

optuna.logging.set_verbosity(optuna.logging.ERROR)

DISTRIBUTIONS = [
    FloatDistribution(-1, 2),
    FloatDistribution(1e-5, 1, log=True),
    FloatDistribution(0, 1, step=0.25),
    IntDistribution(-3, 9),
    IntDistribution(2, 20, step=3),
    IntDistribution(1, 4096, log=True),
    CategoricalDistribution(["a", "b", "c"]),
]
AXES = [axis_of(distribution) for distribution in DISTRIBUTIONS]
WHOLE = tuple(axis.whole for axis in AXES)


def solutions(count: int, seed: int) -> list[tuple[float, ...]]:
    random = np.random.default_rng(seed)
    return [draw(AXES, WHOLE, random) for _ in range(count)]


@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 2**32), negatives=st.integers(0, 30), free=st.integers(1, 8))
def test_a_box_covers_its_positive_and_no_negative_and_is_free_on_few_axes(seed, negatives, free):
    positive, *others = solutions(negatives + 1, seed)
    random = np.random.default_rng(seed)
    box = covering_box(AXES, positive, others, free, random)
    assert contains(box, positive)
    assert not any(contains(box, other) for other in others if other != positive)
    assert sum(low < high for low, high in box) <= free
    drawn = draw(AXES, box, random)
    assert contains(box, drawn)
    for axis, coordinate, distribution in zip(AXES, drawn, DISTRIBUTIONS, strict=True):
        value = axis.value(coordinate)
        assert distribution._contains(distribution.to_internal_repr(value))
        assert axis.coordinate(value) == pytest.approx(coordinate)


def test_without_negatives_and_with_every_axis_free_the_box_is_the_whole_space():
    positive = solutions(1, 0)[0]
    assert covering_box(AXES, positive, [], len(AXES), np.random.default_rng(0)) == WHOLE


def test_a_negative_equal_to_the_positive_does_not_hold_it_up():
    positive = solutions(1, 0)[0]
    assert contains(covering_box(AXES, positive, [positive] * 5, 3, np.random.default_rng(0)), positive)


def test_neighboring_floats_are_told_apart():
    axes = [axis_of(FloatDistribution(0, 1))]
    near = math.nextafter(0.5, 1)
    box = covering_box(axes, (0.5,), [(near,)], 1, np.random.default_rng(0))
    assert contains(box, (0.5,))
    assert not contains(box, (near,))


def test_logarithmic_parameters_are_drawn_evenly_over_their_magnitudes():
    random = np.random.default_rng(0)
    for distribution in (FloatDistribution(1, 4096, log=True), IntDistribution(1, 4096, log=True)):
        axis = axis_of(distribution)
        values = [axis.value(axis.draw(random, axis.whole)) for _ in range(2000)]
        assert 0.4 < np.mean(np.array(values) <= 64) < 0.65  # the square root of 4096


SPACE = {"x": FloatDistribution(0, 1), "kind": CategoricalDistribution(["a", "b"])}


def told(study: optuna.Study, x: float, value: float | None, state: TrialState = TrialState.COMPLETE, **more: Any):
    study.add_trial(
        optuna.create_trial(
            state=state, params={"x": x, "kind": "a"}, distributions=SPACE, value=value, user_attrs={}, **more
        )
    )


def asked(study: optuna.Study, count: int = 40) -> list[float]:
    """What would be asked for next, by that many seeds: x of one dimension at a time."""
    xs: list[float] = []
    for seed in range(count):
        study.sampler = RacosSampler(seed, positives=1, negatives=2, exploration=0, free_axes=2)
        trial = study.ask(SPACE)
        xs.append(trial.params["x"])
        study.tell(trial, state=TrialState.FAIL)
    return xs


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_draws_stay_around_the_best_solution_in_either_direction(direction):
    study = optuna.create_study(direction=direction)
    sign = 1 if direction == "minimize" else -1
    told(study, 0.5, sign * 1.0)
    told(study, 0.4, sign * 2.0)
    told(study, 0.6, sign * 3.0)
    assert all(0.4 < x < 0.6 for x in asked(study))


def test_a_pruned_trial_is_a_negative_however_good_its_last_value_was():
    study = optuna.create_study()
    told(study, 0.5, 1.0)
    told(study, 0.4, None, TrialState.PRUNED, intermediate_values={1: 0.01})
    told(study, 0.6, None, TrialState.PRUNED)
    assert all(0.4 < x < 0.6 for x in asked(study))


def test_failed_and_running_trials_teach_nothing():
    study = optuna.create_study()
    told(study, 0.9, None, TrialState.FAIL)
    told(study, 0.5, 1.0)
    told(study, 0.1, None, TrialState.RUNNING)
    told(study, 0.6, 1.5)
    xs = asked(study)  # two known solutions are fewer than the sets hold: the whole space
    assert min(xs) < 0.4
    assert max(xs) > 0.7


def optimized(seed: int | None, trials: int, parts: int = 1) -> list[dict[str, Any]]:
    """The parameters of a study, carried out by that many processes one after the other."""
    storage = optuna.storages.InMemoryStorage()
    for _ in range(parts):
        study = optuna.create_study(storage=storage, study_name="s", load_if_exists=True, sampler=RacosSampler(seed))
        study.optimize(
            lambda trial: trial.suggest_float("x", -1, 1) ** 2 + trial.suggest_int("y", 0, 9), n_trials=trials // parts
        )
    return [one.params for one in study.trials]


def test_the_same_seed_gives_the_same_study_however_often_it_is_resumed():
    assert optimized(7, 30) == optimized(7, 30, parts=3)
    assert optimized(7, 30) != optimized(8, 30)
    assert optimized(None, 30) != optimized(None, 30)


def test_nothing_is_asked_for_twice_while_something_new_is_near():
    study = optuna.create_study(sampler=RacosSampler(0))
    space = {"a": CategoricalDistribution(list(range(6))), "b": IntDistribution(0, 5)}
    trials = [study.ask(space) for _ in range(6)]  # running side by side
    for trial in trials:
        study.tell(trial, trial.params["a"] + trial.params["b"])
    for _ in range(14):
        trial = study.ask(space)
        study.tell(trial, trial.params["a"] + trial.params["b"])
    points = [tuple(sorted(trial.params.items())) for trial in study.trials]
    assert len(set(points)) == len(points)


def test_a_space_that_is_exhausted_is_asked_again_instead_of_hanging():
    study = optuna.create_study(sampler=RacosSampler(0))
    study.optimize(lambda trial: trial.suggest_int("x", 0, 1) + trial.suggest_int("y", 0, 1), n_trials=20)
    assert {(one.params["x"], one.params["y"]) for one in study.trials} == set(product((0, 1), (0, 1)))


def test_parameters_that_only_some_trials_have_are_learnt_by_themselves():
    study = optuna.create_study(sampler=RacosSampler(0))

    def objective(trial: optuna.Trial) -> float:
        if trial.suggest_categorical("kind", ["near", "far"]) == "near":
            return abs(trial.suggest_float("near", 0, 1) - 0.3)
        return 1 + trial.suggest_float("far", 0, 1)

    study.optimize(objective, n_trials=80)
    assert study.best_value < 0.02


def test_it_finds_a_hidden_string_where_random_draws_do_not():
    hidden = "20110212"

    def objective(trial: optuna.Trial) -> float:
        return sum(trial.suggest_categorical(f"x{n}", ["0", "1", "2"]) == wanted for n, wanted in enumerate(hidden))

    def best(sampler: optuna.samplers.BaseSampler) -> float:
        study = optuna.create_study(direction="maximize", sampler=sampler)
        study.optimize(objective, n_trials=80)
        return study.best_value

    assert [best(RacosSampler(seed)) for seed in range(3)] == [8, 8, 8]
    assert all(best(optuna.samplers.RandomSampler(seed)) < 8 for seed in range(3))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"positives": 0}, r"positives \(0\)"),
        ({"negatives": 0}, r"negatives \(0\)"),
        ({"free_axes": 0}, r"free_axes \(0\)"),
        ({"exploration": 1.5}, "exploration is 1.5"),
    ],
)
def test_parameters_that_make_no_sense_are_refused_by_name(changes, message):
    with pytest.raises(ValueError, match=message):
        RacosSampler(**changes)
