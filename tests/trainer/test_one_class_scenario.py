"""A scenario without a first positive: its light model is searched and distilled from the agnostic model as that is."""

import polars as pl
import pytest

from longtail_trainer.methods import run
from tests.trainer.adapted_scenario import adapt_one, search_config, train_light_config


@pytest.mark.slow
def test_every_later_step_runs_on_one_class_and_the_light_model_still_tells_rows_apart(tmp_path):
    address = adapt_one(tmp_path / "store", changed=lambda frame: frame.with_columns(bought=pl.lit(0.0)))
    run("search", search_config(address))
    result = run("train-light", train_light_config(address))
    assert result.metrics["test"]["auc"].reason == "MetricNotEstimable"
    assert result.metrics["test"]["logLoss"].value < 0.7
