"""Rows of a comparison: pairs, tables, claims and the noise floor."""

import numpy as np
import polars as pl
import pytest

from benchmarks.comparison.claims import above_zero, noise_floor, not_below
from benchmarks.comparison.rows import FigureRow
from benchmarks.comparison.shown_command import shown_command
from benchmarks.comparison.statistics import Comparison, difference, pairs
from benchmarks.comparison.tables import averages, row_frame


def row(method: str, scenario: str = "s0", seed: int = 0, auc: float | None = 0.8, **fields: object) -> FigureRow:
    return FigureRow.model_validate({"method": method, "scenario": scenario, "seed": seed, "auc": auc, **fields})


def frame(*rows: FigureRow) -> pl.DataFrame:
    return row_frame(rows, FigureRow)


def test_a_difference_is_of_pairs_that_both_sides_have():
    table = frame(
        row("a", "s0", auc=0.8),
        row("b", "s0", auc=0.7),
        row("a", "s1", auc=0.9),
        row("b", "s1", auc=None),
        row("a", "s2"),
    )
    assert pairs(table, {"method": "a"}, {"method": "b"}).rows() == [(0, "s0", 0.8, 0.7)]
    found = difference(table, {"method": "a"}, {"method": "b"})
    assert found is not None
    assert (found.pairs, found.mean) == (1, pytest.approx(0.1))
    assert difference(table, {"method": "a"}, {"method": "c"}) is None


def test_averages_over_large_scenarios_and_over_rows_stand_beside_the_plain_one():
    table = averages(
        frame(
            row("a", "tiny", auc=0.5, test_rows=9),
            row("a", "large", auc=0.8, test_rows=991),
            row("a", "one class", auc=None, test_rows=500),
        ),
        ["a"],
        "x",
    ).frame
    assert table["AUC"].to_list() == [pytest.approx(0.65)]
    assert table["AUC, ≥ 100 rows"].to_list() == [0.8]
    assert table["AUC by rows"].to_list() == [pytest.approx((9 * 0.5 + 991 * 0.8) / 1000)]
    assert table["rows"].to_list() == [2]


def comparison(mean: float, low: float, high: float, by_seed: tuple[float, ...] = ()) -> Comparison:
    return Comparison(mean, low, high, 10, by_seed)


def test_a_claim_of_a_gain_is_judged_by_its_whole_interval():
    assert above_zero("gain", comparison(0.01, 0.001, 0.02)).holds
    assert above_zero("gain", comparison(0.01, -0.001, 0.02)).holds is False


def test_not_below_means_by_no_more_than_what_another_seed_makes_of_the_same():
    again = comparison(0.001, -0.01, 0.012, by_seed=(0.004, -0.004, 0.004, -0.004))
    assert noise_floor(again) == pytest.approx(1.96 * 0.004 / 2)
    assert not_below("new − old", comparison(-0.003, -0.01, 0.004), again).holds
    assert not_below("new − old", comparison(-0.005, -0.01, 0.0), again).holds is False
    assert not_below("new − old", comparison(-0.005, -0.01, 0.0), None).holds is None


def test_the_noise_floor_is_passed_by_equals_about_39_times_of_40():
    generator = np.random.default_rng(0)
    fell = 0
    for _ in range(400):
        again, difference_ = (generator.normal(0, 0.004, 5) for _ in range(2))
        fell += difference_.mean() < -noise_floor(comparison(0, 0, 0, tuple(again)))
    assert 0.01 <= fell / 400 <= 0.08


def test_the_shown_command_names_no_folder_of_the_machine():
    shown = shown_command(["--dataset", "/data/mine/shop", "--json=/data/x.json", "--seeds", "2"], "benchmarks.it")
    assert shown == "python -m benchmarks.it --dataset shop --json=x.json --seeds 2"
