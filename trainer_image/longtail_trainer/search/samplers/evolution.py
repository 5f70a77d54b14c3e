"""Regularized (aging) evolution, as an optuna sampler: Real, Aggarwal, Huang, Le, AAAI 2019, Algorithm 1."""

import secrets
from collections.abc import Sequence
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from longtail_trainer.search.samplers.asking import Asking
from longtail_trainer.search.samplers.axes import Axis, axis_of
from longtail_trainer.search.samplers.coverage import Solution, draw
from longtail_trainer.search.samplers.history import KnownTrials, joint_space, only_direction, rank, trial_random


class EvolutionSampler(BaseSampler):
    """A child of the best of `tournament` random members of the `population` youngest complete trials.

    The child differs from its parent on one random axis, drawn anew there. The first `population` trials are drawn
    from the whole space. Pruned and failed trials are no parents. Parameters that not every trial has are drawn from
    their whole range. A trial's draw follows from `seed`, its number and the finished trials alone.
    """

    def __init__(self, seed: int | None = None, population: int = 20, tournament: int = 5) -> None:
        """Raises `ValueError` where the population or the tournament would be empty."""
        if min(population, tournament) < 1:
            raise ValueError(f"population ({population}) and tournament ({tournament}) must be at least 1")
        self._seed = secrets.randbits(64) if seed is None else seed
        self._population = population
        self._tournament = tournament

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """The parameters that all trials have, in the same range."""
        return joint_space(study)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """One child. Raises `ValueError` where the study has several objectives."""
        direction = only_direction(study)
        if not search_space:
            return {}
        known = KnownTrials(study, search_space)
        complete = [one for one in known.trials if one.state == TrialState.COMPLETE][-self._population :]
        best_first = [known.solution(one) for one in sorted(complete, key=lambda one: rank(one, direction))]
        random = trial_random(self._seed, trial, known.names)
        return known.new(lambda: self._child(known.axes, best_first, random))

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """A draw from the whole range. Raises `ValueError` where the study has several objectives."""
        only_direction(study)
        axis = axis_of(param_distribution)
        return axis.value(axis.draw(trial_random(self._seed, trial, [param_name]), axis.whole))

    def _child(self, axes: Sequence[Axis], best_first: Sequence[Solution], random: np.random.Generator) -> Solution:
        if len(best_first) < self._population:
            return draw(axes, tuple(axis.whole for axis in axes), random)
        # With the best one first, the winner of a tournament is the one with the lowest index.
        parent = best_first[int(random.integers(len(best_first), size=self._tournament).min())]
        mutated = int(random.integers(len(axes)))
        child = list(parent)
        child[mutated] = axes[mutated].draw(random, axes[mutated].whole)
        return tuple(child)


def evolution(asking: Asking) -> BaseSampler:
    """A fifth of the search fills the population."""
    population = max(4, min(50, asking.max_trials // 5))
    return EvolutionSampler(asking.trial_seed, population, tournament=max(2, population // 4))
