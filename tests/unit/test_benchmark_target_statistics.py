"""What a boosting baseline knows of the label by category."""

import numpy as np
import polars as pl
import pytest

from benchmarks.comparison.target_statistics import SMOOTHING, TargetStatistics


def test_a_training_rows_own_label_is_not_in_its_statistics():
    keys = pl.DataFrame({"item": [f"item-{number}" for number in range(200)]})
    labels = (np.random.default_rng(0).random(200) < 0.5).astype(np.float64)
    found = TargetStatistics(keys, labels, seed=0).training()
    assert (found[:, 1] == 0).all(), "an item that occurs once was never seen elsewhere"
    flipped = labels.copy()
    flipped[7] = 1 - flipped[7]
    assert TargetStatistics(keys, flipped, seed=0).training()[7] == pytest.approx(found[7])


def test_categories_have_smoothed_means_and_counts_and_new_ones_the_overall_mean():
    keys = pl.DataFrame({"item": ["good"] * 60 + ["bad"] * 40 + [None] * 20})
    labels = np.array([1.0] * 60 + [0.0] * 60)
    found = TargetStatistics(keys, labels, seed=0).later(pl.DataFrame({"item": ["good", "bad", None, "new"]}))
    mean = 0.5
    assert found[:, 0] == pytest.approx(
        [(60 + SMOOTHING * mean) / (60 + SMOOTHING), SMOOTHING * mean / (40 + SMOOTHING), 0.25, mean]
    )
    assert np.expm1(found[:, 1]) == pytest.approx([60, 40, 20, 0])
