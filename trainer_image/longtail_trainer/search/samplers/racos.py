"""RACOS, ALT's default algorithm (IV-C), as an optuna sampler.

Classification-based derivative-free optimization: tell good solutions from the rest by a simple region, and draw the
next one from it. Yu, Qian, Hu, AAAI 2016; in its sequential form, one solution at a time, Hu, Qian, Yu, AAAI 2017.
"""

import secrets
from collections.abc import Sequence
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from longtail_trainer.search.samplers.asking import Asking
from longtail_trainer.search.samplers.axes import Axis
from longtail_trainer.search.samplers.coverage import Solution, covering_box, draw
from longtail_trainer.search.samplers.history import KnownTrials, joint_space, only_direction, rank, trial_random

SHORT_SEARCH = 50
"""Trials up to which RACOS learns from fewer solutions (ZOOpt's rule for its budgets): it draws from boxes sooner."""


class RacosSampler(BaseSampler):
    """Sequential RACOS whose worst negative is the one to be replaced.

    The best `positives` trials are the positive set and the next best `negatives` the negative one: that is what the
    sequential algorithm's replacement of the worst leaves of any history, in whatever order it came, so nothing but
    the trials themselves is kept. The first `positives + negatives` solutions, and later a share of `exploration`,
    are drawn from the whole space. A pruned trial ranks below every complete one, and the later it was pruned the
    better; failed ones teach nothing; neither failed nor running ones are asked for again.

    Parameters that not every trial has (conditional spaces) are drawn each by its own one-dimensional classifier.

    The draw of a trial follows from `seed`, the trial's number and the finished trials alone: a study that is resumed
    goes on as it would have. Workers that share a study need no coordination beyond it.
    """

    def __init__(
        self,
        seed: int | None = None,
        positives: int = 2,
        negatives: int = 10,
        exploration: float = 0.05,
        free_axes: int = 1,
    ) -> None:
        """`free_axes`: axes on which a draw may differ from its positive solution.

        Raises `ValueError` where a set would be empty, no axis free, or the exploration no probability.
        """
        if min(positives, negatives, free_axes) < 1:
            raise ValueError(
                f"positives ({positives}), negatives ({negatives}) and free_axes ({free_axes}) must be at least 1"
            )
        if not 0 <= exploration <= 1:
            raise ValueError(f"exploration is {exploration}; give a probability")
        self._seed = secrets.randbits(64) if seed is None else seed
        self._positives = positives
        self._negatives = negatives
        self._exploration = exploration
        self._free_axes = free_axes

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """The parameters that all trials have, in the same range."""
        return joint_space(study)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """One draw of these parameters together. Raises `ValueError` where the study has several objectives."""
        direction = only_direction(study)
        if not search_space:
            return {}
        known = KnownTrials(study, search_space)
        best = self._best(known, direction)
        random = trial_random(self._seed, trial, known.names)
        return known.new(lambda: self._draw(known.axes, best, random))

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """One draw of a parameter by itself; its values may well be those of earlier trials."""
        known = KnownTrials(study, {param_name: param_distribution})
        best = self._best(known, only_direction(study))
        return known.axes[0].value(self._draw(known.axes, best, trial_random(self._seed, trial, known.names))[0])

    def _best(self, known: KnownTrials, direction: StudyDirection) -> list[Solution]:
        """The positive set, then the negative one; fewer where there are not so many trials yet."""
        ended = [one for one in known.trials if one.state in (TrialState.COMPLETE, TrialState.PRUNED)]
        ended.sort(key=lambda one: rank(one, direction))
        return [known.solution(one) for one in ended[: self._positives + self._negatives]]

    def _draw(self, axes: Sequence[Axis], best: Sequence[Solution], random: np.random.Generator) -> Solution:
        if len(best) < self._positives + self._negatives or random.random() < self._exploration:
            return draw(axes, tuple(axis.whole for axis in axes), random)
        positive = best[int(random.integers(self._positives))]
        return draw(axes, covering_box(axes, positive, best[self._positives :], self._free_axes, random), random)


def racos(asking: Asking) -> BaseSampler:
    """RACOS, with sets that suit the length of the search."""
    if asking.max_trials <= SHORT_SEARCH:
        return RacosSampler(asking.trial_seed, positives=1, negatives=3)
    return RacosSampler(asking.trial_seed)
