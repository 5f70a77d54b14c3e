"""What a sub-model's layers lack to those of the general model (SAMD, Eq. 10)."""

import pytest
import torch
from torch import Tensor, nn

from longtail_api.methods.samd import Distillation, LayerDistance, LayerForm
from longtail_trainer.methods.samd.feature_distillation import DISTANCES, FORMS, layer_distances

WIDE, NARROW = torch.tensor([[3.0, 4.0], [0.0, 0.0]]), torch.tensor([[5.0], [0.0]])


@pytest.mark.parametrize("form", FORMS)
def test_layers_of_different_widths_can_be_the_same(form: LayerForm):
    assert torch.equal(FORMS[form](WIDE), FORMS[form](NARROW))


def test_an_attention_map_says_which_samples_excite_a_layer():
    assert FORMS["AttentionMap"](WIDE).tolist() == [[1, 0]]


def test_a_batch_gram_says_which_samples_a_layer_takes_for_alike():
    layer = torch.tensor([[1.0, 0.0], [2.0, 0.0], [0.0, 3.0]])
    found = FORMS["BatchGram"](layer)
    torch.testing.assert_close(found[0], torch.tensor([1.0, 2.0, 0.0]) / 5**0.5)
    torch.testing.assert_close(found[0], found[1])
    assert found[2].tolist() == [0, 0, 1]


def test_distances_by_hand():
    ours, theirs = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([[0.0, 1.0], [0.0, 1.0]])
    assert float(DISTANCES["L1"](ours, theirs)) == 1
    assert float(DISTANCES["L2"](ours, theirs)) == 1
    # Kernel means: ½(1 + e⁻¹) within ours, 1 within theirs, ½(1 + e⁻¹) between.
    assert float(DISTANCES["Mmd"](ours, theirs)) == pytest.approx(1 - 0.5 * (1 + torch.e**-1))


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("form", FORMS)
def test_a_layer_is_at_no_distance_from_itself_and_at_some_from_another(form: LayerForm, distance: LayerDistance):
    if (form, distance) == ("AttentionMap", "Mmd"):
        with pytest.raises(ValueError, match="an AttentionMap is one row; choose L1 or L2"):
            Distillation(form=form, distance=distance)
        return
    torch.manual_seed(0)
    layers = [torch.randn(6, 3), torch.randn(6, 5)]
    found = layer_distances(layers, [*layers, torch.randn(6, 2)], form, distance)
    assert found.shape == (3, 2)
    torch.testing.assert_close(found[:2].diagonal(), torch.zeros(2), atol=1e-6, rtol=0)
    assert bool((found[torch.tensor([0, 1, 2, 2]), torch.tensor([1, 0, 0, 1])] > 1e-3).all())


def test_by_distillation_alone_layers_come_nearer_and_do_not_vanish():
    torch.manual_seed(0)
    x, teacher = torch.randn(32, 4), [torch.randn(32, 8).relu()]
    student = nn.Sequential(nn.Linear(4, 3), nn.ReLU())
    optimizer = torch.optim.Adam(student.parameters(), lr=0.01)

    def step() -> Tensor:
        optimizer.zero_grad()
        loss = layer_distances([student(x)], teacher, "BatchGram", "L2").sum()
        loss.backward()
        optimizer.step()
        return loss.detach()

    losses = [step() for _ in range(200)]
    assert losses[-1] < 0.9 * losses[0]
    assert float(student(x).detach().norm()) > 1


def test_weights_go_to_the_layers_that_are_near():
    """∂L/∂z = w (D − Σ w D) in each row, so that a descent raises the weights of what is nearer than the row's mean."""
    torch.manual_seed(0)
    scores, distances = torch.randn(3, 4, requires_grad=True), torch.rand(3, 4)
    weights = scores.softmax(1)
    (weights * distances).sum().backward()
    by_hand = weights * (distances - (weights * distances).sum(1, keepdim=True))
    torch.testing.assert_close(scores.grad, by_hand.detach())
