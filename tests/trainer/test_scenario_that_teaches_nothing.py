"""A scenario whose own rows teach nothing: its light model is distilled from the agnostic model as that is."""

import polars as pl
import pytest

from longtail_api.light_model_search import Algorithm, GdasParameters, Teacher
from longtail_api.methods.alt import LightTraining
from longtail_api.run_config import StoreAddress
from longtail_api.store_objects import StepResult
from longtail_store import open_store, read_object
from longtail_trainer.methods import run
from longtail_trainer.running.errors import DataInvalid
from tests.trainer.adapted_scenario import HEAVY_RESULT, adapt_one, search_config, train_light_config
from tests.trainer.prepared_data import write_scenario
from tests.trainer.training_steps import POOL, initialize_config

NO_TRAINING_ROW = {"support": 0, "query": 0}
TEST_ROWS_ALONE = NO_TRAINING_ROW | {"validation": 0}


def without_labels(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.lit(None, pl.Float64).alias(label) for label in ("bought", "spent"))


def of_one_class(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(bought=pl.lit(0.0))


def as_it_is(frame: pl.DataFrame) -> pl.DataFrame:
    return frame


GDAS = {"algorithm": Algorithm(gdas=GdasParameters(epochs=2))}
RANDOM = {"algorithm": Algorithm(name="random"), "max_trials": 2}
CASES = {
    "one class": (of_one_class, {}, GDAS, "OneClass"),
    "no label": (without_labels, {}, GDAS, "NoLabels"),
    "no training row": (as_it_is, NO_TRAINING_ROW, GDAS, "NoSupportRows"),
    "test rows alone": (as_it_is, TEST_ROWS_ALONE, GDAS, "NoSupportRows"),
    "test rows alone, random": (as_it_is, TEST_ROWS_ALONE, RANDOM, "NoSupportRows"),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_its_light_model_is_searched_and_answers_much_as_the_agnostic_model_does(case: str, tmp_path):
    changed, rows, algorithm, reason = CASES[case]
    address = adapt_one(tmp_path / "store", changed, rows)
    adapted = read_object(open_store(address), HEAVY_RESULT, StepResult)
    assert adapted.outputs["adaptReason"] == reason
    run("search", search_config(address, **algorithm))
    result = run("train-light", train_light_config(address, light_training=LightTraining(epochs=12, batch_size=16)))
    light, heavy = result.metrics["test"]["logLoss"].value, result.metrics["heavyTest"]["logLoss"].value
    assert (light is None) == (heavy is None) == (case == "no label")
    assert light is None or light == pytest.approx(heavy, abs=0.1)


@pytest.mark.parametrize(("step", "config"), [("search", search_config), ("train-light", train_light_config)])
@pytest.mark.parametrize("nobody", [{"teacher": Teacher(transfer_rows=0)}, {"transfer_from": []}])
def test_without_a_row_of_its_own_or_of_others_there_is_nothing_to_learn(step: str, config, nobody, tmp_path):
    address = adapt_one(tmp_path / "store", rows=TEST_ROWS_ALONE)
    with pytest.raises(DataInvalid, match=r"the scenario has no training row.*transferRows"):
        run(step, config(address, **nobody))


@pytest.mark.parametrize(
    ("changed", "words"),
    [(without_labels, "'bought' is observed in no training row"), (of_one_class, "'bought' has one class only")],
)
def test_a_pool_that_cannot_teach_the_first_label_is_refused(changed, words: str, tmp_path):
    address = StoreAddress(uri=f"file://{tmp_path}")
    pool = [write_scenario(open_store(address), name, seed=seed, changed=changed) for seed, name in enumerate(POOL[:2])]
    with pytest.raises(DataInvalid, match=words):
        run("initialize", initialize_config(address, pool))
