"""The trainer goes on from a store written with the schemaVersions before today's."""

import pytest

from longtail_api.architecture import Training
from longtail_api.methods.alt import AdaptConfig
from longtail_api.store_layout import manifest_key, result_key
from longtail_store import Chain, open_store
from longtail_trainer.methods import run
from longtail_trainer.methods.alt.teacher import load_heavy, load_version
from tests.store.store_written_before import NORTH, SOUTH, unpacked


@pytest.fixture
def address(tmp_path):
    return unpacked(tmp_path / "store")


def test_every_version_and_heavy_model_is_loaded(address):
    store = open_store(address)
    for number in (1, 2, 3):
        version = Chain(store).version(number)
        assert load_version(store, version).flops() == version.flops
    for scenario in (NORTH, SOUTH):
        assert load_heavy(store, result_key(scenario, 1, "adapt")).flops() > 0


@pytest.mark.slow
def test_a_scenario_is_adapted_from_its_newest_version(address):
    config = AdaptConfig(
        store=address, identity="later", owner=NORTH, run=2, threads=1, base_version=3,
        manifest=manifest_key(NORTH, "d1"), training=Training(fine_tune_epochs=1),
    )  # fmt: skip
    result = run("adapt", config)
    assert result.outputs["agnosticVersion"] == 3
    assert result.outputs["feedbackKey"]
