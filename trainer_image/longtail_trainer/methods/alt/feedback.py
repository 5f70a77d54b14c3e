"""What one scenario run gives back to the agnostic model."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from longtail_trainer.data.encoded import EncodedSplit
from longtail_trainer.running.errors import DataInvalid
from longtail_trainer.training.loss import LabelLosses
from longtail_trainer.training.scoring import answers, can_judge


class EmptyQuerySet(DataInvalid):
    """No query row has an observed label and a weight, so there is no query loss to differentiate."""

    default_reason = "EmptyQuerySet"


@dataclass(frozen=True)
class Feedback:
    """The gradient of the query loss, by parameter, named as in `model.state_dict()`.

    loss: the query loss itself; examples: query rows it is the mean of, those that have a label.
    """

    gradients: dict[str, Tensor]
    loss: float
    examples: int


def feedback(model: nn.Module, query: EncodedSplit, losses: LabelLosses, batch_size: int = 1024) -> Feedback:
    """∇θ L(D_q, θ) at θ = θu, the adapted weights that `model` holds (ALT III-C, the term of Eq. 2).

    First order, as Eq. 2 says: nothing is differentiated through the fine-tuning. A mean over the rows that have a
    label (of several labels, each over its own), so that large and small scenarios weigh alike. In evaluation mode (no
    dropout), so it is a function of weights and data alone. Raises `EmptyQuerySet`.
    """
    if not can_judge(query):
        raise EmptyQuerySet("the query set has no row with an observed label; raise queryShare, or add samples")
    total_weight = float(query.weight.sum())
    shares = losses.shares(query.observed, query.weight)
    loss = torch.zeros((), dtype=torch.float64, device=next(model.parameters()).device)
    model.zero_grad()
    # cuDNN's LSTM has no backward pass in evaluation mode; torch's own has.
    with torch.backends.cudnn.flags(enabled=False):
        for batch, logits in answers(model, query, batch_size):
            each = losses.each(logits, batch.labels, batch.observed, shares)
            part = (each * batch.weight).sum() / total_weight
            part.backward()
            loss += part.detach()
    gradients = {
        name: torch.zeros_like(one) if one.grad is None else one.grad.detach().clone()
        for name, one in model.named_parameters()
    }
    model.zero_grad()
    labeled = query.observed.any(1) & (query.weight > 0)
    return Feedback(gradients, float(loss), int(labeled.sum()))
