"""From θ0 to a scenario's heavy model: fine-tuned, refitted with the query rows, and taken as far as is shown to help.

1. θu: fine-tuning on support rows (ALT Eq. 1), up to the epoch of lowest validation loss. The feedback is taken there.
2. The refit: from θ0 again, as many epochs at the same rates, on support and query rows. No validation row is in it.
3. θ0 + α(θu' − θ0), θu' being the refitted weights, with α by validation rows. It is chosen for the weights that are
   kept, not for θu: what is said of them then was seen of them.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor, nn

from longtail_api.data_schema import DataSchema
from longtail_api.methods.alt import AdaptReason
from longtail_trainer.data.encoded import EncodedSplit, concatenate
from longtail_trainer.data.rows import one_class, subset
from longtail_trainer.methods.alt.interpolation import STEPS, Interpolation, between, chosen
from longtail_trainer.running.resume import NamedPart, ResumePoint
from longtail_trainer.running.stop import Stop
from longtail_trainer.training.loss import LabelLosses
from longtail_trainer.training.scoring import can_judge, row_losses
from longtail_trainer.training.settings import TrainingSettings
from longtail_trainer.training.supervised import TrainingOutcome, train

Weights = dict[str, Tensor]


@dataclass(frozen=True)
class Rows:
    """One scenario's rows, as fine-tuning takes them."""

    support: EncodedSplit
    query: EncodedSplit
    validation: EncodedSplit


def why_not(rows: Rows, schema: DataSchema) -> AdaptReason | None:
    """Why nothing can be learned from these rows, so that θu is θ0; None where something can."""
    if not len(rows.support):
        return "NoSupportRows"
    if not can_judge(rows.support):
        return "NoLabels"
    if one_class(rows.support, schema):
        return "OneClass"
    return None if can_judge(rows.validation) else "NoValidationRows"


def weights_of(model: nn.Module) -> Weights:
    """A copy of what training changes."""
    return {name: one.detach().clone() for name, one in model.named_parameters()}


def fine_tune(
    model: nn.Module,
    rows: Rows,
    losses: LabelLosses,
    settings: TrainingSettings,
    resume: ResumePoint,
    stop: Stop,
    report: Callable[[int, float, float], None],
) -> TrainingOutcome:
    """θu from θ0 (ALT Eq. 1), in place. The epoch of the lowest validation loss counts, θ0 being epoch 0."""
    settings = replace(settings, keep_start=True)
    return train(model, rows.support, rows.validation, losses, settings, resume, stop, report)


def refit(
    model: nn.Module,
    start: Weights,
    epochs: int,
    rows: Rows,
    losses: LabelLosses,
    settings: TrainingSettings,
    resume: ResumePoint,
    stop: Stop,
    report: Callable[[int, float, float], None],
) -> None:
    """In place, from θ0, so many epochs at the rates that fine-tuning had, on support and query rows.

    Where there are no query rows, the model is left as it is: it holds what the refit would come to.
    """
    if not epochs or not len(rows.query):
        return
    _give(model, start)
    settings = replace(settings, last_epoch=epochs, patience=None, keep_start=False)
    both = concatenate([rows.support, rows.query])
    part = NamedPart(resume, "refit")
    train(model, both, None, losses, settings, part, stop, report)


def interpolate(model: nn.Module, start: Weights, validation: EncodedSplit, losses: LabelLosses) -> Interpolation:
    """Give the trained model the weights θ0 + α(θ − θ0); α by those validation rows that have a label."""
    end = weights_of(model)
    labeled = validation.observed.any(1) & (validation.weight > 0)
    judges = subset(validation, labeled.nonzero().flatten())
    found: dict[float, list[float]] = {}
    for step in STEPS:
        _give(model, between(start, end, step))
        found[step] = row_losses(model, judges, losses).tolist()
    weights = cast(list[float], judges.weight.tolist())
    interpolation = chosen(found, weights)
    _give(model, between(start, end, interpolation.step))
    return interpolation


@torch.no_grad()
def _give(model: nn.Module, weights: Weights) -> None:
    for name, parameter in model.named_parameters():
        parameter.copy_(weights[name])
