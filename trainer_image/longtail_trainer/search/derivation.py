"""The architectures of highest joint probability that satisfy a budget (ALT Eq. 9), exactly and in order."""

import heapq
import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

Costs = Sequence[Sequence[int]]
"""Cost of each option of each choice."""
LogProbabilities = Sequence[Sequence[float]]
"""Log-probability of each option of each choice."""
RESOLUTION = 9
"""Decimals of a joint log-probability that count. Below, sums differ by the order they were added in."""


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


def most_probable(
    costs: Costs, log_probabilities: LogProbabilities, budget: float
) -> Iterator[tuple[tuple[int, ...], float]]:
    """Picks whose cost is at most `budget`, with their joint log-probability, the most probable first.

    Best-first over prefixes of picks. A prefix's priority is exact: its own log-probability and the best that the
    rest reaches in what is left of the budget, from the frontiers. So no prefix is opened in vain, and the first
    answer takes one path; each further one at most one path more. Ties go to the lower option.
    """
    bounds = frontiers(costs, log_probabilities)
    heap: list[tuple[float, tuple[int, ...], int, float]] = [(-bounds[0].best(budget), (), 0, 0.0)]
    while heap:
        priority, picks, spent, value = heapq.heappop(heap)
        if priority == math.inf:
            return
        if len(picks) == len(costs):
            yield picks, value
            continue
        depth = len(picks)
        for option, (cost, log_probability) in enumerate(zip(costs[depth], log_probabilities[depth], strict=True)):
            reachable = value + log_probability + bounds[depth + 1].best(budget - spent - cost)
            if reachable > -math.inf:
                entry = (-round(reachable, RESOLUTION), (*picks, option), spent + cost, value + log_probability)
                heapq.heappush(heap, entry)
