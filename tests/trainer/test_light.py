"""The light model: what it reads, what it costs, and what it learns from."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from longtail_api.light_model_search import OPERATION_NAMES
from longtail_api.store_objects import Layer, LightArchitecture
from longtail_trainer.data.encoded import concatenate
from longtail_trainer.methods.alt.distillation import DistillationLosses, with_teacher
from longtail_trainer.models.alt_light.layer_figures import layer_flops, layer_weights
from longtail_trainer.models.alt_light.model import LightModel, predefined_architecture
from longtail_trainer.models.columns import light_columns
from longtail_trainer.running.errors import ConfigInvalid
from longtail_trainer.training.loss import LabelLosses
from tests.trainer.tiny_features import a_schema, features_of, samples

torch.set_num_threads(1)


@st.composite
def architectures(draw: st.DrawFn, width: int | None = None) -> LightArchitecture:
    heads = draw(st.integers(1, 2))
    layers = [
        Layer(
            input=draw(st.integers(0, number)),
            operation=draw(st.sampled_from(OPERATION_NAMES)),
            residuals=sorted(draw(st.sets(st.integers(0, number)))),
        )
        for number in range(draw(st.integers(1, 4)))
    ]
    return LightArchitecture(
        width=width or heads * draw(st.integers(1, 4)), layers=layers, attention_heads=1 if width else heads
    )


def flops_by_hand(model: LightModel) -> int:
    """What FlopCounterMode does not see: LSTM, pooling, and sums of activations."""
    total = 0
    width, layers = model.architecture.width, model.architecture.layers
    static = model.columns.static
    bins = 2 * 3  # a multiply-add for each of a number's three bins
    total += bins * len(static.numeric)
    if static.categorical or static.numeric:
        total += (len(static.categorical) + bool(static.numeric) - 1) * 2 * width
        total += 2 * width if model.columns.sequences else 0  # the product of profile and behavior
    for sequence in model.features.data_schema.behaviors:
        columns = model.columns.sequences[sequence.name]
        area = sequence.max_length * width
        total += bins * len(columns.numeric) * sequence.max_length
        total += (len(columns.categorical) + bool(columns.numeric) - 1) * area
        for layer in layers:
            if layer.operation == "lstm":
                total += sequence.max_length * (16 * width * width + 4 * width)
            if layer.operation == "transformer_block":
                total += 2 * area  # its two ways round
            if layer.operation in ("average_pool3", "max_pool3"):
                total += 3 * area
            total += len(layer.residuals) * area
        # Attentive sum: mean of each layer, weighted sum. Summary: mean and maximum, mean of the embedded events.
        total += (3 * len(layers) * area if len(layers) > 1 else 0) + 3 * area
    return total


@settings(max_examples=25, deadline=None)
@given(architecture=architectures(), sequences=st.integers(0, 2), labels=st.integers(1, 2), static=st.booleans())
def test_flops_are_exact_for_any_architecture(
    architecture: LightArchitecture, sequences: int, labels: int, static: bool
):
    features = features_of(a_schema(sequences, labels, static))
    model = LightModel(features, architecture).eval()
    full = samples(features, 200)
    longest = [
        row
        for row in range(len(full))
        if all(int(one.offsets.diff()[row]) == 6 for one in full.sequences.values())
    ]  # fmt: skip
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(full.select(torch.tensor(longest[:1])))
    assert model.flops() == counter.get_total_flops() + flops_by_hand(model)


@settings(max_examples=15, deadline=None)
@given(architecture=architectures(), sequences=st.integers(1, 2))
def test_what_the_layers_cost_and_the_rest_is_what_the_model_costs(architecture: LightArchitecture, sequences: int):
    model = LightModel(features_of(a_schema(sequences)), architecture)
    assert sum(layer_flops(model)) + model.fixed_flops() == model.flops()
    assert len(layer_flops(model)) == len(architecture.layers)


@settings(max_examples=10, deadline=None)
@given(architecture=architectures(width=4))
def test_the_weights_of_the_attentive_sum_are_its_means_over_samples(architecture: LightArchitecture):
    features = features_of(a_schema(sequences=2))
    model = LightModel(features, architecture)
    halves = [samples(features, 20, seed) for seed in (1, 2)]
    first, second, whole = (layer_weights(model, rows) for rows in (*halves, concatenate(halves)))
    assert set(whole) == set(model.columns.sequences)
    for name in whole:
        assert sum(whole[name]) == pytest.approx(1, abs=1e-5)
        means = [(one + other) / 2 for one, other in zip(first[name], second[name], strict=True)]
        assert whole[name] == pytest.approx(means, abs=1e-5)
    for encoder in model.encoders():
        torch.nn.init.zeros_(encoder.attend.weight)
    even = [1 / len(architecture.layers)] * len(architecture.layers)
    assert all(one == pytest.approx(even) for one in layer_weights(model, halves[0]).values())
    assert layer_weights(model, samples(features, 0)) == {}


@settings(max_examples=15, deadline=None)
@given(architecture=architectures(width=4))
def test_a_sample_is_scored_alike_alone_and_in_a_batch(architecture: LightArchitecture):
    features = features_of(a_schema(sequences=2))
    model = LightModel(features, architecture).eval()
    split = samples(features, 8)
    together = model(split.select(torch.arange(8)))
    for row in range(8):
        torch.testing.assert_close(model(split.select(torch.tensor([row])))[0], together[row], atol=1e-5, rtol=1e-4)


def test_samples_without_events_have_finite_scores():
    features = features_of(a_schema())
    split = samples(features, 50)
    empty = [row for row in range(50) if int(split.sequences["clicks"].offsets.diff()[row]) == 0]
    assert empty
    scores = LightModel(features, predefined_architecture(width=4))(split.select(torch.tensor(empty)))
    assert scores.isfinite().all()


def test_features_that_are_not_selected_are_never_read():
    features = features_of(a_schema(sequences=2))
    model = LightModel(features, predefined_architecture(width=4), ["age", "price"]).eval()
    batch = samples(features, 6).select(torch.arange(6))
    before = model(batch)
    batch.categorical = torch.zeros_like(batch.categorical)
    batch.numeric[:, [0, 2]] += 1.0  # context.hour, profile.income
    batch.sequences["clicks"].categorical = torch.zeros_like(batch.sequences["clicks"].categorical)
    batch.sequences["clicks"].numeric[:, :, 1] += 1.0  # seconds
    assert torch.equal(model(batch), before)
    batch.sequences["clicks"].numeric[:, :, 0] += 1.0
    assert not torch.equal(model(batch), before)


def test_a_sequence_is_selected_by_its_own_name_or_left_out():
    columns = light_columns(a_schema(sequences=2), ["clicks", "profile.city"])
    assert list(columns.sequences) == ["clicks"]
    assert columns.sequences["clicks"].numeric == ("behaviors.clicks.price", "behaviors.clicks.seconds")
    assert columns.static.categorical == ("profile.city",)
    assert columns.static.numeric == ()


def test_a_feature_that_does_not_exist_is_named():
    with pytest.raises(ConfigInvalid, match=r"no feature or sequence agee"):
        light_columns(a_schema(), ["age", "agee"])


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([], "none given"),
        ([Layer(input=1, operation="conv1")], r"layers\[0\]: reads \[1\]"),
        ([Layer(input=0, operation="conv2")], "no operation 'conv2'"),
        ([Layer(input=0, operation="conv1", residuals=[0, 0])], "names one twice"),
    ],
)
def test_an_architecture_that_cannot_be_is_refused(layers: list[Layer], message: str):
    with pytest.raises(ConfigInvalid, match=message):
        LightModel(features_of(a_schema()), LightArchitecture(width=4, layers=layers))


def test_the_teacher_term_is_weighted_and_softened():
    schema = a_schema(labels=2)
    losses = DistillationLosses.taught(schema, temperature=2.0, weight=0.5)
    logits, teacher = torch.tensor([[0.4, 1.0]]), torch.tensor([[-1.0, 3.0]])
    labels, observed = torch.tensor([[1.0, 0.0]]), torch.tensor([[True, False]])
    hard = LabelLosses.of(schema).each(logits, labels, observed)
    p, q = torch.sigmoid(torch.tensor(-0.5)), torch.sigmoid(torch.tensor(0.2))
    soft = -(p * q.log() + (1 - p) * (1 - q).log()) * 4 + (1.0 - 3.0) ** 2
    both = losses.each(logits, torch.cat([labels, teacher], 1), torch.tensor([[True, False, True, True]]))
    torch.testing.assert_close(both, hard + 0.5 * soft)


def mean_of(losses: DistillationLosses, logits, labels, observed) -> float:
    return float(losses.mean(logits, labels, observed, torch.ones(len(logits))))


def test_rows_that_the_teacher_alone_labels_do_not_dilute_the_hard_loss():
    logits = torch.tensor([[0.4], [-0.2], [2.0], [-1.0], [0.5]])
    labels = torch.tensor([[1.0, 0.3], [0.0, 1.1], [0.0, 0.7], [0.0, -0.1], [0.0, 0.2]])  # hard, teacher
    observed = torch.tensor([[True, True]] * 2 + [[False, True]] * 3)  # the last three are other scenarios' rows
    schema = a_schema()
    hard_alone = DistillationLosses.taught(schema, temperature=1.0, weight=0.0)
    both = DistillationLosses.taught(schema, temperature=1.0, weight=0.5)
    hard = mean_of(hard_alone, logits[:2], labels[:2], observed[:2])
    nothing_hard = torch.stack([torch.zeros(5, dtype=torch.bool), torch.ones(5, dtype=torch.bool)], dim=1)
    soft = mean_of(both, logits, labels, nothing_hard)
    assert mean_of(hard_alone, logits, labels, observed) == pytest.approx(hard)
    assert mean_of(both, logits, labels, observed) == pytest.approx(hard + soft)


def test_teacher_logits_stand_behind_the_labels():
    features = features_of(a_schema(labels=2))
    split = samples(features, 5)
    logits = torch.randn(5, 2)
    taught = with_teacher(split, logits)
    assert torch.equal(taught.labels, torch.cat([split.labels, logits], dim=1))
    assert taught.observed.shape == (5, 4)
    assert torch.equal(split.labels, samples(features, 5).labels)
