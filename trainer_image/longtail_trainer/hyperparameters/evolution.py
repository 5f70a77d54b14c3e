"""Regularized (aging) evolution, as an optuna sampler: Real, Aggarwal, Huang, Le, AAAI 2019, Algorithm 1."""

import secrets
from collections.abc import Sequence
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from longtail_trainer.hyperparameters.axes import Axis, axis_of
from longtail_trainer.hyperparameters.coverage import Solution, draw
from longtail_trainer.hyperparameters.history import has, joint_space, only_direction, rank, solution_of, trial_random

ATTEMPTS = 100
"""Mutants after which one that was asked for before is asked for again."""


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
        names = list(search_space)
        axes = [axis_of(search_space[name]) for name in names]
        trials = [one for one in study.get_trials(deepcopy=False) if has(search_space, one)]
        asked = {solution_of(search_space, axes, one) for one in trials}
        complete = [one for one in trials if one.state == TrialState.COMPLETE][-self._population :]
        best_first = [
            solution_of(search_space, axes, one) for one in sorted(complete, key=lambda x: rank(x, direction))
        ]
        random = trial_random(self._seed, trial, names)
        solution = self._child(axes, best_first, random)
        for _ in range(ATTEMPTS):
            if solution not in asked:
                break
            solution = self._child(axes, best_first, random)
        return {name: axis.value(at) for name, axis, at in zip(names, axes, solution, strict=True)}

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
