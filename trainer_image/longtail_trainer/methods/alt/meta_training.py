"""Meta-training of the agnostic model from all stored data (ALT III-C, last paragraph), resumable at every round.

A round gives every scenario one episode: a copy of the agnostic model is fine-tuned on the scenario's support rows
(Eq. 1), and the gradient of its query loss, at the fine-tuned weights (the feedback of Eq. 2), is taken back to the
agnostic model; of U episodes at once, their sum (Eq. 3).
"""

import copy
import io
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any, cast

import torch
from torch import Tensor, nn

from longtail_trainer.data.encoded import EncodedSplit
from longtail_trainer.methods.alt.feedback import EmptyQuerySet, feedback
from longtail_trainer.running.errors import ConfigInvalid, DataInvalid
from longtail_trainer.running.resume import ResumePoint
from longtail_trainer.running.stop import Stop
from longtail_trainer.training.loop import TrainingSettings, epoch_seed, train
from longtail_trainer.training.loss import LabelLosses, mean_loss

RESUME_POINT = "meta-training"


@dataclass(frozen=True)
class Task:
    """One scenario's rows."""

    scenario: str
    support: EncodedSplit
    query: EncodedSplit
    validation: EncodedSplit


@dataclass(frozen=True)
class MetaTrainingSettings:
    """How long, how far a step goes, and from which seed."""

    rounds: int
    patience: int
    """Rounds without a better result, after which training ends."""
    scenarios_per_step: int
    """U of Eq. 3."""
    learning_rate: float
    """η of Eq. 3."""
    clip_norm: float
    """L2 norm to which each episode's gradient is brought down."""
    seed: int
    episode_epochs: int
    episode_batch_size: int
    episode_learning_rate: float
    """γ of Eq. 1."""


@dataclass(frozen=True)
class Quality:
    """How good an agnostic model is: validation losses, averaged over scenarios, which weigh alike."""

    agnostic: float
    """Of the model as it is."""
    adapted: float
    """After an episode's fine-tuning: what the scenarios' own models are made from, hence what is to fall."""

    def betters(self, start: "Quality", best: "Quality") -> bool:
        """Whether this replaces `best`, in a training that began with `start`: it may be worse than that in nothing."""
        return self.adapted < best.adapted and self.agnostic <= start.agnostic


@dataclass(frozen=True)
class MetaTrainingOutcome:
    """What training came to; the model holds the weights of `best_round` (0: those at the start)."""

    rounds: int
    best_round: int
    start: Quality
    best: Quality


def meta_train(
    model: nn.Module,
    tasks: Sequence[Task],
    losses: LabelLosses,
    settings: MetaTrainingSettings,
    origin: str,
    resume: ResumePoint,
    stop: Stop,
    report: Callable[[int, float, Quality], None] = lambda round_, query_loss, quality: None,
) -> MetaTrainingOutcome:
    """Train `model` in place; it ends with the best round's weights, or those at the start where none is better.

    `origin` names weights and data that this starts from: what was saved from others is ignored.
    `report(round, mean query loss of its episodes, quality)` is called after each round. Random choices follow from
    the seed, the round and the scenario alone, so what is killed and resumed ends bit for bit as it would have.
    Raises `DataInvalid` where no scenario has query rows, or none has validation rows, and `ConfigInvalid`
    (TrainingDiverged).
    """
    if all(float(task.validation.weight.sum()) <= 0 for task in tasks):
        raise DataInvalid("no scenario has validation rows to judge the result by; set split.validation above 0")
    state = _resumed(model, resume, origin)
    if state is None:
        quality = measured(model, tasks, losses, settings, stop)
        state = _State(0, 0, quality, quality, _copy(model))
        resume.save(RESUME_POINT, _serialized(state, model, origin))
    while state.round < settings.rounds and state.round - state.best_round < settings.patience:
        state.round += 1
        query_loss = _round(model, tasks, losses, settings, state.round, stop)
        quality = measured(model, tasks, losses, settings, stop)
        if quality.betters(state.start, state.best):
            state.best_round, state.best, state.weights = state.round, quality, _copy(model)
        resume.save(RESUME_POINT, _serialized(state, model, origin))
        report(state.round, query_loss, quality)
        stop.raise_if_requested()
    model.load_state_dict(state.weights)
    model.eval()
    return MetaTrainingOutcome(state.round, state.best_round, state.start, state.best)


def fine_tuned(
    model: nn.Module, task: Task, losses: LabelLosses, settings: MetaTrainingSettings, seed: int, stop: Stop
) -> nn.Module:
    """θu: a copy of `model`, fine-tuned on the task's support rows (Eq. 1) for a fixed number of epochs.

    No epoch is chosen by validation rows: those judge the copy.
    """
    copied = copy.deepcopy(model)
    if len(task.support):
        inner = TrainingSettings(
            epochs=settings.episode_epochs,
            batch_size=settings.episode_batch_size,
            learning_rate=settings.episode_learning_rate,
            seed=seed,
        )
        train(copied, task.support, None, losses, inner, None, stop)
    return copied


def measured(
    model: nn.Module, tasks: Sequence[Task], losses: LabelLosses, settings: MetaTrainingSettings, stop: Stop
) -> Quality:
    """The quality of `model`. Its fine-tunings have the same seeds in every round, so that rounds can be compared."""
    judging = [task for task in tasks if float(task.validation.weight.sum()) > 0]
    agnostic = [mean_loss(model, task.validation, losses) for task in judging]
    adapted = [
        mean_loss(fine_tuned(model, task, losses, settings, _seed(settings, 0, task), stop), task.validation, losses)
        for task in judging
    ]
    return Quality(fmean(agnostic), fmean(adapted))


def _round(
    model: nn.Module,
    tasks: Sequence[Task],
    losses: LabelLosses,
    settings: MetaTrainingSettings,
    number: int,
    stop: Stop,
) -> float:
    """An episode of every scenario, in random order; the mean of their query losses."""
    shuffle = torch.Generator().manual_seed(epoch_seed(settings.seed, number))
    order = cast(list[int], torch.randperm(len(tasks), generator=shuffle).tolist())
    query_losses: list[float] = []
    for first in range(0, len(order), settings.scenarios_per_step):
        together = [tasks[index] for index in order[first : first + settings.scenarios_per_step]]
        total: dict[str, Tensor] = {}
        for task in together:
            adapted = fine_tuned(model, task, losses, settings, _seed(settings, number, task), stop)
            try:
                found = feedback(adapted, task.query, losses)
            except EmptyQuerySet:
                continue  # it is judged by, and teaches nothing
            query_losses.append(found.loss)
            scale = _clip_scale(found.gradients, settings.clip_norm, task.scenario)
            for name, gradient in found.gradients.items():
                total[name] = total[name] + scale * gradient if name in total else scale * gradient
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if name in total:
                    parameter -= settings.learning_rate * total[name]
    if not query_losses:
        raise EmptyQuerySet("no scenario has a query row with an observed label; raise queryShare, or add samples")
    return fmean(query_losses)


def _clip_scale(gradients: dict[str, Tensor], clip_norm: float, scenario: str) -> float:
    """The factor that brings the gradient of all parameters to the clip norm; 1 where it is not above."""
    norm = math.sqrt(sum(float(one.double().square().sum()) for one in gradients.values()))
    if not math.isfinite(norm):
        raise ConfigInvalid(
            f"the query gradient of {scenario} is not finite; lower training.fineTuneLearningRate",
            reason="TrainingDiverged",
        )
    return 1.0 if norm <= clip_norm else clip_norm / norm


def _seed(settings: MetaTrainingSettings, round_: int, task: Task) -> int:
    return epoch_seed(settings.seed, f"{round_}:{task.scenario}")


@dataclass
class _State:
    round: int
    best_round: int
    start: Quality
    best: Quality
    weights: dict[str, Tensor]
    """Those of the best round."""


def _copy(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def _serialized(state: _State, model: nn.Module, origin: str) -> bytes:
    stream = io.BytesIO()
    figures = {"start": asdict(state.start), "best": asdict(state.best)}
    numbers = {"round": state.round, "best_round": state.best_round}
    torch.save({"origin": origin, **figures, **numbers, "weights": state.weights, "model": model.state_dict()}, stream)
    return stream.getvalue()


def _resumed(model: nn.Module, resume: ResumePoint, origin: str) -> _State | None:
    payload = resume.load(RESUME_POINT)
    if payload is None:
        return None
    device = next(model.parameters()).device
    saved: dict[str, Any] = torch.load(io.BytesIO(payload), map_location=device, weights_only=True)
    if saved["origin"] != origin:
        return None
    model.load_state_dict(saved["model"])
    start, best = Quality(**saved["start"]), Quality(**saved["best"])
    return _State(saved["round"], saved["best_round"], start, best, saved["weights"])
