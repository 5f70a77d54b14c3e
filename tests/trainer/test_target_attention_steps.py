"""A shared vocabulary and attention to the history, through all steps: from statistics to the published graph."""

import pytest

from longtail_api.run_config import StoreAddress
from longtail_api.store_layout import architecture_key, features_key, version_key
from longtail_api.store_objects import Features, ModelCard, SearchResult, Version
from longtail_store import open_store, read_object
from longtail_store.feedback import RowSparse, read_feedback
from longtail_trainer.methods import run
from tests.trainer.adapted_scenario import MANIFEST, SMALL_SPACE, search_config, train_light_config
from tests.trainer.prepared_data import SCHEMA, write_scenario
from tests.trainer.training_steps import ARRIVAL, POOL, SMALL, adapt_config, initialize_config

pytestmark = pytest.mark.slow

SHARED = ["context.slot", "behaviors.items.kind"]
RELATED = SCHEMA.model_copy(update={"shared_vocabularies": {"things": SHARED}})
ATTENTIVE = SMALL.model_copy(update={"target_attention": True})


def test_every_step_keeps_the_shared_vocabulary_and_the_attention_to_the_history(tmp_path):
    address = StoreAddress(uri=f"file://{tmp_path}/store")
    store = open_store(address)
    write_scenario(store, ARRIVAL, seed=3, schema=RELATED)
    pool = [write_scenario(store, POOL[0], seed=0, schema=RELATED)]
    config = initialize_config(address, pool)
    run("initialize", config.model_copy(update={"data_schema": RELATED, "architecture": ATTENTIVE}))
    version = read_object(store, version_key(1), Version)
    features = read_object(store, features_key(version.features_sha256), Features)
    assert features.vocabularies["context.slot"] == features.vocabularies["behaviors.items.kind"]
    assert set(features.vocabularies["context.slot"]) >= {"top", "side", "a", "b"}
    assert version.model.architecture.target_attention

    run("adapt", adapt_config(address, MANIFEST))
    feedback = read_feedback(store, ARRIVAL, 1)[1]
    assert isinstance(feedback["tables.shared.vocabulary_things.weight"], RowSparse)
    assert "candidate.attentions.0.normed_query.weight" in feedback

    space = SMALL_SPACE.model_copy(update={"target_attention": True})
    run("search", search_config(address, search_space=space))
    key = architecture_key(ARRIVAL, 1)
    found = read_object(store, key, SearchResult)
    assert found.found.target_attention

    trained = run("train-light", train_light_config(address, architecture=None, search_result=key))
    card = read_object(store, trained.outputs["cardKey"], ModelCard)
    assert card.model.target_attention
    assert card.flops == found.flops
    assert trained.outputs["architecture"].endswith("target attention")
