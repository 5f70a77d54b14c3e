"""A store written with the schemaVersions before today's: all of it is read, and the chain goes on."""

from pathlib import Path

import pytest

from longtail_api.base import StoreObject
from longtail_api.run_config import StoreAddress
from longtail_api.store_layout import architecture_key, model_card_key, model_key, way_key
from longtail_api.store_objects import (
    EncoderSearchResult,
    Features,
    Manifest,
    ModelCard,
    SearchResult,
    Statistics,
    StepResult,
    Version,
)
from longtail_operator.meta_update.fold import fold
from longtail_operator.meta_update.ledger import pending
from longtail_store import Chain, open_store, read_object
from longtail_store.settled_log import SettledLog
from tests.store.small_model import PARAMETERS
from tests.store.store_written_before import NORTH, SOUTH, unpacked


@pytest.fixture
def address(tmp_path: Path) -> StoreAddress:
    return unpacked(tmp_path / "store")


def model_of(key: str) -> type[StoreObject] | None:
    """The model of a JSON object, by its key."""
    folder, _, name = key.rpartition("/")
    if folder == "agnostic/features":
        return Features
    if folder == "agnostic/versions":
        return Version
    if name == "architecture.json":
        return EncoderSearchResult if folder.endswith("/initialize") else SearchResult
    names = {
        "manifest.json": Manifest, "statistics.json": Statistics, "model.json": ModelCard, "result.json": StepResult,
    }  # fmt: skip
    return names.get(name)


def test_every_object_is_read(address: StoreAddress):
    store = open_store(address)
    keys = [item.key for item in store.list("") if item.key.endswith(".json")]
    models = {key: model_of(key) for key in keys}
    assert None not in models.values()
    assert len(set(models.values())) == 8
    for key, model in models.items():
        assert model is not None
        read = read_object(store, key, model)
        assert read.schema_version == model.model_fields["schema_version"].default


def test_flat_fields_are_found_in_the_unions(address: StoreAddress):
    store = open_store(address)
    first, second, third = (Chain(store).version(number).model for number in (1, 2, 3))
    assert (first.family, first.encoder, first.cell) == ("alt-heavy", "LSTM", None)
    assert first.architecture.behavior_width == 4
    assert second == first
    assert third.encoder == "Searched"
    found = read_object(store, way_key("runs/agnostic/2/initialize", "Architecture"), EncoderSearchResult)
    assert third.cell == found.architecture
    searched = read_object(store, architecture_key(NORTH, 1), SearchResult).found
    assert (searched.family, searched.width, len(searched.layers)) == ("alt-light", 4, 1)
    card = read_object(store, model_card_key(NORTH, "v1"), ModelCard)
    assert card.model == searched
    assert len(store.get(model_key(NORTH, "v1"))) == card.bytes


def test_feedback_that_waits_is_folded_on_top(address: StoreAddress):
    store = open_store(address)
    waiting = [(item.scenario, item.run) for item in pending(store)]
    assert waiting == [(SOUTH, 1)]
    outcome = fold(store, waiting, PARAMETERS, orphans_seconds=86_400)
    assert (outcome.committed, outcome.version.number, len(outcome.version.folded)) == (True, 4, 1)
    before, after = (Chain(store).version(number) for number in (3, 4))
    assert after.model == before.model
    assert b'"schemaVersion":3' in store.get("agnostic/versions/000000000004.json")


def test_an_object_is_read_alike_before_and_after_it_is_written_again(address: StoreAddress):
    store = open_store(address)
    for key, model in ((model_card_key(NORTH, "v1"), ModelCard), (architecture_key(NORTH, 1), SearchResult)):
        read = read_object(store, key, model)
        assert model.model_validate_json(read.to_bytes()) == read


def test_a_broken_object_of_the_version_before_is_still_told_as_such():
    for model in (Version, SearchResult, ModelCard):
        with pytest.raises(ValueError, match=r"validation error"):
            model.model_validate({"schemaVersion": 1, "architecture": 7})


def test_a_record_that_held_all_settled_runs_itself_is_followed_by_one_that_names_segments_of_them(tmp_path: Path):
    store = open_store(unpacked(tmp_path / "store", "chain"))
    assert [Chain(store).version(number).schema_version for number in (1, 2, 3)] == [3, 3, 3]
    waiting = [(item.scenario, item.run) for item in pending(store)]
    assert waiting == [(SOUTH, 2)]
    delivered_again = [(NORTH, 1), (NORTH, 2), (SOUTH, 1)]
    outcome = fold(store, waiting + delivered_again, PARAMETERS, orphans_seconds=86_400, inline_scenarios=1)
    assert (outcome.version.number, outcome.duplicates) == (4, tuple(delivered_again))
    assert outcome.version.settled == {}
    assert SettledLog(store).at(outcome.version).all() == {NORTH: [(1, 2)], SOUTH: [(1, 2)]}
