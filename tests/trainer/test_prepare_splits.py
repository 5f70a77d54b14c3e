"""Which split a row belongs to, as a function of its identity alone."""

from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longtail_api.data_schema import SplitRule
from longtail_trainer.data.entities import entity_hashes
from longtail_trainer.data.prepare.data_version import make_data_version
from longtail_trainer.data.prepare.identity import mixed, occurrences, row_keys, shares
from longtail_trainer.data.prepare.splits import QUERY, SUPPORT, TEST, VALIDATION, assigned_splits
from tests.trainer.contexts import context_of
from tests.trainer.tiny import SCHEMA, START, prepare_config, write_tables

RANDOM = SplitRule(method="random", test="0.2", validation="0.1")
TEMPORAL = SplitRule(method="temporal", test="0.2", validation="0.1")
COLUMN = SplitRule(method="column")


def keys_of(count: int, scenario: str = "s0"):
    frame = pl.DataFrame({"entity": [f"e{number}" for number in range(count)]}).with_columns(
        time=pl.lit(START, pl.Datetime("us", "UTC"))
    )
    return row_keys(frame, scenario)


def share(codes, *splits: int) -> float:
    return float(np.isin(codes, splits).mean())


def test_random_splits_have_their_shares():
    codes = assigned_splits(RANDOM, keys_of(20_000), np.zeros(20_000, np.int64), None, 0.25)
    assert share(codes, TEST) == pytest.approx(0.2, abs=0.01)
    assert share(codes, VALIDATION) == pytest.approx(0.1, abs=0.01)
    assert share(codes, QUERY) == pytest.approx(0.7 * 0.25, abs=0.01)


def test_a_row_keeps_its_split_when_others_come_and_go():
    keys = keys_of(1000)
    whole = assigned_splits(RANDOM, keys, np.zeros(1000, np.int64), None, 0.2)
    half = assigned_splits(RANDOM, keys[::2], np.zeros(500, np.int64), None, 0.2)
    assert (whole[::2] == half).all()


def test_rows_of_one_identity_are_never_parted():
    keys = np.repeat(keys_of(300), 3)
    codes = assigned_splits(RANDOM, keys, np.zeros(900, np.int64), None, 0.2).reshape(300, 3)
    assert (codes == codes[:, :1]).all()


def test_the_same_entity_may_be_split_otherwise_in_another_scenario():
    times = np.zeros(1000, np.int64)
    one = assigned_splits(RANDOM, keys_of(1000, "s0"), times, None, 0.2)
    other = assigned_splits(RANDOM, keys_of(1000, "s1"), times, None, 0.2)
    assert 0.3 < (one == other).mean() < 0.6  # as for independent splits: Σ share² ≈ .39


def test_by_entity_one_is_on_one_side_in_every_scenario_and_at_any_time(tmp_path):
    """With rows of the same entities in other scenarios, at other times, in another order."""
    sides: dict[str, set[str]] = {}
    write_tables(tmp_path, scenarios=2, rows=200)
    schema = SCHEMA.model_copy(update={"split": SplitRule(method="entity")})
    for source_key in ("s0", "s1"):
        config = prepare_config(tmp_path, tmp_path / "store", schema, source_key)
        context = context_of(config, tmp_path / source_key)
        manifest = make_data_version(config, context, START + timedelta(days=60))
        assert manifest.shared_entities == 0
        for part in manifest.parts:
            entities = pl.read_parquet(context.store.get(part.key))["entity"].to_list()
            sides.setdefault(part.split, set()).update(entities)
    assert all(sides.values())
    assert len(set().union(*sides.values())) == sum(map(len, sides.values()))


def test_the_hash_of_an_entity_is_the_same_for_ever():
    # Another value would move entities between the splits of data versions made before and after.
    entities = pl.Series(["user-7", "ü", "user-7"])
    assert entity_hashes(entities).tolist() == [1832990405829907006, 3976460501203677525, 1832990405829907006]


def test_temporal_splits_put_the_latest_rows_into_the_test_set():
    times = np.random.default_rng(0).permutation(1000).astype(np.int64)
    codes = assigned_splits(TEMPORAL, keys_of(1000), times, None, 0.2)
    training = np.isin(codes, (SUPPORT, QUERY))
    assert times[training].max() < times[codes == VALIDATION].min()
    assert times[codes == VALIDATION].max() < times[codes == TEST].min()
    assert ((codes == TEST).sum(), (codes == VALIDATION).sum()) == (200, 100)


@given(times=st.lists(st.integers(0, 5), min_size=1, max_size=40))
def test_rows_of_one_instant_are_never_parted_in_time(times: list[int]):
    instants = np.array(times, dtype=np.int64)
    codes = assigned_splits(TEMPORAL, keys_of(len(times)), instants, None, 0.2)
    codes[codes == QUERY] = SUPPORT
    for instant in set(times):
        assert len(set(codes[instants == instant].tolist())) == 1


def test_the_column_decides_where_it_is_to():
    given_codes = np.array([SUPPORT] * 50 + [VALIDATION] * 10 + [TEST] * 20, dtype=np.int8)
    codes = assigned_splits(COLUMN, keys_of(80), np.zeros(80, np.int64), given_codes, 0.3)
    assert set(codes[:50].tolist()) == {SUPPORT, QUERY}
    assert (codes[50:] == given_codes[50:]).all()


@given(count=st.integers(2, 12), query_share=st.sampled_from([0.001, 0.5, 0.999]))
def test_two_rows_to_train_on_are_enough_for_a_support_and_a_query_set(count: int, query_share: float):
    given_codes = np.full(count, SUPPORT, dtype=np.int8)
    codes = assigned_splits(COLUMN, keys_of(count), np.zeros(count, np.int64), given_codes, query_share)
    assert set(codes.tolist()) == {SUPPORT, QUERY}


def test_the_hash_of_a_row_is_the_same_for_ever():
    # Another value would move rows between the splits of data versions made before and after.
    frame = pl.DataFrame({"entity": ["user-7"]}).with_columns(time=pl.lit(START, pl.Datetime("us", "UTC")))
    assert row_keys(frame, "s0").tolist() == [8454009371847818449]
    assert mixed(row_keys(frame, "s0"), 1).tolist() == [3514108840703167980]


def test_keys_are_uniform_and_salts_make_them_independent():
    keys = keys_of(20_000)
    one, other = shares(mixed(keys, 1)), shares(mixed(keys, 2))
    assert np.histogram(one, bins=10, range=(0, 1))[0].min() > 1_800
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.03


def test_occurrences_count_the_equal_keys_before():
    keys = np.array([5, 3, 5, 5, 3], dtype=np.uint64)
    assert occurrences(keys).tolist() == [0, 0, 1, 2, 1]
