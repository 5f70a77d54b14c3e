"""What a model answers for a whole split, in evaluation mode, and how wrong that is."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from longtail_trainer.data.batches import Batch
from longtail_trainer.data.encoded import EncodedSplit, batches
from longtail_trainer.training.loss import LabelLosses

BATCH_SIZE = 4096


def answers(model: nn.Module, split: EncodedSplit, batch_size: int = BATCH_SIZE) -> Iterator[tuple[Batch, Tensor]]:
    """The batches of a split in its order, each with the model's logits (batch, labels).

    The model is put into evaluation mode (no dropout); the batches are on its device, in its precision. Whether
    gradients are kept is the caller's choice.
    """
    parameter = next(model.parameters())
    model.eval()
    for batch in batches(split, batch_size):
        batch = batch.to(parameter.device, parameter.dtype)
        yield batch, model(batch)


@torch.no_grad()
def predict(model: nn.Module, split: EncodedSplit, batch_size: int = BATCH_SIZE) -> Tensor:
    """Logits (samples, labels) of a whole split, in its order, on the CPU."""
    logits = [one.cpu() for _, one in answers(model, split, batch_size)]
    return torch.cat(logits) if logits else torch.zeros(0, split.labels.shape[1])


@torch.no_grad()
def mean_loss(model: nn.Module, split: EncodedSplit, losses: LabelLosses, batch_size: int = BATCH_SIZE) -> float:
    """Loss of a whole split, each label's over its observed rows; NaN where no row with a weight has any label."""
    if not can_judge(split):
        return float("nan")
    shares = losses.shares(split.observed, split.weight)
    total = torch.zeros((), dtype=torch.float64, device=next(model.parameters()).device)
    for batch, logits in answers(model, split, batch_size):
        total += (losses.each(logits, batch.labels, batch.observed, shares) * batch.weight).sum()
    return float(total) / float(split.weight.double().sum())


@torch.no_grad()
def row_losses(model: nn.Module, split: EncodedSplit, losses: LabelLosses, batch_size: int = BATCH_SIZE) -> Tensor:
    """(samples,) loss of each row, on the CPU, in double precision: their mean by weight is `mean_loss`."""
    shares = losses.shares(split.observed, split.weight)
    each = [
        losses.each(logits, batch.labels, batch.observed, shares).double().cpu()
        for batch, logits in answers(model, split, batch_size)
    ]
    return torch.cat(each) if each else torch.zeros(0, dtype=torch.float64)


def can_judge(split: EncodedSplit | None) -> bool:
    """Whether a loss can be taken on it: some row that weighs something has a label."""
    return split is not None and bool((split.observed & (split.weight > 0)[:, None]).any())
