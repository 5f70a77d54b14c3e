"""The heavy model: what it reads, what it must not, and what it costs."""

import math

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from longtail_api.architecture import Architecture
from longtail_api.data_schema import BehaviorSequence, DataSchema, FeatureColumns, LabelColumn
from longtail_api.store_objects import Features, Layer, LightArchitecture, NumericEncoding
from longtail_trainer.data.batches import Batch, SequenceBatch
from longtail_trainer.data.encoded import EncodedSplit
from longtail_trainer.data.loading import encode_frame
from longtail_trainer.models.alt_heavy.model import HeavyModel
from longtail_trainer.models.weights import set_weights, weights_bytes
from longtail_trainer.running.errors import ConfigInvalid, DataInvalid
from tests.trainer.prepared_data import FEATURES, samples

SMALL = Architecture(behavior_width=4, profile_layers=[8, 4], prediction_layers=[6], embedding_size=3)
ENCODERS = ["LSTM", "Transformer", "Searched"]
CELL = LightArchitecture(
    width=4,
    layers=[
        Layer(input=0, operation="conv3", residuals=[0]),
        Layer(input=0, operation="lstm"),
        Layer(input=1, operation="attention", residuals=[0, 2]),
    ],
)
"""What an architecture search may find for the behavior encoders."""
BINS = 2 * 3 * (2 + 6 + 4)
"""FLOPs of `FEATURES`' three bins a number: of two static ones, and of one in each event of both sequences."""


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def model(encoder: str = "LSTM", architecture: Architecture = SMALL, features: Features = FEATURES) -> HeavyModel:
    torch.manual_seed(1)
    return HeavyModel(features, encoder, architecture, CELL if encoder == "Searched" else None).eval()


def encoded(rows: int = 30) -> EncodedSplit:
    return encode_frame(samples(rows), FEATURES)


def full_sample() -> Batch:
    """One sample with maxLength events in each sequence."""
    return Batch(
        torch.ones(1, 2, dtype=torch.int64),
        torch.zeros(1, 4),
        {
            "items": SequenceBatch(torch.ones(1, 6, 1, dtype=torch.int64), torch.zeros(1, 6, 2), torch.ones(1, 6) > 0),
            "visits": SequenceBatch(torch.ones(1, 4, 0, dtype=torch.int64), torch.zeros(1, 4, 2), torch.ones(1, 4) > 0),
        },
        torch.zeros(1, 2),
        torch.ones(1, 2) > 0,
        torch.ones(1),
        torch.zeros(1, dtype=torch.int64),
    )


@pytest.mark.parametrize("encoder", ENCODERS)
def test_a_prediction_depends_neither_on_the_batch_nor_on_its_padding(encoder):
    heavy, split = model(encoder), encoded()
    together = heavy(split.select(torch.arange(30)))
    alone = torch.cat([heavy(split.select(torch.tensor([row]))) for row in range(30)])
    assert together.shape == (30, 2)
    torch.testing.assert_close(together, alone, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_what_stands_in_the_padding_is_never_read(encoder):
    heavy, batch = model(encoder), encoded().select(torch.arange(30))
    expected = heavy(batch)
    for events in batch.sequences.values():
        events.numeric[~events.mask] = 1e3
        events.categorical[~events.mask] = 1
    torch.testing.assert_close(heavy(batch), expected)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_a_sample_without_events_has_a_finite_prediction_and_gradient(encoder):
    heavy, split = model(encoder), encoded(60)
    lengths = sum(sequence.offsets.diff() for sequence in split.sequences.values())
    logits = heavy(split.select(torch.nonzero(lengths == 0).flatten()))
    assert len(logits)
    assert torch.isfinite(logits).all()
    logits.sum().backward()
    assert all(one.grad is None or torch.isfinite(one.grad).all() for one in heavy.parameters())


@pytest.mark.parametrize("encoder", ENCODERS)
def test_a_sample_without_events_is_summarized_by_zeros(encoder):
    events = full_sample().sequences["items"]
    events.mask[:] = False
    assert model(encoder).behaviors["sequence_items"](events)[0].eq(0).all()


@pytest.mark.parametrize(
    "change",
    [
        {"embedding_size": 5},
        {"behavior_width": 12},
        {"behavior_heads": 4},
        {"behavior_layers": 1},
        {"behavior_intermediate": 9},
        {"profile_layers": [7]},
        {"prediction_layers": [7]},
    ],
    ids=str,
)
def test_every_size_of_an_architecture_is_one_of_the_model(change):
    batch = encoded().select(torch.arange(30))
    changed = model("Transformer", SMALL.model_copy(update=change))(batch)
    assert not torch.equal(changed, model("Transformer")(batch))


def test_dropout_counts_in_training_alone():
    tired = model(architecture=SMALL.model_copy(update={"dropout": 0.5}))
    batch = encoded().select(torch.arange(30))
    assert torch.equal(tired(batch), model()(batch))
    tired.train()
    assert not torch.equal(tired(batch), tired(batch))


@pytest.mark.parametrize("encoder", ENCODERS)
def test_the_order_of_events_matters(encoder):
    heavy, batch = model(encoder), full_sample()
    batch.sequences["items"].numeric = torch.linspace(-1, 1, 12).reshape(1, 6, 2)
    forward = heavy(batch)
    batch.sequences["items"].numeric = batch.sequences["items"].numeric.flip(1)
    assert not torch.allclose(forward, heavy(batch), atol=1e-5)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_every_parameter_takes_part_in_the_prediction(encoder):
    heavy, split = model(encoder), encoded(200)
    heavy(split.select(torch.arange(200))).square().sum().backward()
    idle = [name for name, one in heavy.named_parameters() if one.grad is None or not one.grad.abs().sum() > 0]
    # The softmax of attention doesn't see what is added to every score alike.
    assert [name for name in idle if not name.endswith("attend.bias")] == []


def test_the_transformers_flops_are_what_torch_counts_beside_the_sums_it_does_not_see():
    architecture = SMALL.model_copy(update={"behavior_width": 6, "behavior_heads": 3, "behavior_layers": 3})
    heavy = model("Transformer", architecture)
    with FlopCounterMode(display=False) as counter:
        heavy(full_sample())
    width, lengths, layers = 6, (6, 4), 3
    positions_and_residuals = sum((1 + 2 * layers) * length * width for length in lengths)
    means_and_maximum = sum(3 * length * width for length in lengths)
    attentive_sums = sum(2 * length * width for length in lengths)  # an elementwise product and a sum
    products = SMALL.profile_layers[-1]  # of profile and behavior
    beside = positions_and_residuals + means_and_maximum + attentive_sums + products + BINS
    assert heavy.flops() == counter.get_total_flops() + beside


def test_the_lstms_flops_are_those_of_its_equations():
    width, layers = SMALL.behavior_width, SMALL.behavior_layers
    heavy = model("LSTM")
    with FlopCounterMode(display=False) as counter:  # sees no LSTM
        heavy(full_sample())
    by_hand = SMALL.profile_layers[-1] + BINS  # the products of profile and behavior
    for length in (6, 4):
        gates = 4 * (2 * width * width + 2 * width * width)  # input and hidden state into four gates
        state = 3 * width + width  # c = f·c + i·g: two products and a sum; h = o·tanh(c): a product
        by_hand += layers * length * (gates + state + width)  # the way round each layer: a sum
        by_hand += 3 * length * width + 2 * length * width  # means and maximum, attentive sum
    assert heavy.flops() == counter.get_total_flops() + by_hand


def test_flops_do_not_depend_on_the_data_and_grow_with_the_longest_sequence():
    longer = FEATURES.model_copy(deep=True)
    longer.data_schema.behaviors[0].max_length = 12
    assert model("Transformer", features=longer).flops() > model("Transformer").flops()


def test_heads_that_do_not_divide_the_width_are_refused_by_name():
    with pytest.raises(ConfigInvalid, match=r"architecture\.behaviorHeads: 3 heads do not divide behaviorWidth 4"):
        model("Transformer", SMALL.model_copy(update={"behavior_heads": 3}))


@pytest.mark.parametrize(
    "schema",
    [
        DataSchema(labels=[LabelColumn(name="y")], profile=FeatureColumns(numeric=["age"])),
        DataSchema(labels=[LabelColumn(name="y")], context=FeatureColumns(categorical=["slot"])),
        DataSchema(labels=[LabelColumn(name="y")], behaviors=[BehaviorSequence(name="type", numeric=["x"])]),
    ],
    ids=["profile only", "context only", "a sequence called type"],
)
def test_any_part_of_a_schema_may_be_missing(schema):
    columns = [f"profile.{name}" for name in schema.profile.numeric] + [
        f"behaviors.{one.name}.{name}" for one in schema.behaviors for name in one.numeric
    ]
    features = Features(
        data_schema=schema,
        vocabularies={"context.slot": ["top"]} if schema.context.categorical else {},
        numeric={name: NumericEncoding(low=-1, high=1, center=0, scale=1) for name in columns},
    )
    heavy = model(features=features)
    batch = Batch(
        torch.zeros(2, len(schema.context.categorical), dtype=torch.int64),
        torch.zeros(2, 2 * len(schema.profile.numeric)),
        {
            one.name: SequenceBatch(
                torch.zeros(2, 3, 0, dtype=torch.int64),
                torch.zeros(2, 3, 2 * len(one.numeric)),
                torch.tensor([[True, True, False], [False, False, False]]),
            )
            for one in schema.behaviors
        },
        torch.zeros(2, 1),
        torch.ones(2, 1, dtype=torch.bool),
        torch.ones(2),
        torch.zeros(2, dtype=torch.int64),
    )
    logits = heavy(batch)
    assert logits.shape == (2, 1)
    assert torch.isfinite(logits).all()
    assert heavy.flops() > 0
    assert not schema.behaviors or not math.isclose(logits[0, 0].item(), logits[1, 0].item())


def test_weights_are_saved_alike_and_come_back():
    heavy = model()
    content = weights_bytes(heavy)
    other = HeavyModel(FEATURES, "LSTM", SMALL)
    set_weights(other, content)
    assert weights_bytes(other) == content


def test_weights_of_another_model_are_refused_and_nothing_is_changed():
    heavy, before = model(), weights_bytes(model())
    with pytest.raises(DataInvalid, match=r"stored weights don't fit .* next generation") as refused:
        set_weights(heavy, weights_bytes(model("Transformer")))
    assert refused.value.reason == "WeightsOfAnotherModel"
    assert weights_bytes(heavy) == before
