"""Folds of a data set: each row is tested once, and an identity is never parted."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from benchmarks.comparison.folds import IDENTITY, Splits, with_split


def samples(count: int = 4003) -> pl.DataFrame:
    """Of three scenarios, each identity twice."""
    start = datetime(2024, 1, 1, tzinfo=UTC)
    identities = pl.DataFrame(
        {
            "scenario": [f"s{number % 3}" for number in range(count)],
            "entity": [f"e{number}" for number in range(count)],
            "time": [start + timedelta(hours=number) for number in range(count)],
        }
    )
    return pl.concat([identities, identities])


def test_five_seeds_test_every_row_exactly_once_and_never_part_an_identity():
    drawn = pl.concat([with_split(samples(), Splits(), seed) for seed in range(5)])
    tested = drawn.filter(pl.col("split") == "test").group_by(IDENTITY).len()
    assert len(tested) == 4003
    assert tested["len"].unique().to_list() == [2], "both rows of an identity, in one fold"


def test_folds_of_a_scenario_are_of_one_size_and_validation_rows_have_their_share():
    drawn = with_split(samples(), Splits(), 2)
    tested = drawn.filter(pl.col("split") == "test").group_by("scenario").len()["len"].to_list()
    assert all(abs(rows - 2 * 4003 / 3 / 5) <= 2 for rows in tested)
    assert (drawn["split"] == "validation").mean() == pytest.approx(0.1, abs=0.02)


def test_a_seed_splits_alike_whatever_the_order_of_rows_and_rows_that_come_stay_apart_from_it():
    first = with_split(samples(), Splits(), 1)
    assert with_split(samples(), Splits(), 1).equals(first)
    again = with_split(samples().reverse(), Splits(), 1).reverse()
    assert again.equals(first)


def test_seeds_beyond_the_last_fold_divide_the_rows_anew():
    tested = [set(with_split(samples(), Splits(), seed).filter(pl.col("split") == "test")["entity"]) for seed in (0, 5)]
    assert tested[0] != tested[1]
    assert tested[0] & tested[1]
