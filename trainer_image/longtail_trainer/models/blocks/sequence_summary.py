"""The states of a sequence's events in one vector."""

import math

import torch
from torch import Tensor

from longtail_trainer.operations.masks import lowest


def sequence_summary(
    states: Tensor, embedded: Tensor, mask: Tensor, longest: int, scores: Tensor | None = None
) -> Tensor:
    """(batch, `summary_width`) from states and embedded events (batch, length, width), zero where the mask is false.

    The state at the last event, mean and maximum over all states, their mean by the softmax of `scores`
    (batch, length) where there are any, the mean of the embedded events themselves, and how many events there are:
    log(1 + events), 1 for the `longest`. A sample without events has a summary of zeros.
    """
    count = mask.sum(1, keepdim=True)
    some = (count > 0).to(states.dtype)
    share = event_share(mask, states.dtype)
    last_index = (count - 1).clamp(min=0).unsqueeze(-1).expand(-1, 1, states.shape[-1])
    nothing = lowest(states.dtype)
    # In this order: gradients of `states` add up in the reverse one, and stored weights follow from their last bits.
    last = states.gather(1, last_index).squeeze(1)
    maximum = states.masked_fill(~mask.unsqueeze(-1), nothing).amax(1) * some
    attentive: list[Tensor] = []
    if scores is not None:
        weights = scores.masked_fill(~mask, nothing).softmax(-1)
        attentive = [(states * weights.unsqueeze(-1)).sum(1)]
    events = torch.log1p(count.to(states.dtype)) / math.log1p(longest)
    return torch.cat([last, states.sum(1) * share, maximum, *attentive, embedded.sum(1) * share, events], dim=-1)


def event_share(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """(batch, 1): one over the number of events, 1 where there is none; times a sum over events, their mean."""
    return 1 / mask.sum(1, keepdim=True).clamp(min=1).to(dtype)


def summary_width(width: int, attentive: bool) -> int:
    """Of a summary of states of this width, with the attentive mean or without."""
    return (5 if attentive else 4) * width + 1


def summary_flops(length: int, width: int, attentive: bool) -> int:
    """Of one sample, counted as `Operation.flops` counts: two means and a maximum, a product and a sum."""
    return (3 + (2 if attentive else 0)) * length * width
