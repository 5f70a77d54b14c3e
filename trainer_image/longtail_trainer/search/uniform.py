"""Architectures drawn inside a budget, each with the same probability."""

import random
from bisect import bisect_right
from itertools import accumulate

from longtail_trainer.search.space import Picks, Space


class UniformSampler:
    """Draws picks whose cost is at most `budget`, uniformly: option by option, by how many completions fit.

    Raises `ValueError` where no architecture fits.
    """

    def __init__(self, space: Space, budget: int) -> None:
        self._space = space
        self._budget = budget - space.fixed_flops
        self._counts = [_Counts({0: 1})]
        for choice in reversed(space.choices):
            self._counts.append(self._counts[-1].with_choice(choice.costs))
        self._counts.reverse()
        if not self.count():
            raise ValueError(f"no architecture has at most {budget} FLOPs")

    def count(self) -> int:
        """Architectures within the budget."""
        return self._counts[0].within(self._budget)

    def draw(self, generator: random.Random) -> Picks:
        picks: list[int] = []
        left = self._budget
        for number, choice in enumerate(self._space.choices):
            weights = [self._counts[number + 1].within(left - cost) for cost in choice.costs]
            # Python's integers: the counts may exceed what a float can hold.
            ticket = generator.randrange(sum(weights))
            pick = bisect_right(list(accumulate(weights)), ticket)
            picks.append(pick)
            left -= choice.costs[pick]
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
