"""How much of a scenario's data lies outside of the features that it is encoded with."""

import numpy as np
import polars as pl
import pytest

from longtail_api.store_objects import CategoricalStatistics, NumericStatistics, Statistics
from longtail_trainer.data.features import coverage, fit_features
from tests.trainer.prepared_data import FEATURES, SCHEMA, samples, statistics_of


def test_numbers_beyond_the_bounds_and_unknown_categories_are_counted():
    statistics = Statistics(
        numeric={"profile.age": NumericStatistics(count=4, sample=[-3.5, 0.0, 3.0, 4.0], sample_keys=[1, 2, 3, 4])},
        categorical={
            "profile.city": CategoricalStatistics(count=9, counts={"Bern": [1, 1], "Oslo": [3, 2, 1], "": [1]})
        },
    )
    assert coverage(statistics, FEATURES) == {"profile.age": 0.5, "profile.city": pytest.approx(6 / 8)}


def test_a_column_without_a_value_is_not_named():
    statistics = Statistics(
        numeric={"profile.age": NumericStatistics(nulls=5)},
        categorical={"profile.city": CategoricalStatistics(nulls=5)},
    )
    assert coverage(statistics, FEATURES) == {}


def test_the_pool_itself_is_covered_but_for_its_outermost_values_and_its_rare_ones():
    statistics = statistics_of(samples(400), SCHEMA)
    shares = coverage(statistics, fit_features(SCHEMA, statistics))
    assert set(shares) == {*statistics.numeric, *statistics.categorical}
    assert max(shares.values()) < 0.02


def test_a_scenario_in_another_currency_of_other_cities_is_not_covered():
    features = fit_features(SCHEMA, statistics_of(samples(400), SCHEMA))
    abroad = samples(200).with_columns(
        pl.col("context.hour") * 100 + 1000, pl.col("profile.city").replace({"Bern": "Oslo", "Rome": "Lund"})
    )
    shares = coverage(statistics_of(abroad, SCHEMA), features)
    assert shares["context.hour"] > 0.95
    assert shares["profile.city"] == 1
    assert shares["profile.age"] < 0.05
    assert np.isfinite(list(shares.values())).all()
