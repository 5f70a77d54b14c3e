"""The architectures of highest joint probability that satisfy a budget (ALT Eq. 9), exactly and in order."""

import heapq
import math
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

Costs = Sequence[Sequence[int]]
"""Cost of each option of each choice; none is negative."""
LogProbabilities = Sequence[Sequence[float]]
"""Log-probability of each option of each choice."""
RESOLUTION = 9
"""Decimals of a joint log-probability that count. Below, sums differ by the order they were added in."""


@dataclass(frozen=True)
class Limit:
    """Costs that add up over the choices, and the most that they may come to."""

    costs: Costs
    most: float


@dataclass(frozen=True)
class Frontier:
    """What the rest of the choices can still reach: for rising cost, the highest log-probability; only gains kept."""

    costs: list[int]
    values: list[float]

    def best(self, budget: float) -> float:
        """Highest log-probability of the rest within `budget`; −∞ where nothing fits."""
        index = bisect_right(self.costs, budget)
        return self.values[index - 1] if index else -math.inf


def frontiers(costs: Costs, log_probabilities: LogProbabilities) -> list[Frontier]:
    """One frontier for each choice (it and all after it), and one for "nothing left"."""
    result = [Frontier([0], [0.0])]
    for option_costs, option_values in zip(reversed(costs), reversed(log_probabilities), strict=True):
        rest = result[-1]
        best: dict[int, float] = {}
        for cost, value in zip(option_costs, option_values, strict=True):
            for rest_cost, rest_value in zip(rest.costs, rest.values, strict=True):
                total = cost + rest_cost
                best[total] = max(best.get(total, -math.inf), value + rest_value)
        result.append(_gains(best))
    return result[::-1]


def _gains(best: dict[int, float]) -> Frontier:
    frontier = Frontier([], [])
    for cost in sorted(best):
        if not frontier.values or best[cost] > frontier.values[-1]:
            frontier.costs.append(cost)
            frontier.values.append(best[cost])
    return frontier


def smallest(costs: Costs, limit: Limit) -> float:
    """The smallest sum of `costs` inside `limit`; infinite where nothing is inside."""
    return -frontiers(limit.costs, _negated(costs))[0].best(limit.most)


def _negated(costs: Costs) -> list[list[float]]:
    return [[-float(cost) for cost in options] for options in costs]


Reach = Callable[[int, tuple[int, ...]], float]
"""(choices made, spent of each limit) → what the log-probability of the rest can't exceed; −∞ if nothing fits."""


def _reach_in_one(log_probabilities: LogProbabilities, limit: Limit) -> Reach:
    """Exact."""
    bounds = frontiers(limit.costs, log_probabilities)
    return lambda depth, spent: bounds[depth].best(limit.most - spent[0])


SHARES = ((1, 8), (1, 4), (1, 2), (2, 3), (1, 1), (3, 2), (2, 1), (4, 1), (8, 1))
"""How two costs, each as a share of what its limit leaves, may be weighed to bound what fits both."""


def _reach_in_two(log_probabilities: LogProbabilities, one: Limit, other: Limit) -> Reach:
    """Exact on whether anything fits: the least of one cost for what is left of the other is a frontier too.

    On the log-probability a bound: the smallest of those inside either limit alone and inside weighted sums of both,
    which what is inside both is inside of too.
    """
    least = frontiers(one.costs, _negated(other.costs))
    sums = [((1, 0), one), ((0, 1), other), *(_weighted(one, other, *shares) for shares in SHARES)]
    bounds = [(*weights, limit.most, frontiers(limit.costs, log_probabilities)) for weights, limit in sums]

    def reach(depth: int, spent: tuple[int, ...]) -> float:
        a, b = spent
        if -least[depth].best(one.most - a) > other.most - b:
            return -math.inf
        return min(inside[depth].best(most - (x * a + y * b)) for x, y, most, inside in bounds)

    return reach


def _weighted(one: Limit, other: Limit, one_share: int, other_share: int) -> tuple[tuple[int, int], Limit]:
    """The sum of both costs in these shares of what their limits leave to choose, and the weights that make it.

    Whole numbers, by the common denominator: no rounding may cut off what fits exactly.
    """
    weights = max(1, one_share * _choosable(other)), max(1, other_share * _choosable(one))
    costs = [
        [weights[0] * a + weights[1] * b for a, b in zip(*options, strict=True)]
        for options in zip(one.costs, other.costs, strict=True)
    ]
    return weights, Limit(costs, weights[0] * math.floor(one.most) + weights[1] * math.floor(other.most))


def _choosable(limit: Limit) -> int:
    """What a limit leaves beyond the cheapest option of each choice."""
    return math.floor(limit.most) - sum(min(options) for options in limit.costs)


def most_probable(
    log_probabilities: LogProbabilities, limit: Limit, other: Limit | None = None
) -> Iterator[tuple[tuple[int, ...], float]]:
    """Picks inside `limit` (and inside the finite `other`), with their joint log-probability, the most probable first.

    Best-first over prefixes of picks. A prefix's priority is its own log-probability and what the rest can reach in
    what is left. With one limit that is exact: no prefix is opened in vain, the first answer takes one path, and each
    further one at most one path more. With two it is never too low, so the order is exact all the same, and every
    prefix that is opened can be completed. Ties go to the lower option.
    """
    limits = (limit,) if other is None else (limit, other)
    reach = _reach_in_one(log_probabilities, limit) if other is None else _reach_in_two(log_probabilities, limit, other)
    nothing = (0,) * len(limits)
    heap: list[tuple[float, tuple[int, ...], tuple[int, ...], float]] = [(-reach(0, nothing), (), nothing, 0)]
    while heap:
        priority, picks, spent, value = heapq.heappop(heap)
        if priority == math.inf:
            return
        if len(picks) == len(log_probabilities):
            yield picks, value
            continue
        depth = len(picks)
        for option, log_probability in enumerate(log_probabilities[depth]):
            after = tuple(before + one.costs[depth][option] for before, one in zip(spent, limits, strict=True))
            reachable = value + log_probability + reach(depth + 1, after)
            if reachable > -math.inf:
                entry = (-round(reachable, RESOLUTION), (*picks, option), after, value + log_probability)
                heapq.heappush(heap, entry)
