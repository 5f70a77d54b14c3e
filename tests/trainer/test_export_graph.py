"""The exported graph: raw values in, the trained model's answers out, the same bytes each time."""

import hashlib

import numpy as np
import onnx
import pytest
import torch

from longtail_api.light_model_search import OPERATION_NAMES
from longtail_api.store_objects import Layer, LightArchitecture, TensorSpec
from longtail_trainer.data.loading import encode_frame
from longtail_trainer.export import check_parity, export, inputs_of, measure_latency, outputs_of
from longtail_trainer.export.runtime import feed_of, session
from longtail_trainer.models.alt_light.model import LightModel
from longtail_trainer.running.errors import ParityFailed
from longtail_trainer.training.scoring import predict
from tests.trainer.prepared_data import FEATURES, samples

pytestmark = pytest.mark.slow

torch.set_num_threads(1)

EVERY_OPERATION = LightArchitecture(
    width=4,
    layers=[
        Layer(input=number // 2, operation=name, residuals=[0] if number % 3 else [])
        for number, name in enumerate(OPERATION_NAMES)
    ],
    attention_heads=2,
)
SMALL = LightArchitecture(width=4, layers=[Layer(input=0, operation="conv3")])


def a_model(architecture: LightArchitecture, names: tuple[str, ...] = (), seed: int = 0) -> LightModel:
    torch.manual_seed(seed)
    return LightModel(FEATURES, architecture, names).eval()


@pytest.fixture(scope="module")
def small() -> tuple[LightModel, bytes]:
    """A model of all features: both sequences, both types of label. Exports take seconds, so tests share them."""
    model = a_model(SMALL)
    return model, export(model)


@pytest.mark.slow
def test_every_operation_passes_the_parity_gate():
    model = a_model(EVERY_OPERATION, ("slot", "age", "items"))
    assert check_parity(model, export(model), 1e-4) < 1e-5


def test_several_sequences_pass_the_parity_gate(small):
    assert check_parity(*small, 1e-4) < 1e-5


def test_prepared_rows_get_the_same_answers_from_their_raw_values(small):
    model, content = small
    frame = samples(50)
    logits = predict(model, encode_frame(frame, FEATURES))
    bought, spent = session(content).run(["bought", "spent"], feed_of(frame, inputs_of(model)))
    np.testing.assert_allclose(bought, logits[:, 0].sigmoid().numpy(), atol=1e-5)
    np.testing.assert_allclose(spent, logits[:, 1].numpy() * 3 + 2, atol=1e-4)


def test_inputs_and_outputs_are_named_and_typed_as_the_card_says(small):
    model, content = small
    runtime = session(content)
    types = {"BYTES": "tensor(string)", "FP32": "tensor(float)", "INT64": "tensor(int64)"}
    assert {one.name: one.type for one in runtime.get_inputs()} == {
        spec.name: types[spec.datatype] for spec in inputs_of(model)
    }
    assert inputs_of(model) == [
        TensorSpec(name="context.slot", datatype="BYTES", shape=[-1]),
        TensorSpec(name="profile.city", datatype="BYTES", shape=[-1]),
        TensorSpec(name="context.hour", datatype="FP32", shape=[-1]),
        TensorSpec(name="profile.age", datatype="FP32", shape=[-1]),
        TensorSpec(name="behaviors.items.kind", datatype="BYTES", shape=[-1, -2]),
        TensorSpec(name="behaviors.items.price", datatype="FP32", shape=[-1, -2]),
        TensorSpec(name="behaviors.items:length", datatype="INT64", shape=[-1]),
        TensorSpec(name="behaviors.visits.seconds", datatype="FP32", shape=[-1, -2]),
        TensorSpec(name="behaviors.visits:length", datatype="INT64", shape=[-1]),
    ]
    assert (
        [one.name for one in runtime.get_outputs()] == [spec.name for spec in outputs_of(model)] == ["bought", "spent"]
    )


def test_what_stands_behind_the_length_is_never_read(small):
    model, content = small
    runtime = session(content)
    feed = feed_of(samples(5), inputs_of(model), length=6)
    before = runtime.run(None, feed)
    for sequence, width in (("items", 6), ("visits", 6)):
        beyond = np.arange(width)[None, :] >= feed[f"behaviors.{sequence}:length"][:, None]
        for name in feed:
            if name.startswith(f"behaviors.{sequence}.") and not name.endswith(":length"):
                feed[name][beyond] = "a" if feed[name].dtype == object else 777.0
    for given, expected in zip(runtime.run(None, feed), before, strict=True):
        np.testing.assert_array_equal(given, expected)


def test_the_same_weights_give_the_same_bytes_and_no_trace_of_this_machine(small):
    _, content = small
    again = export(a_model(SMALL))
    assert hashlib.sha256(again).digest() == hashlib.sha256(content).digest()
    for word in (b".py", b"longtail_trainer", b"site-packages"):
        assert word not in content


def test_only_selected_features_are_inputs():
    model = a_model(SMALL, ("profile.age", "kind"))
    content = export(model)
    check_parity(model, content, 1e-4)
    assert {one.name for one in session(content).get_inputs()} == {
        "profile.age", "behaviors.items.kind", "behaviors.items:length",
    }  # fmt: skip


def test_a_model_of_static_features_alone_is_exported():
    model = a_model(SMALL, ("slot", "age"))
    content = export(model)
    assert check_parity(model, content, 1e-4) < 1e-5
    assert {one.name for one in session(content).get_inputs()} == {"context.slot", "profile.age"}


def test_a_graph_of_other_weights_fails_the_parity_gate(small):
    with pytest.raises(ParityFailed, match=r"label bought: at batch 1 and up to 0 events .* nothing was published"):
        check_parity(a_model(SMALL, seed=1), small[1], 1e-4)


def test_a_graph_that_reads_one_category_wrongly_fails_the_parity_gate(small):
    model, content = small
    graph = onnx.load_from_string(content)
    encoder = next(node for node in graph.graph.node if node.op_type == "LabelEncoder")
    values = next(attribute for attribute in encoder.attribute if attribute.name == "values_int64s")
    values.ints[0], values.ints[1] = values.ints[1], values.ints[0]
    with pytest.raises(ParityFailed):
        check_parity(model, graph.SerializeToString(), 1e-4)


def test_weights_that_are_not_finite_fail_the_parity_gate(small):
    model = a_model(SMALL)
    with torch.no_grad():
        model.logits.bias.fill_(float("nan"))
    with pytest.raises(ParityFailed):
        check_parity(model, small[1], 1e-4)


def test_latency_has_a_median_and_a_tail(small):
    latency = measure_latency(*small)
    assert 0 < latency.p50_milliseconds <= latency.p99_milliseconds
