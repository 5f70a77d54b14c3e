"""What one scenario run gives back to the agnostic model."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from longtail_trainer.data.encoded import EncodedSplit, batches
from longtail_trainer.running.errors import DataInvalid
from longtail_trainer.training.loss import LabelLosses


class EmptyQuerySet(DataInvalid):
    """No query row has an observed label and a weight, so there is no query loss to differentiate."""

    default_reason = "EmptyQuerySet"


@dataclass(frozen=True)
class Feedback:
    """The gradient of the query loss, by parameter, named as in `model.state_dict()`.

    loss: the query loss itself; examples: query rows it is the mean of.
    """

    gradients: dict[str, Tensor]
    loss: float
    examples: int


def feedback(model: nn.Module, query: EncodedSplit, losses: LabelLosses, batch_size: int = 1024) -> Feedback:
    """∇θ L(D_q, θ) at θ = θu, the adapted weights that `model` holds (ALT III-C, the term of Eq. 2).

    First order, as Eq. 2 says: nothing is differentiated through the fine-tuning. Mean over samples, so that large
    and small scenarios weigh alike. In evaluation mode (no dropout), so it is a function of weights and data alone.
    Raises `EmptyQuerySet`.
    """
    weight = float((query.weight * query.observed.any(1)).sum()) if len(query) else 0.0
    if weight <= 0:
        raise EmptyQuerySet("the query set has no row with an observed label; raise queryShare, or add samples")
    parameter = next(model.parameters())
    total_weight = float(query.weight.sum())
    loss = 0.0
    model.eval()
    model.zero_grad()
    # cuDNN's LSTM has no backward pass in evaluation mode; torch's own has.
    with torch.backends.cudnn.flags(enabled=False):
        for batch in batches(query, batch_size):
            batch = batch.to(parameter.device, parameter.dtype)
            each = losses.each(model(batch), batch.labels, batch.observed)
            share = (each * batch.weight).sum() / total_weight
            share.backward()
            loss += float(share.detach())
    gradients = {
        name: torch.zeros_like(one) if one.grad is None else one.grad.detach().clone()
        for name, one in model.named_parameters()
    }
    model.zero_grad()
    return Feedback(gradients, loss, len(query))
