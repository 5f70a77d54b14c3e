"""Scores against labels: the metric by which candidate and stable version are compared."""

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

LabelType = Literal["binary", "regression"]
Floats = NDArray[np.float64]


def auc(scores: Floats, labels: Floats) -> float | None:
    """Probability that a positive scores above a negative, a tie counting half; None where there is one class."""
    positives, negatives = scores[labels == 1], np.sort(scores[labels == 0])
    if not len(positives) or not len(negatives):
        return None
    below = np.searchsorted(negatives, positives, side="left")
    not_above = np.searchsorted(negatives, positives, side="right")
    return float((below + not_above).mean() / 2 / len(negatives))


def rmse(scores: Floats, labels: Floats) -> float | None:
    """Root mean squared error, in the label's unit; None where there are no rows."""
    return float(np.sqrt(np.square(scores - labels).mean())) if len(scores) else None


METRICS: dict[LabelType, Callable[[Floats, Floats], float | None]] = {"binary": auc, "regression": rmse}


def metric(label_type: LabelType, scores: list[float], labels: list[float]) -> float | None:
    return METRICS[label_type](np.array(scores, dtype=np.float64), np.array(labels, dtype=np.float64))
