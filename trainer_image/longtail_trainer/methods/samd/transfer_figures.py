"""What became of transfer weights: how even they are, and whether they only pick the layers that are near."""

import math

import numpy as np
from torch import Tensor

from longtail_api.store_objects import Metric
from longtail_trainer.training.evaluation import midranks


def transfer_figures(weights: Tensor, distances: Tensor) -> dict[str, Metric]:
    """Of W_T and of the layers' distances, both (M_g, M_i).

    entropy: of each row's shares, their mean, over that of an even row; 1: a layer of the general model teaches all
    layers alike. nearnessRank: Spearman's correlation of weights with −distances; 1: the nearer, the heavier, which no
    meta network is needed for (its gradient raises what is nearer than its row's mean). Neither where it can't be had.
    """
    found: dict[str, Metric] = {}
    shares = (weights / weights.sum(1, keepdim=True)).double()
    if shares.shape[1] > 1:
        entropy = -(shares * shares.clamp(min=1e-300).log()).sum(1).mean() / math.log(shares.shape[1])
        found["entropy"] = Metric(value=float(entropy))
    heavy, near = (midranks(one.flatten().double().cpu().numpy()) for one in (weights, -distances))
    if np.ptp(heavy) > 0 and np.ptp(near) > 0:
        found["nearnessRank"] = Metric(value=float(np.corrcoef(heavy, near)[0, 1]))
    return found
