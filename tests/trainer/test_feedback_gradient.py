"""Feedback is the gradient of the query loss at the adapted weights (ALT III-C), and nothing else."""

import numpy as np
import pytest
import torch

from longtail_api.architecture import Architecture
from longtail_trainer.data.encoded import EncodedSplit
from longtail_trainer.data.loading import empty_split, encode_frame
from longtail_trainer.methods.alt.feedback import EmptyQuerySet, feedback
from longtail_trainer.methods.alt.gradients import stored_gradients
from longtail_trainer.models.alt_heavy.model import HeavyModel
from longtail_trainer.training.loss import LabelLosses
from longtail_trainer.training.scoring import mean_loss
from tests.trainer.prepared_data import FEATURES, SCHEMA, samples

pytestmark = pytest.mark.slow

LOSSES = LabelLosses.of(SCHEMA)
SMALL = Architecture(behavior_width=4, behavior_layers=1, profile_layers=[5], prediction_layers=[4], embedding_size=2)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def model(encoder: str = "LSTM") -> HeavyModel:
    torch.manual_seed(3)
    return HeavyModel(FEATURES, encoder, SMALL)


def query(rows: int = 25) -> EncodedSplit:
    return encode_frame(samples(rows, seed=9), FEATURES)


@pytest.mark.parametrize("encoder", ["LSTM", "Transformer"])
def test_it_equals_finite_differences_of_the_query_loss(encoder):
    heavy = model(encoder).double()
    found = feedback(heavy, query(), LOSSES).gradients
    random = np.random.default_rng(0)
    step = 1e-6
    for name, parameter in heavy.named_parameters():
        flat = parameter.data.view(-1)
        for index in random.choice(len(flat), min(4, len(flat)), replace=False):
            before = flat[index].item()
            flat[index] = before + step
            above = mean_loss(heavy, query(), LOSSES)
            flat[index] = before - step
            below = mean_loss(heavy, query(), LOSSES)
            flat[index] = before
            difference = (above - below) / (2 * step)
            assert found[name].view(-1)[index].item() == pytest.approx(difference, rel=1e-4, abs=1e-8), name


def test_its_loss_is_the_query_loss_and_batches_do_not_matter():
    heavy = model().double()
    whole, pieces = feedback(heavy, query(), LOSSES, batch_size=25), feedback(heavy, query(), LOSSES, batch_size=4)
    assert whole.loss == pytest.approx(mean_loss(heavy, query(), LOSSES))
    assert whole.examples == int(query().observed.any(1).sum()) == 24  # one row has no label
    for name, gradient in whole.gradients.items():
        torch.testing.assert_close(pieces.gradients[name], gradient)


def test_it_is_without_dropout_and_so_always_the_same():
    heavy = model().train()
    first, second = feedback(heavy, query(), LOSSES).gradients, feedback(heavy.train(), query(), LOSSES).gradients
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_it_leaves_the_weights_as_they_are():
    heavy = model()
    before = {name: one.clone() for name, one in heavy.state_dict().items()}
    feedback(heavy, query(), LOSSES)
    assert all(torch.equal(one, before[name]) for name, one in heavy.state_dict().items())


def test_every_parameter_has_one_of_its_own_shape():
    heavy = model()
    found = feedback(heavy, query(), LOSSES).gradients
    assert {name: one.shape for name, one in found.items()} == {n: p.shape for n, p in heavy.named_parameters()}


def test_of_an_embedding_only_rows_the_query_set_holds_are_stored():
    heavy = model()
    split = query()
    stored = stored_gradients(feedback(heavy, split, LOSSES).gradients, heavy)
    gradient = stored["static.embeddings.profile/city.weight"]
    assert set(gradient.rows) <= set(split.categorical[:, 1].unique().tolist())
    dense = feedback(heavy, split, LOSSES).gradients["static.embeddings.profile/city.weight"].numpy()
    rebuilt = np.zeros_like(dense)
    rebuilt[gradient.rows] = gradient.values
    np.testing.assert_array_equal(rebuilt, dense)


@pytest.mark.parametrize("kind", ["no rows", "no label", "no weight"])
def test_a_query_set_without_anything_to_learn_from_is_said_to_be_empty(kind):
    split = empty_split(FEATURES) if kind == "no rows" else query()
    if kind == "no label":
        split.observed[:] = False
    if kind == "no weight":
        split.weight[:] = 0
    with pytest.raises(EmptyQuerySet, match="no row with an observed label"):
        feedback(model(), split, LOSSES)
