"""Statistics of several scenarios' rows, merged, are those of all the rows at once."""

from functools import reduce

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longtail_api.store_objects import CategoricalStatistics, NumericStatistics, Statistics
from longtail_trainer.data.prepare import statistics
from longtail_trainer.data.prepare.identity import mixed
from longtail_trainer.data.prepare.statistics import (
    categorical_statistics,
    merge,
    merge_numeric,
    numeric_statistics,
    part_statistics,
)
from tests.trainer.tiny import SCHEMA

values = st.one_of(st.none(), st.sampled_from([0.0, -1.5, 2.25, 1e30]))
rows = st.lists(st.tuples(st.integers(0, 2**63 - 1), values, st.sampled_from([None, "a", "b", "c"])), max_size=30)


def statistics_of(content: list[tuple[int, float | None, str | None]]) -> Statistics:
    keys = np.array([key for key, _, _ in content], dtype=np.uint64)
    numbers = pl.Series("n", [value for _, value, _ in content], dtype=pl.Float32)
    words = pl.Series("c", [word for _, _, word in content], dtype=pl.String)
    return Statistics(
        rows=len(content),
        numeric={"n": numeric_statistics(numbers, keys)},
        categorical={"c": categorical_statistics(words)},
        labels={"y": numeric_statistics(numbers, keys)},
    )


@pytest.fixture(autouse=True, scope="module")
def small_sketches():
    """So that sketches overflow with the few rows of these tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(statistics, "SAMPLE", 7)
        yield


@given(a=rows, b=rows, c=rows)
@settings(deadline=None)
def test_merging_is_associative(a, b, c):
    one, two, three = map(statistics_of, (a, b, c))
    assert merge(merge(one, two), three) == merge(one, merge(two, three))


@given(a=rows, b=rows)
@settings(deadline=None)
def test_merging_is_commutative(a, b):
    assert merge(statistics_of(a), statistics_of(b)) == merge(statistics_of(b), statistics_of(a))


@given(a=rows)
@settings(deadline=None)
def test_merging_with_nothing_changes_nothing(a):
    assert merge(statistics_of(a), Statistics()) == statistics_of(a)


@given(parts=st.lists(rows, max_size=5))
@settings(deadline=None)
def test_merged_statistics_are_those_of_all_rows_at_once(parts):
    together = [row for part in parts for row in part]
    merged = reduce(merge, map(statistics_of, parts), statistics_of([]))
    assert merged == statistics_of(together)


def test_the_sample_of_many_values_has_their_quantiles():
    rng = np.random.default_rng(0)
    parts = [rng.normal(loc, size=5000) for loc in (-3.0, 0.0, 3.0)]
    merged = NumericStatistics()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(statistics, "SAMPLE", 1024)
        for number, part in enumerate(parts):
            keys = mixed(np.arange(5000, dtype=np.uint64) + np.uint64(5000 * number), 3)
            merged = merge_numeric(merged, numeric_statistics(pl.Series("x", part), keys))
    everything = np.concatenate(parts)
    assert len(merged.sample) == 1024
    for quantile in (0.1, 0.5, 0.9):
        estimate = np.quantile(merged.sample, quantile)
        assert (everything < estimate).mean() == pytest.approx(quantile, abs=0.05)  # three standard errors


def test_the_most_frequent_values_stay_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(statistics, "CATEGORIES", 2)
    words = pl.Series("c", ["b", "b", "a", "d", "a", "c", None])
    assert categorical_statistics(words) == CategoricalStatistics(count=6, nulls=1, counts={"a": 2, "b": 2})


def test_behavior_features_count_once_per_event_of_each_row():
    part = pl.DataFrame(
        {
            "shuffle": [1, 2, 3],
            "clicked": [1.0, 0.0, None],
            "context.slot": ["top", None, "top"],
            "context.position": [1.0, 2.0, None],
            "profile.segment": ["keen", None, None],
            "profile.age": [20.0, None, None],
            "behaviors.visits.page": [["a", "a", None], [], ["b"]],
            "behaviors.visits.seconds": [[1.0, None, 3.0], [], [4.0]],
            "behaviors.visits.length": [3, 0, 1],
        },
        schema_overrides={"shuffle": pl.UInt64},
    )
    found = part_statistics(part, SCHEMA)
    seconds = found.numeric["behaviors.visits.seconds"]
    assert (seconds.count, seconds.nulls, sorted(seconds.sample)) == (3, 1, [1.0, 3.0, 4.0])
    pages = found.categorical["behaviors.visits.page"]
    assert (pages.count, pages.nulls, pages.counts) == (3, 1, {"a": 2, "b": 1})
    assert found.rows == 3
    assert (found.labels["clicked"].count, found.labels["clicked"].nulls) == (2, 1)
    assert found.categorical["profile.segment"].nulls == 2
