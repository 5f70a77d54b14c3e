"""Intervals of a mean over seeds and scenarios."""

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from benchmarks.comparison.statistics import compared, two_way_interval


def drawn_values(generator: np.random.Generator, seed_sd: float, scenario_sd: float, rest_sd: float) -> np.ndarray:
    """(5, 22) of a random-effects model around 0: seeds and scenarios move all of their values together."""
    of_seeds = seed_sd * generator.normal(size=(5, 1))
    of_scenarios = scenario_sd * generator.normal(size=(1, 22))
    return of_seeds + of_scenarios + rest_sd * generator.normal(size=(5, 22))


def interval(values: np.ndarray) -> tuple[float, float]:
    seeds, scenario_numbers = np.indices(values.shape)
    return two_way_interval(values.ravel(), seeds.ravel(), scenario_numbers.ravel())


def pairwise(values: np.ndarray) -> tuple[float, float]:
    """As if every value were an independent trial."""
    half = 1.96 * values.std(ddof=1) / np.sqrt(values.size)
    return float(values.mean() - half), float(values.mean() + half)


def coverage(of: Callable[[np.ndarray], tuple[float, float]], *deviations: float, draws: int = 150) -> float:
    """Share of the draws whose interval holds the true mean."""
    generator = np.random.default_rng(0)
    bounds = [of(drawn_values(generator, *deviations)) for _ in range(draws)]
    return sum(low <= 0 <= high for low, high in bounds) / draws


@pytest.mark.parametrize(
    "deviations", [(1, 0, 0.1), (0, 1, 0.1), (0, 0, 1), (0.5, 0.5, 1)], ids=["seeds", "scenarios", "neither", "both"]
)
def test_the_interval_holds_the_true_mean_nearly_as_often_as_it_says(
    deviations: tuple[float, float, float], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("benchmarks.comparison.statistics.RESAMPLES", 1500)
    assert coverage(interval, *deviations) >= 0.9


def test_pairs_taken_for_independent_trials_promise_too_much_where_seeds_differ():
    assert coverage(pairwise, 1, 0, 0.1) < 0.5


def test_the_interval_is_wider_than_that_of_pairs_where_seeds_differ():
    values = drawn_values(np.random.default_rng(1), 1, 0, 0.5)
    low, high = interval(values)
    pair_low, pair_high = pairwise(values)
    assert high - low > 2 * (pair_high - pair_low)


def test_the_interval_is_the_same_every_time():
    values = drawn_values(np.random.default_rng(1), 1, 1, 1)
    assert interval(values) == interval(values)


def test_with_one_seed_the_interval_is_that_of_scenarios():
    values = np.random.default_rng(0).normal(size=(1, 200))
    low, high = interval(values)
    pair_low, pair_high = pairwise(values)
    assert (low, high) == (pytest.approx(pair_low, abs=0.02), pytest.approx(pair_high, abs=0.02))


def test_seeds_that_each_have_other_scenarios_are_compared_too():
    table = pl.DataFrame({"seed": [0, 0, 1, 1], "scenario": ["a", "b", "c", "d"], "value": [1.0, 2.0, 3.0, 4.0]})
    found = compared(table)
    assert found is not None
    assert found.mean == 2.5
    assert found.low < 2.5 < found.high
