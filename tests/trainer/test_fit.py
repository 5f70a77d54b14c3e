"""What every training program promises, whatever its steps are; each program is one entry in `PROGRAMS`."""

import io
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import pytest
import torch
from torch import nn

from longtail_api.architecture import Architecture
from longtail_api.light_model_search import GdasParameters, SearchSpace
from longtail_trainer.data.encoded import EncodedSplit
from longtail_trainer.data.loading import empty_split, encode_frame
from longtail_trainer.methods.alt.meta_training import MetaTrainingSettings, Task, meta_train
from longtail_trainer.methods.alt.rankings.super_model import light_super_model
from longtail_trainer.models.alt_heavy.model import HeavyModel
from longtail_trainer.models.weights import weights_bytes
from longtail_trainer.running.errors import ConfigInvalid, DataInvalid
from longtail_trainer.running.resume import ResumePoint
from longtail_trainer.running.stop import Stop
from longtail_trainer.search.evaluators.gdas import GdasSettings, search
from longtail_trainer.training.checkpoint import Best
from longtail_trainer.training.endless import endless
from longtail_trainer.training.fit import fit
from longtail_trainer.training.loss import LabelLosses
from longtail_trainer.training.scoring import mean_loss
from longtail_trainer.training.seeds import epoch_seed
from longtail_trainer.training.settings import Descent, TrainingSettings
from longtail_trainer.training.supervised import Supervised, train
from tests.trainer.prepared_data import FEATURES, SCHEMA, samples

LOSSES = LabelLosses.of(SCHEMA)
SMALL = Architecture(behavior_width=4, behavior_layers=1, profile_layers=[5], prediction_layers=[4], embedding_size=2)


class Killed(BaseException):
    """Nothing catches it."""


class Points:
    """Resume points in memory; the process is killed after some of them were saved."""

    def __init__(self, saves: int | None = None) -> None:
        self.saved: dict[str, bytes] = {}
        self.left = saves

    def save(self, name: str, payload: bytes) -> None:
        self.saved[name] = payload
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise Killed

    def load(self, name: str) -> bytes | None:
        return self.saved.get(name)


class Patient:
    """A stop that comes after so many questions, or never."""

    def __init__(self, questions: int | None = None) -> None:
        self.left = questions
        self.asked = 0

    def raise_if_requested(self) -> None:
        self.asked += 1
        if self.left is not None and self.asked > self.left:
            raise Killed


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def heavy(seed: int = 1) -> HeavyModel:
    torch.manual_seed(seed)
    return HeavyModel(FEATURES, "LSTM", SMALL)


@cache
def encoded(count: int, seed: int) -> EncodedSplit:
    return encode_frame(samples(count, seed), FEATURES)


def rows(count: int, seed: int = 0, broken: bool = False) -> EncodedSplit:
    split = encoded(count, seed)
    split = replace(split, weight=split.weight.clone())
    if broken:
        split.weight[3] = float("nan")
    return split


def supervised(resume: ResumePoint | None, stop: Stop, broken: bool = False) -> nn.Module:
    """Judged by the rows it learns, so that its last epoch is its best, and all that it resumed with counts."""
    model = heavy()
    settings = TrainingSettings(epochs=3, batch_size=16, learning_rate=0.01, seed=3)
    train(model, rows(48, broken=broken), rows(48), LOSSES, settings, resume, stop)
    return model


def cooled(resume: ResumePoint | None, stop: Stop, broken: bool = False) -> nn.Module:
    """It learns 12 rows by heart at once: epoch 1 is the best of the first two, and 3 and 4 cool down."""
    model = heavy()
    settings = TrainingSettings(epochs=9, batch_size=4, learning_rate=0.3, seed=3, patience=1, cool_down=True)
    outcome = train(model, rows(12, broken=broken), rows(60, seed=1), LOSSES, settings, resume, stop)
    assert outcome.epochs == 4
    return model


def bilevel(resume: ResumePoint | None, stop: Stop, broken: bool = False) -> nn.Module:
    super_model = light_super_model(FEATURES, SearchSpace(width=4, layers=1, operations=["conv1", "conv3"]), seed=1)
    settings = GdasSettings(GdasParameters(epochs=3, warm_up="0.4"), 16, seed=2)
    search(super_model, rows(48, broken=broken), rows(32, 1), LOSSES, settings, resume, stop, lambda *_: False)
    return super_model


def episodes(resume: ResumePoint | None, stop: Stop, broken: bool = False) -> nn.Module:
    model = heavy()
    splits = [
        {"support": rows(32, one, broken), "query": rows(16, 9 + one), "validation": rows(16, 19 + one)}
        for one in range(2)
    ]
    tasks = [Task(f"s{one}", split.__getitem__) for one, split in enumerate(splits)]
    settings = MetaTrainingSettings(
        rounds=3, patience=3, scenarios_per_step=1, learning_rate=0.1, clip_norm=1.0, seed=3,
        episode_epochs=1, episode_batch_size=16, episode_learning_rate=0.01,
    )  # fmt: skip
    meta_train(model, tasks, LOSSES, settings, "here", resume, stop)
    return model


class InTurn:
    """Two models, a step of each in turn with one optimizer; each has its own best epoch and its own patience."""

    name = "in-turn"
    remedy = "lower the learning rate"

    def __init__(self, models: list[HeavyModel], splits: list[EncodedSplit]) -> None:
        self.models, self.splits = models, splits
        self.descent = Descent(learning_rate=0.01, optimizer="adam", weight_decay=0.0, schedule="constant")
        self.optimizer = self.descent.build(one for model in models for one in model.parameters())
        self.bests = [Best(model) for model in models]
        self.seed, self.epochs = 4, 3
        self.parts = {"optimizer": self.optimizer}
        self.parts |= {f"model-{number}": model for number, model in enumerate(models)}
        self.parts |= {f"best-{number}": best for number, best in enumerate(self.bests)}

    def start(self, stop: Stop) -> None:
        for best in self.bests:
            best.begin({"loss": float("inf")})

    def train(self, epoch: int, stop: Stop) -> float:
        total = 0.0
        orders = [torch.Generator().manual_seed(epoch_seed(self.seed, f"{epoch}:{one}")) for one in range(2)]
        drawn = [endless(split, 16, order) for split, order in zip(self.splits, orders, strict=True)]
        for step in range(6):
            stop.raise_if_requested()
            model, batch = self.models[step % 2].train(), next(drawn[step % 2])
            self.optimizer.zero_grad()
            loss = LOSSES.mean(model(batch), batch.labels, batch.observed, batch.weight)
            loss.backward()
            self.descent.step(self.optimizer)
            total += float(loss.detach())
        return total / 6

    def judge(self, epoch: int, stop: Stop) -> list[float]:
        losses = [mean_loss(model, rows(20, seed=1), LOSSES) for model in self.models]
        for best, loss in zip(self.bests, losses, strict=True):
            if loss < best.figures["loss"]:
                best.take(epoch, {"loss": loss})
        return losses

    def is_over(self, epoch: int) -> bool:
        return all(best.is_stale(epoch, 4) for best in self.bests)

    def end(self) -> None:
        for best in self.bests:
            best.restore()


def in_turn(resume: ResumePoint | None, stop: Stop, broken: bool = False) -> nn.Module:
    models = [heavy(1), heavy(2)]
    fit(InTurn(models, [rows(48, broken=broken), rows(40, 1, broken)]), resume, stop)
    return nn.ModuleList(models)


Run = Callable[..., nn.Module]
PROGRAMS: dict[str, Run] = {
    "supervised": supervised,
    "cooled down": cooled,
    "bilevel": bilevel,
    "episodes": episodes,
    "in turn": in_turn,
}
every_program = pytest.mark.parametrize("run", PROGRAMS.values(), ids=PROGRAMS)


@cache
def undisturbed(run: Run) -> tuple[bytes, int]:
    """The weights it ends in, and how often it asked whether to stop."""
    patient = Patient()
    return weights_bytes(run(None, patient)), patient.asked


@every_program
def test_killed_after_every_save_it_ends_in_the_same_weights(run: Run):
    points = Points()
    for kills in range(20):
        points.left = 0
        torch.manual_seed(kills)  # a new process has another random state
        try:
            resumed = run(points, Patient())
        except Killed:
            continue
        assert kills >= 4, "after the start, and after three epochs"
        assert weights_bytes(resumed) == undisturbed(run)[0]
        return
    pytest.fail("it never came to its end")


@every_program
def test_stopped_inside_an_epoch_it_ends_in_the_same_weights(run: Run):
    whole, asked = undisturbed(run)
    for questions in (0, asked // 2, asked - 1):
        points = Points()
        with pytest.raises(Killed):
            run(points, Patient(questions))
        assert weights_bytes(run(points, Patient())) == whole


@every_program
def test_what_is_finished_takes_no_further_step(run: Run):
    points = Points()
    finished = weights_bytes(run(points, Patient()))
    assert weights_bytes(run(points, Patient(questions=0))) == finished


@every_program
def test_a_loss_that_is_no_number_ends_it_with_what_to_do(run: Run):
    with pytest.raises(ConfigInvalid, match="lower") as raised:
        run(None, Patient(), broken=True)
    assert raised.value.reason == "TrainingDiverged"


def epochs_of(model: nn.Module, resume: Points, origin: str) -> list[int]:
    """Train under this origin; the epochs that were run."""
    seen: list[int] = []
    settings = TrainingSettings(epochs=2, batch_size=16, learning_rate=0.01, seed=3)
    program = Supervised(model, rows(32), rows(20, seed=1), LOSSES, settings)
    fit(program, resume, Patient(), lambda epoch, *_: seen.append(epoch), origin)
    return seen


def test_a_state_of_another_origin_is_not_gone_on_from():
    points = Points()
    assert epochs_of(heavy(), points, "version 1") == [1, 2]
    assert epochs_of(heavy(), points, "version 1") == []
    assert epochs_of(heavy(), points, "version 2") == [1, 2]


def test_a_state_in_an_older_form_is_not_gone_on_from():
    points = Points()
    stream = io.BytesIO()
    torch.save({"state": {"epoch": 1}, "model": {}}, stream)
    points.saved["training"] = stream.getvalue()
    assert epochs_of(heavy(), points, "") == [1, 2]


def test_an_early_end_is_kept_in_mind():
    """A caller's word that ends a search is not asked for again."""
    points, asked = Points(), []

    def enough(epoch: int, figures: dict[str, float | str]) -> bool:
        asked.append(epoch)
        return True

    for _ in range(2):
        super_model = light_super_model(FEATURES, SearchSpace(width=4, layers=1, operations=["conv1", "conv3"]), seed=1)
        settings = GdasSettings(GdasParameters(epochs=5, warm_up="0.3"), 16, seed=2)
        search(super_model, rows(32), rows(32, 1), LOSSES, settings, points, Patient(), enough)
    assert asked == [1, 2]  # the first is warm-up


def test_there_is_no_endless_supply_of_nothing():
    with pytest.raises(DataInvalid, match="no row to draw minibatches from"):
        endless(empty_split(FEATURES), 4, torch.Generator())


def test_an_endless_supply_gives_every_row_once_a_pass():
    split = rows(10)
    split.weight[:] = torch.arange(10)
    supply = endless(split, 4, torch.Generator().manual_seed(1))
    first, second = ([one for _ in range(3) for one in next(supply).weight.tolist()] for _ in range(2))
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second
