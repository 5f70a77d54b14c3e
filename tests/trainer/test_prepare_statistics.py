"""Statistics of several scenarios' rows, merged, are those of all the rows at once."""

import json
from fractions import Fraction
from functools import reduce

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longtail_api.store_objects import NumericStatistics, Statistics
from longtail_store import parse_object
from longtail_trainer.data.features.fitting import label_encoding
from longtail_trainer.data.moments import mean_and_deviation
from longtail_trainer.data.prepare import statistics
from longtail_trainer.data.prepare.identity import mixed
from longtail_trainer.data.prepare.parts import SHUFFLE
from longtail_trainer.data.prepare.statistics import (
    categorical_statistics,
    leading_zeros,
    merge,
    merge_numeric,
    numeric_statistics,
    part_statistics,
)
from tests.trainer.tiny import SCHEMA

values = st.one_of(
    st.none(), st.sampled_from([0.0, -1.5, 2.25, 1e30]), st.floats(width=32, allow_nan=False, allow_infinity=False)
)
# Hashes begin with many zeros where the exponent is large, as one in 2ⁿ rows' does with n.
keys_of_rows = st.builds(lambda key, exponent: key >> exponent, st.integers(0, 2**63 - 1), st.integers(0, 12))
rows = st.lists(st.tuples(keys_of_rows, values, st.sampled_from([None, *"abcdefgh"])), max_size=30)


def statistics_of(content: list[tuple[int, float | None, str | None]]) -> Statistics:
    keys = np.array([key for key, _, _ in content], dtype=np.uint64)
    numbers = pl.Series("n", [value for _, value, _ in content], dtype=pl.Float32)
    words = pl.Series("c", [word for _, _, word in content], dtype=pl.String)
    return Statistics(
        rows=len(content),
        numeric={"n": numeric_statistics(numbers, keys)},
        categorical={"c": categorical_statistics(words, keys)},
        labels={"y": numeric_statistics(numbers, keys)},
    )


@pytest.fixture(autouse=True, scope="module")
def small_sketches():
    """So that sketches overflow with the few rows of these tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(statistics, "SAMPLE", 7)
        patch.setattr(statistics, "CATEGORIES", 4)
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


@given(parts=st.lists(rows, min_size=2, max_size=5), order=st.randoms(use_true_random=False))
@settings(deadline=None)
def test_merging_in_another_order_gives_the_same_bytes(parts, order):
    shuffled = list(parts)
    order.shuffle(shuffled)
    one, other = (reduce(merge, map(statistics_of, some)).to_bytes() for some in (parts, shuffled))
    assert one == other


@given(numbers=st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=30))
@settings(deadline=None)
def test_moments_are_exact(numbers):
    found = numeric_statistics(pl.Series("n", numbers, dtype=pl.Float32), np.arange(len(numbers), dtype=np.uint64))
    exact = [Fraction(float(number)) for number in numbers]
    assert sum(map(Fraction, found.moments.values)) == sum(exact)
    assert sum(map(Fraction, found.moments.squares)) == sum(number**2 for number in exact)
    mean, deviation = mean_and_deviation(found.moments, found.count)
    assert mean == float(sum(exact) / len(exact))
    assert deviation == pytest.approx(float(np.std(np.array(numbers, dtype=np.longdouble))), rel=1e-6)


def test_values_that_are_too_many_are_counted_on_a_share_of_the_rows_the_frequent_ones_of_them(monkeypatch):
    monkeypatch.setattr(statistics, "CATEGORIES", 300)
    rng = np.random.default_rng(0)
    words = pl.Series(
        "c", [f"often {word}" for word in rng.integers(0, 20, 40_000)] + [f"once {n}" for n in range(5_000)]
    )
    found = categorical_statistics(words, mixed(np.arange(len(words), dtype=np.uint64), 7))
    assert found.count == 45_000
    assert found.halvings == 5  # 5,000 / 2⁵ + 20 ≤ 300
    assert len(found.counts) <= 300
    often = [found.estimates()[f"often {number}"] for number in range(20)]
    assert np.mean(often) == pytest.approx(2_000, rel=0.1)
    assert min(often) > 1_000


def test_leading_zeros_are_those_of_63_bits():
    keys = [0, 1, 2, 3, 2**31, 2**32 - 1, 2**32, 2**53 - 1, 2**54 - 1, 2**62 - 1, 2**62, 2**63 - 1]
    assert leading_zeros(np.array(keys, dtype=np.uint64)).tolist() == [63 - key.bit_length() for key in keys]


def test_statistics_of_the_schema_version_before_are_read_and_merge():
    before = {
        "schemaVersion": 1,
        "rows": 8,
        "numeric": {},
        "categorical": {"c": {"count": 8, "counts": {"a": 5, "b": 2, "c": 1}}},
        "labels": {"y": {"count": 2, "minimum": 0, "maximum": 4, "sample": [0.0, 4.0], "sampleKeys": [1, 2]}},
    }
    read = parse_object(json.dumps(before), Statistics, "statistics.json")
    assert read.categorical["c"].estimates() == {"a": 5, "b": 2, "c": 1}
    both = merge(read, statistics_of([(3, 1.0, "a")]))
    assert both.categorical["c"].estimates() == {"a": 6, "b": 2, "c": 1}
    assert both.labels["y"].moments is None  # they would be of some of the values alone
    assert label_encoding(both.labels["y"]).center == pytest.approx(5 / 3)


def test_behavior_features_count_once_per_event_of_each_row():
    part = pl.DataFrame(
        {
            SHUFFLE: [1, 2, 3],
            "clicked": [1.0, 0.0, None],
            "context.slot": ["top", None, "top"],
            "context.position": [1.0, 2.0, None],
            "profile.segment": ["keen", None, None],
            "profile.age": [20.0, None, None],
            "behaviors.visits.page": [["a", "a", None], [], ["b"]],
            "behaviors.visits.seconds": [[1.0, None, 3.0], [], [4.0]],
            "behaviors.visits:length": [3, 0, 1],
        },
        schema_overrides={SHUFFLE: pl.UInt64},
    )
    found = part_statistics(part, SCHEMA)
    seconds = found.numeric["behaviors.visits.seconds"]
    assert (seconds.count, seconds.nulls, sorted(seconds.sample)) == (3, 1, [1.0, 3.0, 4.0])
    pages = found.categorical["behaviors.visits.page"]
    assert (pages.count, pages.nulls, pages.estimates()) == (3, 1, {"a": 2, "b": 1})
    assert found.rows == 3
    assert (found.labels["clicked"].count, found.labels["clicked"].nulls) == (2, 1)
    assert found.categorical["profile.segment"].nulls == 2
