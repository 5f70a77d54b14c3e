"""What samplers that keep no state of their own read from a study's trials."""

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.search_space import intersection_search_space
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from longtail_trainer.search.samplers.axes import axis_of
from longtail_trainer.search.samplers.coverage import Solution

ATTEMPTS = 100
"""Draws after which a solution that was asked for before is asked for again (ZOOpt's figure)."""


class KnownTrials:
    """The trials of a study that have all parameters of a space, as solutions of it; whatever became of them."""

    def __init__(self, study: Study, space: Mapping[str, BaseDistribution]) -> None:
        self.names = list(space)
        self.axes = [axis_of(distribution) for distribution in space.values()]
        self.trials = [one for one in study.get_trials(deepcopy=False) if has(space, one)]

    def solution(self, trial: FrozenTrial) -> Solution:
        """Where one of the trials stands."""
        return tuple(axis.coordinate(trial.params[name]) for name, axis in zip(self.names, self.axes, strict=True))

    def new(self, draw: Callable[[], Solution]) -> dict[str, Any]:
        """The parameters of a drawn solution that was not asked for before, while there is something new at hand."""
        asked = {self.solution(one) for one in self.trials}
        solution = draw()
        for _ in range(ATTEMPTS):
            if solution not in asked:
                break
            solution = draw()
        return {name: axis.value(at) for name, axis, at in zip(self.names, self.axes, solution, strict=True)}


def joint_space(study: Study) -> dict[str, BaseDistribution]:
    """The parameters that all trials have, in the same range, and that leave a choice."""
    space = intersection_search_space(study.get_trials(deepcopy=False), include_pruned=True)
    return {name: distribution for name, distribution in space.items() if not distribution.single()}


def trial_random(seed: int, trial: FrozenTrial, names: Sequence[str]) -> np.random.Generator:
    """A stream for each trial and group of parameters, whichever process asks."""
    text = f"{seed}:{trial.number}:{':'.join(names)}"
    return np.random.default_rng(int.from_bytes(hashlib.sha256(text.encode()).digest()[:16]))


def only_direction(study: Study) -> StudyDirection:
    """The direction of the one objective. Raises `ValueError` where the study has several."""
    if len(study.directions) > 1:
        raise ValueError("this sampler ranks solutions by one objective; the study has several, choose another sampler")
    return study.direction


def has(space: Mapping[str, BaseDistribution], trial: FrozenTrial) -> bool:
    """Whether the trial has all of these parameters, of the same kind and within these ranges."""
    return all(
        name in trial.params
        and type(trial.distributions[name]) is type(distribution)
        and _within(distribution, trial.params[name])
        for name, distribution in space.items()
    )


def _within(distribution: BaseDistribution, value: Any) -> bool:
    match distribution:
        case CategoricalDistribution():
            return value in distribution.choices
        case IntDistribution() | FloatDistribution():
            return distribution.low <= value <= distribution.high
        case _:
            return False


def rank(trial: FrozenTrial, direction: StudyDirection) -> tuple[bool, float, float, int]:
    """Lower is better: complete before pruned, pruned late before pruned early, then by value, then by age."""
    pruned = trial.state == TrialState.PRUNED
    step = trial.last_step
    value = trial.intermediate_values.get(step, math.nan) if pruned and step is not None else trial.value
    if value is None or math.isnan(value):
        return pruned, -(step or 0), math.inf, trial.number
    loss = -value if direction == StudyDirection.MAXIMIZE else value
    return pruned, -(step or 0) if pruned else 0, loss, trial.number
