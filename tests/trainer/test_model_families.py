"""What every family of models keeps, whatever it is made of."""

from typing import Any

import pytest
import torch

from longtail_api.architecture import Architecture
from longtail_api.store_objects import AltHeavy, AltLight
from longtail_trainer.data.batches import Batch
from longtail_trainer.models.alt_light.model import predefined_architecture
from longtail_trainer.models.contract import RankingModel, ServedModel
from longtail_trainer.models.family import ServedFamily
from longtail_trainer.models.registry import FAMILIES, family, served_family
from longtail_trainer.running.errors import ConfigInvalid
from tests.trainer.tiny_features import a_schema, features_of, samples

torch.set_num_threads(1)

FEATURES = features_of(a_schema(sequences=2, labels=2))


SIZES = Architecture(behavior_width=4, profile_layers=[8], prediction_layers=[6, 5], embedding_size=3)
CELL = predefined_architecture(width=4, layers=3, operation="conv3")
SPECS: list[AltHeavy | AltLight] = [
    AltHeavy(encoder="LSTM", architecture=SIZES),
    AltHeavy(encoder="Transformer", architecture=SIZES),
    AltHeavy(encoder="Searched", architecture=SIZES, cell=CELL),
    AltLight.of(CELL),
    AltLight.of(predefined_architecture(width=6, layers=1, operation="attention")),
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
    # The logits are a linear layer of the last one, and each layer has to do with what comes in.
    last = torch.cat([hidden[-1], torch.ones(40, 1)], dim=1).double()
    logits = model(batch).double()
    torch.testing.assert_close(last @ torch.linalg.lstsq(last, logits).solution, logits, atol=1e-4, rtol=1e-4)
    for layer in hidden:
        model.zero_grad()
        layer.square().sum().backward(retain_graph=True)
        assert any(one.grad is not None and bool(one.grad.abs().sum() > 0) for one in model.parameters())


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
    with pytest.raises(ConfigInvalid, match="alt-heavy is no family that can be served; choose one of alt-light"):
        served_family("alt-heavy")


def test_a_family_that_is_none_is_refused_by_name():
    with pytest.raises(ConfigInvalid, match="there is no alt-medium; choose one of alt-heavy, alt-light"):
        family("alt-medium")


def test_heavy_models_read_every_feature():
    with pytest.raises(ConfigInvalid, match="alt-heavy models read all of them"):
        FAMILIES["alt-heavy"].build(AltHeavy(encoder="LSTM", architecture=SIZES), FEATURES, ["age"])
