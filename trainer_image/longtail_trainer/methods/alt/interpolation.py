"""How far a scenario's fine-tuned weights may lie from the agnostic ones: θ0 + α(θu − θ0), α by validation rows.

Fine-tuning on few rows can make a model worse than the one it started from, and the few validation rows that choose
its epoch do not show it. Between the two, most of what was learned is kept and most of what was overfitted is not
(Wortsman et al., *Robust fine-tuning of zero-shot models*, CVPR 2022).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

STEPS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""The α that are compared; 0 is the agnostic model itself."""


@dataclass(frozen=True)
class Interpolation:
    """α, and what it is known by: the mean validation loss there, at θ0 and at θu; NaN without validation rows."""

    step: float
    loss: float
    agnostic_loss: float
    adapted_loss: float


def between(start: Mapping[str, Tensor], end: Mapping[str, Tensor], step: float) -> dict[str, Tensor]:
    """θ0 + α(θu − θ0), tensor by tensor; the end points are exact."""
    if step in (0.0, 1.0):
        return dict(start if step == 0.0 else end)
    return {name: start[name] + step * (tensor - start[name]) for name, tensor in end.items()}


def chosen(losses: Mapping[float, Sequence[float]], weights: Sequence[float]) -> Interpolation:
    """The smallest α whose mean loss is within one standard error of the lowest one's.

    losses: of each validation row, by α. weights: of the rows. The standard error is that of the mean of the paired
    differences, so what makes a row hard for every α counts for nothing (the one-standard-error rule of Breiman,
    Friedman, Olshen and Stone, *Classification and Regression Trees*, 1984, 3.4.3). So the agnostic model stays where
    nothing is shown to be better, and where there is no validation row.
    """
    means = {step: _mean(rows, weights) for step, rows in losses.items()}
    if not all(math.isfinite(mean) for mean in means.values()):
        return Interpolation(0.0, math.nan, means[0.0], means[1.0])
    best = min(sorted(means), key=means.__getitem__)
    step = next(
        step
        for step in sorted(means)
        if means[step] - means[best] <= _standard_error(losses[step], losses[best], weights)
    )
    return Interpolation(step, means[step], means[0.0], means[1.0])


def _mean(values: Sequence[float], weights: Sequence[float]) -> float:
    total = math.fsum(weights)
    if total <= 0:
        return math.nan
    return math.fsum(value * weight for value, weight in zip(values, weights, strict=True)) / total


def _standard_error(one: Sequence[float], other: Sequence[float], weights: Sequence[float]) -> float:
    """Of the weighted mean of the differences, row by row; infinite for a single row, which shows nothing."""
    differences = [a - b for a, b in zip(one, other, strict=True)]
    if len(differences) < 2:
        return math.inf
    mean, total = _mean(differences, weights), math.fsum(weights)
    squares = math.fsum((weight * (value - mean)) ** 2 for value, weight in zip(differences, weights, strict=True))
    rows = len(differences)
    return math.sqrt(squares * rows / (rows - 1)) / total
