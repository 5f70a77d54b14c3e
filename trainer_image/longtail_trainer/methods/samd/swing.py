"""How alike scenarios are by the entities that they share: swing (SAMD, Eq. 3)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from longtail_trainer.data.entities import Keys

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

PAIRS = 256
"""Pairs of shared entities that are looked at for a pair of scenarios."""
TOGETHER = 32
"""Pairs of scenarios in one array operation: few enough to stay in the cache."""


def swing(
    entities: Sequence[Keys], smoothing: float = 1.0, *, distinct_entities: bool = False, pairs: int = PAIRS
) -> Floats:
    """(scenarios, scenarios) Sim(i, j) = Σᵤ Σᵥ wᵤ wᵥ / (α + |Sᵤ ∩ Sᵥ|) over the entities u, v that i and j share.

    Sᵤ: the scenarios of entity u; wᵤ = |Sᵤ|^(−1/2); α: `smoothing`, above 0. As printed, u = v counts, and (u, v)
    beside (v, u); with `distinct_entities` u ≠ v. A scenario is nothing to itself: the diagonal is 0.

    Two large scenarios share so many entities that their pairs can't all be looked at. So the terms u = v are exact,
    and those of u ≠ v are, beyond `pairs` of them, estimated: the mean of 1 / (α + |Sᵤ ∩ Sᵥ|) over about `pairs` pairs
    of `pairs` / 2 entities, weighted by wᵤ wᵥ, times the exact sum of these weights. Entities are known by uniform
    hashes, so those of the lowest ones are drawn at random, and everywhere the same.

    entities: of each scenario, each once, ascending. Time goes with scenarios² · pairs and with the sum of |Sᵤ|² over
    entities; memory with entities · scenarios / 8 bytes, beside the result.
    """
    shared = _Shared.of(entities)
    result = np.zeros((len(entities), len(entities)))
    for scenario in range(len(entities) - 1):
        _add_row(result, shared, scenario, smoothing, distinct_entities, pairs)
    return result + result.T


def by_size(similarity: Floats, entities: Sequence[Keys]) -> Floats:
    """Sim(i, j) / nⱼ², nⱼ the number of entities of j: of each scenario's row, what is left of it without j's size.

    As printed, Eq. 3 grows with the square of what is shared, and large scenarios come first, alike or not.
    """
    sizes = np.array([max(1, len(own)) for own in entities], dtype=np.float64)
    return similarity / sizes**2


def most_similar(similarity: Floats, count: int) -> list[Indices]:
    """Of each scenario those with the largest similarity, the largest first; at most `count`, and none of 0."""
    order = np.argsort(-similarity, axis=1, kind="stable")[:, :count]
    return [row[similarity[scenario, row] > 0] for scenario, row in enumerate(order)]


@dataclass(frozen=True)
class _Shared:
    """Entities of two scenarios or more, numbered by their hashes.

    own: of each scenario its entities, ascending. scenarios, starts: those of entity e are scenarios[starts[e]] to
    before scenarios[starts[e + 1]], ascending. weight: w of each, and a 0 for nobody behind them. bits: (entities + 1,
    ⌈scenarios / 64⌉), a bit for each scenario, none for nobody.
    """

    own: list[Indices]
    scenarios: NDArray[np.int32]
    starts: Indices
    weight: Floats
    bits: NDArray[np.uint64]

    @classmethod
    def of(cls, entities: Sequence[Keys]) -> "_Shared":
        everyone = np.concatenate([np.zeros(0, dtype=np.uint64), *entities])
        known, degrees = np.unique(everyone, return_counts=True)
        known, degrees = known[degrees > 1], degrees[degrees > 1]
        own = [np.searchsorted(known, np.intersect1d(known, each, assume_unique=True)) for each in entities]
        who = np.concatenate([np.zeros(0, dtype=np.int64), *own])
        of = np.repeat(np.arange(len(own), dtype=np.int32), [len(each) for each in own])
        order = np.argsort(who, kind="stable")
        who, of = who[order], of[order]
        weight = np.append(degrees**-0.5, 0.0)
        return cls(own, of, np.append(0, degrees.cumsum()), weight, _bits(who, of, len(known), len(own)))

    def partners(self, scenario: int) -> tuple[Indices, Indices]:
        """Entities of the scenario, and the later scenarios that they are in, side by side."""
        own = self.own[scenario]
        degrees = self.starts[own + 1] - self.starts[own]
        first = np.repeat(self.starts[own] - (degrees.cumsum() - degrees), degrees)
        others = self.scenarios[first + np.arange(len(first))]
        later = others > scenario
        return np.repeat(own, degrees)[later], others[later].astype(np.int64)


def _bits(who: Indices, of: NDArray[np.int32], entities: int, scenarios: int) -> NDArray[np.uint64]:
    words = (scenarios + 63) // 64
    result = np.zeros((entities + 1) * words, dtype=np.uint64)
    places = who * words + of // 64
    first = np.flatnonzero(np.diff(places, prepend=-1))
    if len(first):
        marks = np.left_shift(np.uint64(1), (of % 64).astype(np.uint64))
        result[places[first]] = np.bitwise_or.reduceat(marks, first)
    return result.reshape(entities + 1, words)


def _add_row(
    result: Floats, shared: _Shared, scenario: int, smoothing: float, distinct_entities: bool, pairs: int
) -> None:
    """Sim of the scenario and each later one."""
    who, others = shared.partners(scenario)
    weights = shared.weight[who]
    count = len(result)
    total, squares = np.bincount(others, weights, count), np.bincount(others, weights**2, count)
    if not distinct_entities:
        degrees = shared.starts[who + 1] - shared.starts[who]
        result[scenario] += np.bincount(others, weights**2 / (smoothing + degrees), count)
    drawn, sizes = _first_of_each(who, others, count, max(2, pairs // 2), nobody=len(shared.weight) - 1)
    by_size = np.argsort(sizes, kind="stable")
    several = by_size[sizes[by_size] > 1]
    for alike in np.split(several, range(TOGETHER, len(several), TOGETHER)) if len(several) else ():
        most = int(sizes[alike[-1]])
        mean = _mean_of_pairs(shared, drawn[alike, :most], sizes[alike], smoothing, -(-pairs // most))
        result[scenario, alike] += (total[alike] ** 2 - squares[alike]) * mean


def _first_of_each(who: Indices, others: Indices, scenarios: int, count: int, nobody: int) -> tuple[Indices, Indices]:
    """The first entities that stand beside each scenario, `count` at most, and how many those are.

    (scenarios, the most that any has), `nobody` where there are fewer; (scenarios,).
    """
    order = np.argsort(others.astype(np.int16 if scenarios < 2**15 else np.int64), kind="stable")
    sizes = np.bincount(others, minlength=scenarios)
    rank = np.arange(len(order)) - np.repeat(sizes.cumsum() - sizes, sizes)
    within = rank < count
    sizes = np.minimum(sizes, count)
    result = np.full((scenarios, sizes.max()), nobody)
    result[others[order[within]], rank[within]] = who[order[within]]
    return result, sizes


def _mean_of_pairs(shared: _Shared, drawn: Indices, sizes: Indices, smoothing: float, shifts: int) -> Floats:
    """(pairs of scenarios,) mean of 1 / (α + |Sᵤ ∩ Sᵥ|), weighted by wᵤ wᵥ, over u ≠ v among those drawn.

    Those drawn stand in a ring: each is u to the `shifts` next ones; to all others, where there are no more.
    """
    most: int = drawn.shape[1]
    shifts = min(shifts, most - 1)
    ring: Indices = np.take_along_axis(drawn, np.arange(most + shifts)[None] % sizes[:, None], 1)
    weight = shared.weight[ring]
    bits = np.ascontiguousarray(shared.bits[ring].transpose(0, 2, 1))
    u_weight: Floats = weight[:, :most] * np.less(np.arange(most)[None], sizes[:, None])
    total, weights = np.zeros(len(drawn)), np.zeros(len(drawn))
    for shift in range(1, shifts + 1):
        v = slice(shift, shift + most)
        both: Floats = u_weight * weight[:, v] * (sizes > shift)[:, None]
        common = np.bitwise_count(bits[:, :, :most] & bits[:, :, v]).sum(1, dtype=np.uint16)
        total += (both / (smoothing + common)).sum(1)
        weights += both.sum(1)
    return total / weights
