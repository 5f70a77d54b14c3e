"""Regularized evolution: who becomes a parent."""

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, IntDistribution
from optuna.trial import TrialState

from longtail_trainer.search.samplers.evolution import EvolutionSampler

SPACE = {"x": IntDistribution(0, 99), "y": IntDistribution(0, 99), "kind": CategoricalDistribution(["a", "b", "c"])}


@pytest.fixture(autouse=True)
def quiet():
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield
    optuna.logging.set_verbosity(before)


def told(study: optuna.Study, place: int, value: float | None, state: TrialState = TrialState.COMPLETE):
    study.add_trial(
        optuna.create_trial(state=state, params={"x": place, "y": place, "kind": "a"}, distributions=SPACE, value=value)
    )


def child(study: optuna.Study, seed: int) -> dict[str, object]:
    study.sampler = EvolutionSampler(seed, population=3, tournament=60)  # so large that the best one wins
    trial = study.ask(SPACE)
    study.tell(trial, state=TrialState.FAIL)
    return trial.params


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_a_child_differs_on_one_axis_from_the_best_of_the_youngest(direction):
    study = optuna.create_study(direction=direction)
    sign = 1 if direction == "minimize" else -1
    told(study, 10, sign * 0.0)  # the best of all, but too old
    told(study, 20, sign * 3.0)
    told(study, 30, sign * 1.0)
    told(study, 40, sign * 2.0)
    told(study, 50, None, TrialState.PRUNED)
    told(study, 60, None, TrialState.FAIL)
    parent = {"x": 30, "y": 30, "kind": "a"}
    children = [child(study, seed) for seed in range(20)]
    assert all(sum(one[name] != parent[name] for name in parent) == 1 for one in children)
    assert {name for one in children for name in parent if one[name] != parent[name]} == set(parent)


def test_until_the_population_is_complete_draws_come_from_the_whole_space():
    study = optuna.create_study()
    told(study, 20, 3.0)
    told(study, 30, 1.0)
    children = [child(study, seed) for seed in range(10)]
    assert sum(one["x"] not in (20, 30) and one["y"] not in (20, 30) for one in children) > 5


@pytest.mark.parametrize("changes", [{"population": 0}, {"tournament": 0}])
def test_an_empty_population_or_tournament_is_refused(changes):
    with pytest.raises(ValueError, match=r"population \(.*\) and tournament \(.*\) must be at least 1"):
        EvolutionSampler(**changes)
