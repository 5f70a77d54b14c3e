"""A store in which one scenario is adapted, for tests of what comes after; and configs of those steps."""

import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl

from longtail_api.architecture import Training
from longtail_api.light_model_search import Algorithm, GdasParameters, SearchSpace
from longtail_api.methods.alt import LightTraining, SearchConfig, TrainLightConfig
from longtail_api.run_config import StoreAddress
from longtail_api.store_layout import manifest_key, result_key
from longtail_api.store_objects import Layer, LightArchitecture
from longtail_store import open_store
from longtail_trainer.methods import run
from tests.trainer.prepared_data import write_scenario
from tests.trainer.training_steps import ARRIVAL, POOL, adapt_config, initialize_config

SMALL_SPACE = SearchSpace(width=4, layers=2, operations=["conv1", "conv3", "max_pool3", "lstm"])
ARCHITECTURE = LightArchitecture(
    width=4,
    layers=[Layer(input=0, operation="conv3", residuals=[0]), Layer(input=1, operation="max_pool3")],
)
MANIFEST = manifest_key(ARRIVAL, "v1")
HEAVY_RESULT = result_key(ARRIVAL, 1, "adapt")


def adapt_one(
    folder: Path,
    changed: Callable[[pl.DataFrame], pl.DataFrame] = lambda frame: frame,
    rows: dict[str, int] | None = None,
) -> StoreAddress:
    """Prepare, initialize and adapt, with as little training as there can be.

    changed: the rows of the scenario. rows: how many it has of a split.
    """
    address = StoreAddress(uri=f"file://{folder}")
    store = open_store(address)
    write_scenario(store, ARRIVAL, rows, seed=3, changed=changed)
    pool = [write_scenario(store, POOL[0], seed=0)]
    run("initialize", initialize_config(address, pool, training=Training(epochs=2, batch_size=32)))
    run("adapt", adapt_config(address, MANIFEST, training=Training(fine_tune_epochs=1, batch_size=32)))
    return address


def copied(address: StoreAddress, folder: Path) -> StoreAddress:
    """A copy of the store, so that a test may write into it."""
    shutil.copytree(address.uri.removeprefix("file://"), folder)
    return StoreAddress(uri=f"file://{folder}")


def search_config(address: StoreAddress, **fields: object) -> SearchConfig:
    defaults: dict[str, object] = {
        "identity": "s1",
        "run": 1,
        "owner": ARRIVAL,
        "threads": 1,
        "manifest": MANIFEST,
        "base_version": 1,
        "heavy_result": HEAVY_RESULT,
        "search_space": SMALL_SPACE,
        "algorithm": Algorithm(gdas=GdasParameters(epochs=3)),
        "batch_size": 16,
    }
    return SearchConfig(store=address, **(defaults | fields))


def train_light_config(address: StoreAddress, **fields: object) -> TrainLightConfig:
    defaults: dict[str, object] = {
        "identity": "t1",
        "run": 1,
        "owner": ARRIVAL,
        "threads": 1,
        "manifest": MANIFEST,
        "base_version": 1,
        "heavy_result": HEAVY_RESULT,
        "architecture": ARCHITECTURE,
        "light_version": "v1",
        "light_training": LightTraining(epochs=3, batch_size=16),
    }
    return TrainLightConfig(store=address, **(defaults | fields))
