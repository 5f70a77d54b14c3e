"""Loss and epochs: what counts, when training ends, and which weights remain."""

import math
from dataclasses import replace

import pytest
import torch

from longtail_trainer.data.encoded import EncodedSplit
from longtail_trainer.data.loading import empty_split, encode_frame
from longtail_trainer.models.alt_heavy.model import HeavyModel
from longtail_trainer.models.weights import weights_bytes
from longtail_trainer.running.errors import ConfigInvalid
from longtail_trainer.training.cool_down import CoolDown
from longtail_trainer.training.loss import LabelLosses
from longtail_trainer.training.scoring import mean_loss
from longtail_trainer.training.settings import Descent, TrainingSettings
from longtail_trainer.training.supervised import train
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


def test_each_label_is_averaged_over_the_rows_that_have_it():
    logits = torch.tensor([[0.7, 2.0], [-0.3, 1.0], [0.1, 5.0]])
    labels = torch.tensor([[1.0, 1.5], [0.0, 0.0], [0.0, 0.0]])
    observed = torch.tensor([[True, True], [True, False], [False, False]])
    weight = torch.tensor([1.0, 3.0, 0.5])
    bought = (math.log1p(math.exp(-0.7)) + 3 * math.log1p(math.exp(-0.3))) / 4
    mean = float(LOSSES.mean(logits, labels, observed, weight))
    assert mean == pytest.approx(bought + 0.5 * 0.25, rel=1e-5)


def test_a_label_that_no_row_has_adds_nothing_to_the_loss_or_its_gradient():
    logits = torch.tensor([[0.7, 2.0], [-0.3, 1.0]], requires_grad=True)
    observed = torch.tensor([[True, False], [True, False]])
    loss = LOSSES.mean(logits, torch.zeros(2, 2), observed, torch.ones(2))
    loss.backward()
    assert float(loss.detach()) == pytest.approx((math.log1p(math.exp(0.7)) + math.log1p(math.exp(-0.3))) / 2)
    assert logits.grad[:, 1].tolist() == [0, 0]
    assert bool((logits.grad[:, 0] != 0).all())


def test_where_every_row_has_every_label_shares_are_exactly_one():
    split = rows(101)
    assert LOSSES.shares(torch.ones_like(split.observed), split.weight).tolist() == [1, 1]


def test_the_loss_of_a_split_is_that_of_its_rows_at_once_however_it_is_cut():
    heavy, split = model().eval(), rows(50)
    batch = split.select(torch.arange(50))
    with torch.no_grad():
        whole = float(LOSSES.mean(heavy(batch), batch.labels, batch.observed, batch.weight))
    assert not bool(split.observed.all())
    assert mean_loss(heavy, split, LOSSES, batch_size=7) == pytest.approx(whole, rel=1e-5)


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


def unlabeled(count: int) -> EncodedSplit:
    split = rows(count, seed=1)
    split.observed[:] = False
    return split


def test_validation_rows_without_a_label_have_no_loss_and_judge_nothing():
    heavy = model()
    assert math.isnan(mean_loss(heavy, unlabeled(20), LOSSES))
    outcome = trained(heavy, rows(40), unlabeled(20))
    assert (outcome.epochs, outcome.best_epoch) == (6, 6)


@pytest.mark.parametrize("validation", [None, empty_split(FEATURES), unlabeled(20)], ids=["none", "empty", "unlabeled"])
def test_fine_tuning_that_nothing_can_judge_stays_where_it_is(validation):
    heavy = model()
    before = weights_bytes(heavy)
    outcome = trained(heavy, rows(40), validation, replace(SETTINGS, keep_start=True))
    assert (outcome.epochs, outcome.best_epoch) == (0, 0)
    assert weights_bytes(heavy) == before


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


def test_a_training_may_be_given_steps_and_is_cut_short_in_its_last_pass():
    taken = []
    settings = replace(SETTINGS, epochs=None, steps=10)  # 4 steps a pass
    heavy = model()
    heavy.register_forward_hook(lambda module, *_: taken.append(1) if module.training else None)
    assert trained(heavy, rows(100), None, settings).epochs == 3
    assert len(taken) == 10


@pytest.mark.parametrize("length", [{"epochs": None}, {"epochs": 2, "steps": 2}])
def test_a_training_has_either_epochs_or_steps(length):
    with pytest.raises(ValueError, match="give one of them"):
        replace(SETTINGS, **length)


def test_without_patience_training_never_ends_early():
    harmful = TrainingSettings(epochs=9, batch_size=8, learning_rate=0.3, seed=3, patience=None, keep_start=True)
    wrong = rows(64)
    wrong.labels[:, 0] = 1 - wrong.labels[:, 0]
    outcome = trained(model(), wrong, rows(100, seed=1), harmful)
    assert outcome.epochs == 9
    assert outcome.best_epoch < 5


def test_a_training_that_ends_after_an_epoch_is_what_a_whole_one_was_then():
    heavy, weights = model(), {}
    trained(heavy, rows(64), None, report=lambda epoch, *_: weights.update({epoch: weights_bytes(heavy)}))
    short = model()
    outcome = trained(short, rows(64), None, replace(SETTINGS, last_epoch=2))
    assert (outcome.epochs, outcome.best_epoch) == (2, 2)
    assert weights_bytes(short) == weights[2] != weights[6]


# 20 samples and a fast rate: it learns them by heart, and gets worse on others.
OVERFITTING = TrainingSettings(epochs=40, batch_size=4, learning_rate=0.05, seed=3, patience=3, cool_down=True)


def test_a_training_that_ends_early_cools_down_from_its_best_epochs_rate(monkeypatch):
    rates, take_a_step = [], Descent.step

    def recorded(self, optimizer):
        rates.append(optimizer.param_groups[0]["lr"])
        take_a_step(self, optimizer)

    monkeypatch.setattr(Descent, "step", recorded)
    seen = []
    outcome = trained(
        model(), rows(20), rows(200, seed=1), OVERFITTING, report=lambda epoch, _, loss: seen.append(loss)
    )
    best = min(range(1, outcome.epochs + 1), key=lambda epoch: seen[: outcome.epochs][epoch - 1])
    assert (outcome.best_epoch, outcome.best_loss) == (best, min(seen))
    of_epochs = rates[::5]
    planned = [OVERFITTING.rate(epoch, 40) for epoch in range(1, 41)]
    ended = next(number for number, rate in enumerate(of_epochs) if rate != planned[number])
    start = ended - OVERFITTING.patience
    cooled = of_epochs[ended:]
    assert len(cooled) == max(2, start // 2)
    assert planned[start - 1] > cooled[0] > cooled[-1] == pytest.approx(0.1 * planned[start - 1])


def test_a_cool_down_starts_from_the_best_weights_and_they_stay_where_it_is_no_better(monkeypatch):
    monkeypatch.setattr(CoolDown, "share", lambda *_: 0.0)  # steps of no length
    heavy, weights = model(), {}
    outcome = trained(
        heavy, rows(20), rows(200, seed=1), OVERFITTING,
        report=lambda epoch, *_: weights.update({epoch: weights_bytes(heavy)}),
    )  # fmt: skip
    assert outcome.epochs > outcome.best_epoch + OVERFITTING.patience
    assert weights[outcome.epochs] == weights[outcome.best_epoch] == weights_bytes(heavy)


def test_a_training_that_goes_to_its_end_does_not_cool_down():
    settings = replace(SETTINGS, cool_down=True, patience=6)
    assert trained(model(), rows(64), rows(100, seed=1), settings).epochs == 6


def test_each_optimizer_takes_its_first_step_as_it_is_defined():
    def moved(**fields) -> float:
        weight = torch.nn.Parameter(torch.tensor([2.0]))
        descent = Descent(learning_rate=0.1, **fields)
        optimizer = descent.build([weight])
        weight.grad = torch.tensor([3.0])
        descent.step(optimizer)
        return float(weight.detach())

    # Adam's first step is the rate whatever the gradient is; decay is a share of the weight, or enters the gradient.
    assert moved(weight_decay=0.5) == pytest.approx(2 * (1 - 0.1 * 0.5) - 0.1)
    assert moved(optimizer="adam", weight_decay=0.5) == pytest.approx(2 - 0.1)
    assert moved(optimizer="sgd", weight_decay=0.5, clip_norm=None) == pytest.approx(2 - 0.1 * (3 + 0.5 * 2))
    assert moved(optimizer="sgd", weight_decay=0.0) == pytest.approx(2 - 0.1 * 1)  # clipped to norm 1


def test_a_constant_schedule_keeps_the_rate():
    assert {Descent(learning_rate=0.2, schedule="constant").rate(epoch, 5) for epoch in range(1, 6)} == {0.2}


def test_a_cosine_may_fall_to_nothing():
    assert Descent(learning_rate=0.2, final_share=0.0).rate(5, 5) == pytest.approx(0)


def test_the_learning_rate_falls_from_the_full_one_to_a_tenth():
    rates = [SETTINGS.rate(epoch, 6) for epoch in range(1, 7)]
    assert rates == sorted(rates, reverse=True)
    assert (rates[0], rates[-1]) == (pytest.approx(0.01), pytest.approx(0.001))
