"""Epochs of gradient descent with early stopping, resumable at every epoch with the same result."""

import hashlib
import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from longtail_trainer.data.encoded import EncodedSplit, batches
from longtail_trainer.running.errors import ConfigInvalid
from longtail_trainer.running.resume import ResumePoint
from longtail_trainer.running.stop import Stop
from longtail_trainer.training.loss import LabelLosses, mean_loss

WEIGHT_DECAY = 1e-2
CLIP_NORM = 1.0
RESUME_POINT = "training"


@dataclass(frozen=True)
class TrainingSettings:
    """How long, how fast, and from which seed."""

    epochs: int
    batch_size: int
    learning_rate: float
    seed: int
    patience: int = 4
    """Epochs without a better validation loss, after which training ends."""
    keep_start: bool = False
    """Whether the weights at the start may be the result, where no epoch improves on them (fine-tuning)."""


@dataclass(frozen=True)
class TrainingOutcome:
    """What training came to; the model holds the weights of `best_epoch` (0: those at the start)."""

    epochs: int
    best_epoch: int
    best_loss: float


def train(
    model: nn.Module,
    training: EncodedSplit,
    validation: EncodedSplit | None,
    losses: LabelLosses,
    settings: TrainingSettings,
    resume: ResumePoint | None,
    stop: Stop,
    report: Callable[[int, float, float], None] = lambda epoch, training_loss, validation_loss: None,
) -> TrainingOutcome:
    """Train `model` in place; it ends with the weights of the epoch whose validation loss is lowest.

    Without validation rows the last epoch's weights are kept. `report(epoch, training loss, validation loss)` is
    called after each epoch. Raises `ConfigInvalid` (TrainingDiverged) where the loss is no longer a number.

    After each epoch the whole state is saved, where `resume` is given. An epoch's random choices follow from the seed
    and its number alone, so a run that is killed and resumed gives bit for bit what it would have given
    uninterrupted, on the same machine with the same number of threads.
    """
    # Fused: these models are so small that a loop over their parameters takes a tenth of a step.
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings.learning_rate, weight_decay=WEIGHT_DECAY, fused=True)
    state = _resumed(model, optimizer, resume)
    if state is None:
        start_loss = _validation_loss(model, validation, losses) if settings.keep_start else math.inf
        state = _State(0, 0, start_loss, _copy(model))
    without_validation = validation is None or float(validation.weight.sum()) <= 0
    while state.epoch < settings.epochs and state.epoch - state.best_epoch < settings.patience:
        state.epoch += 1
        training_loss = _epoch(model, optimizer, training, losses, settings, state.epoch, stop)
        if not math.isfinite(training_loss):
            raise ConfigInvalid(
                f"the training loss of epoch {state.epoch} is {training_loss}; lower the learning rate under training",
                reason="TrainingDiverged",
            )
        validation_loss = _validation_loss(model, validation, losses)
        if validation_loss < state.best_loss or without_validation:
            state.best_epoch, state.best_loss, state.best = state.epoch, validation_loss, _copy(model)
        if resume is not None:
            resume.save(RESUME_POINT, _serialized(state, model, optimizer))
        report(state.epoch, training_loss, validation_loss)
        stop.raise_if_requested()
    model.load_state_dict(state.best)
    model.eval()
    return TrainingOutcome(state.epoch, state.best_epoch, state.best_loss)


def _validation_loss(model: nn.Module, validation: EncodedSplit | None, losses: LabelLosses) -> float:
    return math.nan if validation is None else mean_loss(model, validation, losses)


@dataclass
class _State:
    epoch: int
    best_epoch: int
    best_loss: float
    best: dict[str, Tensor]


def _epoch(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    training: EncodedSplit,
    losses: LabelLosses,
    settings: TrainingSettings,
    epoch: int,
    stop: Stop,
) -> float:
    """One pass over shuffled minibatches; the mean of their losses."""
    parameter = next(model.parameters())
    for group in optimizer.param_groups:
        group["lr"] = learning_rate(settings, epoch)
    model.train()
    total = 0.0
    count = 0
    with torch.random.fork_rng():
        torch.manual_seed(epoch_seed(settings.seed, epoch))  # dropout
        shuffle = torch.Generator().manual_seed(epoch_seed(settings.seed, epoch))
        for batch in batches(training, settings.batch_size, shuffle):
            stop.raise_if_requested()
            batch = batch.to(parameter.device, parameter.dtype)
            optimizer.zero_grad()
            loss = losses.mean(model(batch), batch.labels, batch.observed, batch.weight)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), CLIP_NORM)
            optimizer.step()
            total += float(loss.detach())
            count += 1
    return total / max(1, count)


def learning_rate(settings: TrainingSettings, epoch: int) -> float:
    """Half a cosine from the full rate in epoch 1 towards a tenth of it in the last one."""
    share = (epoch - 1) / max(1, settings.epochs - 1)
    return settings.learning_rate * (0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * share)))


def epoch_seed(seed: int, epoch: int | str) -> int:
    """Seeds of neighboring epochs and runs must not be alike, so they are hashed."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{epoch}".encode()).digest()[:7])


def _copy(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def _serialized(state: _State, model: nn.Module, optimizer: torch.optim.Optimizer) -> bytes:
    stream = io.BytesIO()
    torch.save({"state": vars(state), "model": model.state_dict(), "optimizer": optimizer.state_dict()}, stream)
    return stream.getvalue()


def _resumed(model: nn.Module, optimizer: torch.optim.Optimizer, resume: ResumePoint | None) -> _State | None:
    payload = resume.load(RESUME_POINT) if resume is not None else None
    if payload is None:
        return None
    device = next(model.parameters()).device
    saved: dict[str, Any] = torch.load(io.BytesIO(payload), map_location=device, weights_only=True)
    model.load_state_dict(saved["model"])
    optimizer.load_state_dict(saved["optimizer"])
    return _State(**saved["state"])
