"""The attentive sum of all layers of a searched encoder (ALT III-D, Fig. 6 and 9)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def attentive_sum(outputs: Sequence[Tensor], share: Tensor, query: nn.Module) -> Tensor:
    """Σ aᵢ · outputᵢ, a = softmax over layers of a learned query's product with each layer's mean over time.

    outputs: (batch, length, width) of each layer, zero where there is no event. share: (batch, 1), one over the number
    of events. query: width → 1. A single layer is its own sum, and asks nothing.
    """
    if len(outputs) == 1:
        return outputs[0]
    means = torch.stack([output.sum(1) * share for output in outputs], dim=1)
    weights = query(means).softmax(dim=1)
    total = outputs[0] * weights[:, 0:1]
    for number, output in enumerate(outputs[1:], start=1):
        total = total + output * weights[:, number : number + 1]
    return total


def attentive_sum_flops(layers: int, length: int, width: int) -> int:
    """Of one sample, counted as `Operation.flops` counts: the means, the query's products, the weighted sum."""
    return 0 if layers == 1 else layers * (length * width + 2 * width + 2 * length * width)
