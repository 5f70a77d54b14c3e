"""Architectures drawn inside a budget, each with the same probability."""

import random
from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate
from math import isinf
from typing import Any

from longtail_trainer.search.budget import FLOPS, Budget
from longtail_trainer.search.derivation import most_probable
from longtail_trainer.search.spaces.picks import Picks, PickSpace

MOST_MISSES = 1000
"""Draws in a row without a new architecture inside the predicted latency, after which what is left is listed."""


def distinct_draws(sampler: "UniformSampler", budget: Budget, generator: random.Random) -> Iterator[Picks]:
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

    def count(self) -> int:
        """Architectures within the budget."""
        return self._counts[0].within(self._budget)

    def draw(self, generator: random.Random) -> Picks:
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
