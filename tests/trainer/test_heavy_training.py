"""Loss and epochs: what counts, when training ends, and which weights remain."""

import math

import pytest
import torch

from longtail_trainer.data.encoded import EncodedSplit
from longtail_trainer.data.loading import empty_split, encode_frame
from longtail_trainer.models.alt_heavy.model import HeavyModel
from longtail_trainer.models.weights import weights_bytes
from longtail_trainer.running.errors import ConfigInvalid
from longtail_trainer.training.loop import TrainingSettings, learning_rate, train
from longtail_trainer.training.loss import LabelLosses, mean_loss
from tests.trainer.prepared_data import FEATURES, SCHEMA, samples
from tests.trainer.training_steps import SMALL

LOSSES = LabelLosses.of(SCHEMA)
SETTINGS = TrainingSettings(epochs=6, batch_size=32, learning_rate=0.01, seed=3)


class Memory:
    """Resume points in memory; never asks to stop."""

    def __init__(self):
        self.points = {}

    def save(self, name, payload):
        self.points[name] = payload

    def load(self, name):
        return self.points.get(name)

    def raise_if_requested(self):
        pass


class Crash(Exception):
    pass


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def rows(count: int, seed: int = 0) -> EncodedSplit:
    return encode_frame(samples(count, seed), FEATURES)


def model() -> HeavyModel:
    torch.manual_seed(1)
    return HeavyModel(FEATURES, "LSTM", SMALL)


def trained(heavy, training, validation, settings=SETTINGS, memory=None, report=lambda *_: None):
    memory = memory or Memory()
    return train(heavy, training, validation, LOSSES, settings, memory, memory, report)


def test_the_loss_of_a_sample_is_the_weighted_sum_over_its_observed_labels():
    logits = torch.tensor([[0.7, 2.0], [-0.3, 1.0], [0.1, 5.0]])
    labels = torch.tensor([[1.0, 1.5], [0.0, 0.0], [0.0, 0.0]])
    observed = torch.tensor([[True, True], [True, False], [False, False]])
    each = LOSSES.each(logits, labels, observed)  # the second label weighs a half
    expected = [math.log1p(math.exp(-0.7)) + 0.5 * 0.25, math.log1p(math.exp(-0.3)), 0]
    assert each.tolist() == pytest.approx(expected, rel=1e-5)
    weight = torch.tensor([1.0, 3.0, 0.5])
    mean = LOSSES.mean(logits, labels, observed, weight)
    assert float(mean) == pytest.approx((expected[0] + 3 * expected[1]) / 4.5, rel=1e-5)


def test_samples_that_weigh_nothing_have_a_loss_of_zero_and_no_nan():
    zero = torch.zeros(2)
    assert float(LOSSES.mean(torch.ones(2, 2), torch.ones(2, 2), torch.ones(2, 2) > 0, zero)) == 0
    assert math.isnan(mean_loss(model(), empty_split(FEATURES), LOSSES))


def test_the_weights_of_the_best_epoch_remain():
    heavy, seen = model(), []
    weights = {}

    def report(epoch, training_loss, validation_loss):
        seen.append(validation_loss)
        weights[epoch] = weights_bytes(heavy)

    # 20 samples and a fast rate: it learns them by heart, and gets worse on others.
    settings = TrainingSettings(epochs=40, batch_size=4, learning_rate=0.05, seed=3, patience=5)
    outcome = trained(heavy, rows(20), rows(200, seed=1), settings, report=report)
    assert outcome.best_loss == min(seen) == pytest.approx(mean_loss(heavy, rows(200, seed=1), LOSSES))
    assert weights_bytes(heavy) == weights[outcome.best_epoch]
    assert outcome.best_epoch < outcome.epochs
    assert outcome.epochs - outcome.best_epoch == settings.patience


def test_weights_at_the_start_remain_where_fine_tuning_only_harms():
    heavy = model()
    before = weights_bytes(heavy)
    harmful = rows(64)
    harmful.labels[:, 0] = 1 - harmful.labels[:, 0]
    harmful.labels[:, 1] = 50
    settings = TrainingSettings(epochs=2, batch_size=8, learning_rate=0.3, seed=3, keep_start=True)
    assert trained(heavy, harmful, rows(100, seed=1), settings).best_epoch == 0
    assert weights_bytes(heavy) == before


def test_without_validation_rows_the_last_epoch_remains():
    outcome = trained(model(), rows(40), empty_split(FEATURES))
    assert (outcome.epochs, outcome.best_epoch) == (6, 6)


def test_a_loss_that_is_no_number_ends_training_with_what_to_do():
    broken = rows(40)
    broken.weight[3] = float("nan")
    with pytest.raises(ConfigInvalid, match="the training loss of epoch 1 is nan; lower the learning rate") as raised:
        trained(model(), broken, rows(20, seed=1))
    assert raised.value.reason == "TrainingDiverged"


@pytest.mark.parametrize("crash_at", [1, 3, 6])
def test_training_goes_on_from_any_epoch_to_the_same_weights(crash_at):
    whole = model()
    expected = trained(whole, rows(100), rows(50, seed=1))
    memory = Memory()

    def crash(epoch, *_):
        if epoch == crash_at:
            raise Crash

    with pytest.raises(Crash):
        trained(model(), rows(100), rows(50, seed=1), memory=memory, report=crash)
    torch.manual_seed(99)  # a new process has another random state
    resumed, later = model(), []
    outcome = trained(resumed, rows(100), rows(50, seed=1), memory=memory, report=lambda epoch, *_: later.append(epoch))
    assert later == list(range(crash_at + 1, expected.epochs + 1))
    assert outcome == expected
    assert weights_bytes(resumed) == weights_bytes(whole)


def test_training_leaves_the_callers_random_numbers_alone():
    torch.manual_seed(8)
    expected = torch.rand(3)
    torch.manual_seed(8)
    heavy = model_without_drawing()
    trained(heavy, rows(40), rows(20, seed=1))
    assert torch.equal(torch.rand(3), expected)


def model_without_drawing() -> HeavyModel:
    with torch.random.fork_rng():
        return model()


def test_the_learning_rate_falls_from_the_full_one_to_a_tenth():
    rates = [learning_rate(SETTINGS, epoch) for epoch in range(1, 7)]
    assert rates == sorted(rates, reverse=True)
    assert (rates[0], rates[-1]) == (pytest.approx(0.01), pytest.approx(0.001))
