"""What every family of models keeps, whatever it is made of."""

from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from longtail_api.architecture import Architecture
from longtail_api.store_objects import AltHeavy, AltLight, Dcn, Dnn, Mmoe
from longtail_trainer.data.batches import Batch
from longtail_trainer.export import check_parity, export
from longtail_trainer.models.alt_light.model import predefined_architecture
from longtail_trainer.models.contract import RankingModel, ServedModel
from longtail_trainer.models.dcn.model import CrossNetwork
from longtail_trainer.models.family import ServedFamily
from longtail_trainer.models.flat import FlatModel
from longtail_trainer.models.mmoe.model import MmoeModel
from longtail_trainer.models.registry import FAMILIES, family, served_family
from longtail_trainer.running.errors import ConfigInvalid
from tests.trainer.tiny_features import a_schema, features_of, samples

torch.set_num_threads(1)

FEATURES = features_of(a_schema(sequences=2, labels=2))


SIZES = Architecture(behavior_width=4, profile_layers=[8], prediction_layers=[6, 5], embedding_size=3)
CELL = predefined_architecture(width=4, layers=3, operation="conv3")
SPECS: list[AltHeavy | AltLight | Dnn | Dcn | Mmoe] = [
    AltHeavy(encoder="LSTM", architecture=SIZES),
    AltHeavy(encoder="Transformer", architecture=SIZES),
    AltHeavy(encoder="Searched", architecture=SIZES, cell=CELL),
    AltLight.of(CELL),
    AltLight.of(predefined_architecture(width=6, layers=1, operation="attention")),
    Dnn(embedding_size=3, layers=[7, 4]),
    Dcn(embedding_size=3, cross_layers=2, layers=[7, 4]),
    Mmoe(embedding_size=3, experts=3, expert_layers=[7, 4], tower_layers=[5, 2]),
]
every_model = pytest.mark.parametrize("spec", SPECS, ids=[spec.family for spec in SPECS])
half_precision = pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])


def built(spec: Any) -> RankingModel:
    torch.manual_seed(0)
    return FAMILIES[spec.family].build(spec, FEATURES).eval()


def a_batch(rows: int = 40) -> Batch:
    return samples(FEATURES, rows).select(torch.arange(rows))


def test_every_family_has_specs_here():
    assert {spec.family for spec in SPECS} == set(FAMILIES)


@every_model
def test_there_is_a_logit_for_each_label(spec: Any):
    assert built(spec)(a_batch()).shape == (40, 2)


@every_model
def test_the_layers_are_handed_out_in_the_order_of_depth(spec: Any):
    model, batch = built(spec), a_batch()
    hidden = model.hidden(batch)
    assert all(layer.shape[0] == 40 and layer.dim() == 2 and layer.isfinite().all() for layer in hidden)
    for layer in hidden:
        model.zero_grad()
        layer.square().sum().backward(retain_graph=True)
        assert any(one.grad is not None and bool(one.grad.abs().sum() > 0) for one in model.parameters())


@pytest.mark.parametrize("spec", [spec for spec in SPECS if not isinstance(spec, Mmoe)], ids=lambda spec: spec.family)
def test_the_logits_are_a_linear_layer_of_the_last_layers(spec: Any):
    """Of one, or of the last cross layer and the last one beside it. Those of a mixture of experts are means."""
    model, batch = built(spec), a_batch()
    hidden = model.hidden(batch)
    read = [hidden[-1], hidden[1]] if isinstance(spec, Dcn) else [hidden[-1]]
    last = torch.cat([*read, torch.ones(40, 1)], dim=1).double()
    logits = model(batch).double()
    torch.testing.assert_close(last @ torch.linalg.lstsq(last, logits).solution, logits, atol=1e-4, rtol=1e-4)


def test_a_cross_layer_multiplies_with_what_came_in_first():
    cross = CrossNetwork(2, 2)
    with torch.no_grad():
        for product, bias in zip(cross.products.parameters(), cross.biases, strict=True):
            product.copy_(torch.tensor([[1.0, 2.0]]))
            bias.fill_(0.5)
    # By hand: x₁ = x₀·5 + .5 + x₀ with x₀ = [1, 2]; then x₂ = x₀·(6.5 + 2·12.5) + .5 + x₁.
    first, second = cross.hidden(torch.tensor([[1.0, 2.0]]))
    assert first.tolist() == [[6.5, 12.5]]
    assert second.tolist() == [[38.5, 76.0]]


def test_each_label_mixes_the_experts_by_its_own_gate():
    model = MmoeModel(FEATURES, Mmoe(embedding_size=2, experts=2, expert_layers=[3], tower_layers=[4])).eval()
    x = torch.randn(5, model.width)
    with torch.no_grad():
        ones, others = (expert(x) for expert in model.experts)
        expected: list[torch.Tensor] = []
        for gate, tower, logit in zip(model.gates, model.towers, model.logits, strict=True):
            share = gate(x).softmax(-1)
            expected.append(logit(tower(share[:, :1] * ones + share[:, 1:] * others)))
        torch.testing.assert_close(model.logits_of(x), torch.cat(expected, dim=1))
    assert not torch.equal(expected[0], expected[1])


@pytest.mark.parametrize("spec", [spec for spec in SPECS if isinstance(spec, Dnn | Dcn | Mmoe)])
def test_flops_of_flat_models_are_exact(spec: Any):
    """Their own, beside those of the features, which have tests by themselves. What the counter doesn't see: of each
    cross layer the product with what came in first, and the sum."""
    model = built(spec)
    assert isinstance(model, FlatModel)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.logits_of(torch.randn(1, model.width))
    unseen = 2 * 2 * model.width if isinstance(spec, Dcn) else 0
    assert model.flops() - model.inputs.flops() == counter.get_total_flops() + unseen


@pytest.mark.parametrize("spec", [spec for spec in SPECS if isinstance(spec, Dnn | Dcn | Mmoe)])
def test_a_flat_model_reads_the_features_it_is_given_alone(spec: Any):
    some = FAMILIES[spec.family].build(spec, FEATURES, ["age", "visits"])
    assert isinstance(some, FlatModel)
    assert (some.columns.static.categorical, some.columns.static.numeric) == ((), ("profile.age",))
    assert list(some.columns.sequences) == ["visits"]
    assert some.width == 2 * spec.embedding_size


@pytest.mark.slow
@pytest.mark.parametrize("spec", [spec for spec in SPECS if isinstance(spec, Dnn | Dcn | Mmoe)])
def test_a_flat_model_is_exported_as_it_is(spec: Any):
    model = built(spec)
    assert isinstance(model, ServedModel)
    check_parity(model, export(model), 1e-4)


def test_alts_models_hand_out_the_layers_of_their_cells_and_modules():
    assert [one.shape[1] for one in built(AltLight.of(CELL)).hidden(a_batch())] == [8, 8, 8, 8]
    heavy = built(AltHeavy(encoder="LSTM", architecture=SIZES)).hidden(a_batch())
    # Two summaries of 5 × 4 + 1; the profile, and its product with them.
    assert [one.shape[1] for one in heavy] == [2 * 21 + 2 * 8, 6, 5]


@every_model
def test_flops_are_counted(spec: Any):
    assert built(spec).flops() > 0


@every_model
@half_precision
def test_in_half_precision_samples_without_events_have_finite_answers_and_gradients(spec: Any, dtype: torch.dtype):
    model = built(spec).to(dtype)
    batch = a_batch().to(torch.device("cpu"), dtype)
    assert any(not bool(events.mask.any(1).all()) for events in batch.sequences.values())
    logits = model(batch)
    assert logits.isfinite().all()
    logits.float().sum().backward()
    assert all(one.grad is None or bool(one.grad.isfinite().all()) for one in model.parameters())


@every_model
def test_a_served_family_describes_its_models(spec: Any):
    family, model = FAMILIES[spec.family], built(spec)
    if not isinstance(family, ServedFamily):
        assert not isinstance(model, ServedModel)
        return
    assert isinstance(model, ServedModel)
    assert "\n" not in family.words(spec)
    figures = family.layer_figures(model, samples(FEATURES, 20))
    assert sum(figures.flops) + figures.fixed == model.flops()
    assert all(len(weights) == len(figures.flops) for weights in figures.weights.values())
    assert family.layer_figures(model).weights == {}


def test_a_family_that_is_not_served_is_refused_by_name():
    with pytest.raises(
        ConfigInvalid, match="alt-heavy is no family that can be served; choose one of alt-light, dnn, dcn, mmoe"
    ):
        served_family("alt-heavy")


def test_a_family_that_is_none_is_refused_by_name():
    with pytest.raises(ConfigInvalid, match="there is no alt-medium; choose one of alt-heavy, alt-light, dnn"):
        family("alt-medium")


def test_heavy_models_read_every_feature():
    with pytest.raises(ConfigInvalid, match="alt-heavy models read all of them"):
        FAMILIES["alt-heavy"].build(AltHeavy(encoder="LSTM", architecture=SIZES), FEATURES, ["age"])
