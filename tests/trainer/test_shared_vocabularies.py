"""Columns that hold the same things: one vocabulary, fitted on all of them, and one embedding table in every model."""

from itertools import permutations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from longtail_api.architecture import Architecture
from longtail_api.data_schema import DataSchema
from longtail_api.store_objects import CategoricalStatistics, Features, Statistics
from longtail_store.feedback import RowSparse
from longtail_trainer.data.features import fit_features
from longtail_trainer.data.seen_categories import SeenCategories
from longtail_trainer.export import check_parity, export
from longtail_trainer.methods.alt.gradients import stored_gradients
from longtail_trainer.methods.alt.meta_training import twin_of
from longtail_trainer.models.alt_heavy.model import HeavyModel
from longtail_trainer.models.alt_light.model import LightModel, predefined_architecture
from longtail_trainer.models.blocks.field_inputs import FieldInputs
from longtail_trainer.models.columns import batch_inputs, light_columns
from longtail_trainer.models.contract import RankingModel
from longtail_trainer.models.weights import set_weights, weights_bytes
from tests.trainer.tiny_features import a_schema_of_items, features_of, samples

torch.set_num_threads(1)

SCHEMA = a_schema_of_items()
ITEMS = SCHEMA.shared_vocabularies["items"]
FEATURES = features_of(SCHEMA)
APART = features_of(a_schema_of_items([]))
SMALL = Architecture(behavior_width=4, profile_layers=[8, 4], prediction_layers=[6], embedding_size=3)
TABLE = "tables.shared.vocabulary_items.weight"


def counted(**values: int) -> CategoricalStatistics:
    return CategoricalStatistics(count=sum(values.values()), counts={name: [count] for name, count in values.items()})


def heavy(features: Features = FEATURES) -> HeavyModel:
    torch.manual_seed(1)
    return HeavyModel(features, "LSTM", SMALL).eval()


def light(features: Features = FEATURES, names: tuple[str, ...] = ()) -> LightModel:
    torch.manual_seed(1)
    return LightModel(features, predefined_architecture(width=4, layers=2, operation="conv3"), names).eval()


MODELS = pytest.mark.parametrize("build", [heavy, light], ids=["heavy", "light"])


def test_columns_that_share_a_vocabulary_have_the_frequent_values_of_all_of_them():
    statistics = Statistics(
        categorical={
            "context.item": counted(lamp=3, sofa=4, vase=9),
            "behaviors.clicks.item": counted(lamp=3, rug=2),
            "behaviors.views.next": counted(lamp=8, rug=2),
            "behaviors.clicks.kind": counted(lamp=5),
        }
    )
    vocabularies = fit_features(SCHEMA, statistics).vocabularies
    assert {column: vocabularies[column] for column in ITEMS} == {key: ["lamp", "vase"] for key in ITEMS}
    assert vocabularies["behaviors.clicks.kind"] == ["lamp"]
    assert set(vocabularies) == set(SCHEMA.categorical_features())


def test_the_shared_vocabulary_does_not_depend_on_the_order_of_its_columns():
    statistics = Statistics(
        categorical={
            column: counted(**{f"v{number}": 1 + (number * place) % 5 for number in range(20)})
            for place, column in enumerate(ITEMS, start=1)
        }
    )
    fitted = {
        tuple(fit_features(a_schema_of_items(list(order)), statistics).vocabularies["context.item"])
        for order in permutations(ITEMS)
    }
    assert len(fitted) == 1
    assert 5 < len(*fitted) < 20


def test_a_schema_that_shares_nothing_reads_and_hashes_as_before_there_was_sharing():
    assert "sharedVocabularies" not in a_schema_of_items([]).to_json_dict()
    assert b"sharedVocabularies" not in APART.to_bytes()
    written = SCHEMA.to_json_dict()
    assert written["sharedVocabularies"] == {"items": ITEMS}
    assert DataSchema.model_validate(written) == SCHEMA


@MODELS
def test_a_model_has_one_table_for_a_shared_vocabulary_saved_once(build):
    model, apart = build(), build(APART)
    rows = len(FEATURES.vocabularies["context.item"]) + 1
    tables = [name for name, weight in model.state_dict().items() if weight.shape[0] == rows]
    others = [name for name, weight in apart.state_dict().items() if weight.shape[0] == rows]
    assert [name for name in tables if "vocabulary" in name] == [TABLE]
    assert len(others) - len(tables) == len(ITEMS) - 1
    assert not any("vocabulary" in name for name in apart.state_dict())
    other = build()
    with torch.no_grad():
        other.tables.table("items").weight.add_(1)
    assert weights_bytes(other) != weights_bytes(model)
    set_weights(other, weights_bytes(model))
    assert weights_bytes(other) == weights_bytes(model)


@MODELS
def test_candidate_and_events_read_and_teach_the_same_row_of_the_table(build):
    model = build()
    batch = samples(FEATURES, 40).select(torch.arange(40))
    batch.categorical[:, 1] = 2  # the candidate
    for name, place in (("clicks", [1]), ("views", [0, 1])):
        batch.sequences[name].categorical[:, :, place] = 3
    model(batch).sum().backward()
    gradient = model.tables.table("items").weight.grad
    assert gradient is not None
    assert gradient.abs().sum(1).gt(0).tolist() == [False, False, True, True]
    before = model(batch)
    with torch.no_grad():
        model.tables.table("items").weight[[0, 1]] += 1  # neither the candidate's nor the events'
    assert torch.equal(model(batch), before)


def test_the_feedback_of_a_shared_table_is_one_of_the_rows_that_were_read():
    model = heavy()
    batch = samples(FEATURES, 40).select(torch.arange(40))
    batch.categorical[:, 1] = 2
    for name, place in (("clicks", [1]), ("views", [0, 1])):
        batch.sequences[name].categorical[:, :, place] = 3
    model(batch).sum().backward()
    gradients = {name: one.grad for name, one in model.named_parameters() if one.grad is not None}
    stored = stored_gradients(gradients, model)
    assert set(stored) <= set(model.state_dict())
    assert isinstance(stored[TABLE], RowSparse)
    assert stored[TABLE].rows.tolist() == [2, 3]


@MODELS
def test_a_twin_reads_a_table_of_its_own(build):
    model = build()
    batch = samples(FEATURES, 10).select(torch.arange(10))
    twin, before = twin_of(model), model(batch)
    assert torch.equal(twin(batch), before)
    with torch.no_grad():
        twin.tables.table("items").weight.add_(1)
    assert torch.equal(model(batch), before)
    assert not torch.equal(twin(batch), before)


def flops_that_torch_counts(model: RankingModel) -> int:
    split = samples(FEATURES, 400)
    full = [
        row
        for row in range(400)
        if all(int(one.offsets.diff()[row]) == most for one, most in zip(split.sequences.values(), (6, 4), strict=True))
    ]
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(split.select(torch.tensor(full[:1])))
    return counter.get_total_flops()


def test_what_a_shared_table_costs_is_the_product_that_brings_it_to_the_width_of_static_features():
    assert heavy().flops() == heavy(APART).flops()
    width = 4
    assert light().flops() - light(APART).flops() == 2 * width * 2 * width
    assert flops_that_torch_counts(light()) - flops_that_torch_counts(light(APART)) == 2 * width * 2 * width


def test_a_vocabulary_of_which_no_column_is_selected_has_no_table():
    assert not any("vocabulary" in name for name in light(names=("slot", "price")).state_dict())
    alone = light(names=("clicks",))
    assert TABLE in alone.state_dict()


def test_fields_of_a_shared_vocabulary_have_one_table_and_cost_nothing_more():
    columns = light_columns(SCHEMA)
    fields, apart = FieldInputs(columns, FEATURES, width=4), FieldInputs(columns, APART, width=4)
    assert fields.flops() == apart.flops()
    assert fields.shape == apart.shape
    batch = samples(FEATURES, 5).select(torch.arange(5))
    fields(*batch_inputs(columns, batch)).sum().backward()
    assert [name for name, one in fields.named_parameters() if "vocabulary" in name and one.grad is not None] == [TABLE]


def test_a_value_that_any_of_the_columns_has_stays_known_to_all_of_them():
    wide = FEATURES.model_copy(
        update={"vocabularies": {**FEATURES.vocabularies, **{key: list("abcdef") for key in ITEMS}}}
    )
    rows = samples(FEATURES, 30)
    rows.categorical[:, 1] = 2
    rows.sequences["clicks"].categorical[:, 1] = 5
    rows.sequences["views"].categorical[:, 0] = 0
    rows.sequences["views"].categorical[:, 1] = 4
    seen = SeenCategories.of(wide, rows)
    assert {column: seen.features.vocabularies[column] for column in ITEMS} == {key: list("bde") for key in ITEMS}
    encoded = seen.encoded(rows)
    assert encoded.categorical[:, 1].unique().tolist() == [1]
    assert encoded.sequences["clicks"].categorical[:, 1].unique().tolist() == [3]
    assert encoded.sequences["views"].categorical[:, 1].unique().tolist() == [2]


@pytest.mark.slow
@pytest.mark.parametrize("names", [(), ("item", "next", "age")], ids=["all features", "items and age"])
def test_the_exported_graph_of_a_shared_table_answers_as_the_model_does(names):
    model = light(names=names)
    assert check_parity(model, export(model), 1e-4) < 1e-5
