"""Uniform draws: of each parameter by itself, or of whole candidates inside a budget, each alike."""

from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate, islice
from math import isinf
from random import Random
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from longtail_trainer.running.errors import ConfigInvalid
from longtail_trainer.search.budget import FLOPS, Budget
from longtail_trainer.search.derivation import most_probable
from longtail_trainer.search.samplers.asking import Asking, NothingLeft
from longtail_trainer.search.spaces.picks import Picks, PickSpace

MOST_MISSES = 1000
"""Draws in a row without a new architecture inside the predicted latency, after which what is left is listed."""


def random(asking: Asking) -> BaseSampler:
    """Each parameter by itself, whatever the candidate costs."""
    return RandomSampler(asking.trial_seed)


def uniform(asking: Asking) -> BaseSampler:
    """Whole candidates inside the budget, none twice. Raises `ConfigInvalid` where the space isn't one of choices."""
    if not isinstance(asking.space, PickSpace):
        raise ConfigInvalid("uniform draws count the candidates inside a budget, which a space of choices alone allows")
    return UniformInBudget(asking.space, asking.budget, asking.search_seed)


class UniformInBudget(BaseSampler):
    """The trial's place in the sequence of `distinct_draws`, as an optuna sampler. Raises `NothingLeft` at its end."""

    def __init__(self, space: PickSpace[Any], budget: Budget, seed: int) -> None:
        self._space = space
        self._budget = budget
        self._seed = seed

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """All choices of the space."""
        return {choice.name: choice.distribution for choice in self._space.choices}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """One candidate."""
        draws = distinct_draws(UniformSampler.inside(self._space, self._budget), self._budget, Random(self._seed))
        picks = next(islice(draws, trial.number, None), None)
        if picks is None:
            raise NothingLeft
        return self._space.parameters(self._space.point(picks))

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Raises `ValueError`: a parameter that is no choice of the space has no part in its candidates."""
        raise ValueError(f"{param_name} is no choice of the space; ask for those of {', '.join(self._names())}")

    def _names(self) -> list[str]:
        return [choice.name for choice in self._space.choices]


def distinct_draws(sampler: "UniformSampler", budget: Budget, generator: Random) -> Iterator[Picks]:
    """Architectures inside `sampler`'s FLOPs and `budget`'s predicted latency, until there are no more.

    None comes twice; each is drawn uniformly from those that are left. A draw that is predicted to be too slow is
    rejected. Where so few are fast enough that draws keep missing them, they are listed instead, the lower options
    first; where none is, those that are predicted to be fastest are.
    """
    space = sampler.space
    budget = space.attainable(budget)
    seen: set[Picks] = set()
    misses = 0
    while len(seen) < sampler.count() and misses < MOST_MISSES:
        picks = sampler.draw(generator)
        if picks not in seen and space.inside(picks, budget):
            seen.add(picks)
            misses = 0
            yield picks
        elif not isinf(budget.nanoseconds):
            misses += 1
    if misses == MOST_MISSES:
        alike = [[0.0] * len(choice.options) for choice in space.choices]
        yield from (picks for picks, _ in most_probable(alike, *space.limits(budget)) if picks not in seen)


class UniformSampler:
    """Draws picks whose cost is at most `budget`, uniformly: option by option, by how many completions fit.

    Raises `ValueError` where no architecture fits.
    """

    def __init__(self, space: PickSpace[Any], budget: int) -> None:
        self.space = space
        self._budget = budget - space.fixed_flops
        self._costs = space.costs(FLOPS)
        self._counts = [_Counts({0: 1})]
        for costs in reversed(self._costs):
            self._counts.append(self._counts[-1].with_choice(costs))
        self._counts.reverse()
        if not self.count():
            raise ValueError(f"no architecture has at most {budget} FLOPs")

    @classmethod
    def inside(cls, space: PickSpace[Any], budget: Budget) -> "UniformSampler":
        """Of the candidates within a budget's FLOPs, which may be infinite."""
        return cls(space, int(min(budget.flops, space.largest_flops())))

    def count(self) -> int:
        """Candidates within the budget."""
        return self._counts[0].within(self._budget)

    def draw(self, generator: Random) -> Picks:
        picks: list[int] = []
        left = self._budget
        for number, costs in enumerate(self._costs):
            weights = [self._counts[number + 1].within(left - cost) for cost in costs]
            # Python's integers: the counts may exceed what a float can hold.
            ticket = generator.randrange(sum(weights))
            pick = bisect_right(list(accumulate(weights)), ticket)
            picks.append(pick)
            left -= costs[pick]
        return tuple(picks)


class _Counts:
    """Number of completions by cost."""

    def __init__(self, by_cost: dict[int, int]) -> None:
        self._by_cost = by_cost
        self._costs = sorted(by_cost)
        self._cumulative = list(accumulate(by_cost[cost] for cost in self._costs))

    def within(self, budget: int) -> int:
        index = bisect_right(self._costs, budget)
        return self._cumulative[index - 1] if index else 0

    def with_choice(self, costs: tuple[int, ...]) -> "_Counts":
        result: dict[int, int] = {}
        for cost in costs:
            for rest, number in self._by_cost.items():
                result[cost + rest] = result.get(cost + rest, 0) + number
        return _Counts(result)
