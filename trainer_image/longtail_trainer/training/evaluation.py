"""How good scores are: AUC with its interval, log loss, calibration error, and root mean square error."""

import math

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from longtail_api.data_schema import DataSchema
from longtail_api.store_objects import Features, Metric
from longtail_trainer.data.encoded import EncodedSplit

Floats = NDArray[np.float64]
Z_95 = 1.959963984540054
CALIBRATION_BINS = 10
NOT_ESTIMABLE = "MetricNotEstimable"


def evaluate(logits: Tensor, split: EncodedSplit, features: Features) -> dict[str, Metric]:
    """Metrics of a model's logits (samples, labels) for the samples of a split, in their order.

    The first label's metrics have plain names (`auc`, `logLoss`, `ece` and `gauc`; `rmse` of a regression), those of
    further labels are `<label>.auc` and so on. Only observed labels count; sample weights don't. Regression errors are
    in the label's own unit.
    """
    result: dict[str, Metric] = {}
    values, labels, observed = (tensor.cpu().numpy() for tensor in (logits, split.labels, split.observed))
    entities = split.entity.cpu().numpy()
    for number, label in enumerate(features.data_schema.labels):
        rows = observed[:, number]
        score = values[rows, number].astype(np.float64)
        truth = labels[rows, number].astype(np.float64)
        if label.type == "binary":
            metrics = binary_metrics(score, truth) | {"gauc": gauc(score, truth, entities[rows])}
        else:
            metrics = {"rmse": rmse((score - truth) * features.labels[label.name].scale)}
        prefix = "" if number == 0 else f"{label.name}."
        result |= {f"{prefix}{name}": metric for name, metric in metrics.items()}
    return result


def primary_metric(schema: DataSchema) -> str:
    """Name of the metric by which models of this schema are compared."""
    return "auc" if schema.labels[0].type == "binary" else "rmse"


def binary_metrics(logits: Floats, labels: Floats) -> dict[str, Metric]:
    """AUC, log loss and expected calibration error of logits against labels 0 and 1."""
    if not len(labels):
        missing = Metric(rows=0, reason=NOT_ESTIMABLE)
        return {"auc": missing, "logLoss": missing, "ece": missing}
    probabilities = 1 / (1 + np.exp(-np.clip(logits, -500, 500)))
    losses = np.logaddexp(0, logits) - labels * logits
    return {
        "auc": auc(logits, labels),
        "logLoss": _mean_with_interval(losses),
        "ece": Metric(value=expected_calibration_error(probabilities, labels), rows=len(labels)),
    }


def auc(scores: Floats, labels: Floats) -> Metric:
    """Probability that a positive scores above a negative, a tie counting half; 95 % interval of DeLong.

    DeLong's variance (DeLong, DeLong, Clarke-Pearson 1988), from ranks (Sun, Xu 2014), its interval on the logit
    scale, which keeps it inside 0 and 1. A perfect separation has variance 0: its interval is the rule of three's,
    1 − 3/min(positives, negatives) to 1. `MetricNotEstimable` where there is one class only.
    """
    positives, negatives = scores[labels == 1], scores[labels == 0]
    m, n = len(positives), len(negatives)
    if not m or not n:
        return Metric(rows=len(labels), reason=NOT_ESTIMABLE)
    among_all = midranks(np.concatenate([positives, negatives]))
    # Share of negatives below each positive, and of positives above each negative.
    below = (among_all[:m] - midranks(positives)) / n
    above = 1 - (among_all[m:] - midranks(negatives)) / m
    value = float(below.mean())
    low, high = _auc_interval(value, below, above)
    return Metric(value=value, low=low, high=high, rows=len(labels))


def gauc(scores: Floats, labels: Floats, entities: NDArray[np.int64]) -> Metric:
    """Mean of the entities' own AUCs, weighted by their rows (Zhu et al. 2017, "Optimized Cost per Click").

    How well each entity's candidates are ordered, whatever the level of its scores. Only entities with both classes
    count, and `rows` are theirs; `MetricNotEstimable` where there is none. The interval is the weighted mean's normal
    one over entities, within 0 and 1; none for a single entity.
    """
    _, group = np.unique(entities, return_inverse=True)
    order = np.lexsort((scores, group))
    group, scores, labels = group[order], scores[order], labels[order]
    sizes = np.bincount(group)
    positives = np.bincount(group, weights=labels)
    negatives = sizes - positives
    # Rows are grouped, and ascend within a group: a rank among all, less the rows of earlier groups, is one within.
    changes = np.ones(len(group), dtype=bool)
    changes[1:] = (group[1:] != group[:-1]) | (scores[1:] != scores[:-1])
    ranks = midranks(np.cumsum(changes).astype(np.float64)) - (np.cumsum(sizes) - sizes)[group]
    both = (positives > 0) & (negatives > 0)
    if not both.any():
        return Metric(rows=0, reason=NOT_ESTIMABLE)
    wins = np.bincount(group, weights=ranks * labels) - positives * (positives + 1) / 2
    each = wins[both] / (positives * negatives)[both]
    rows = sizes[both]
    value = float(np.average(each, weights=rows))
    if len(each) < 2:
        return Metric(value=value, rows=int(rows.sum()))
    # Of a weighted mean, with the correction for few groups that the plain mean's has.
    variance = float(np.square(rows * (each - value)).sum()) / float(rows.sum()) ** 2 * len(each) / (len(each) - 1)
    margin = Z_95 * math.sqrt(variance)
    return Metric(value=value, low=max(0.0, value - margin), high=min(1.0, value + margin), rows=int(rows.sum()))


def midranks(values: Floats) -> Floats:
    """Ranks from 1; equal values share the mean of theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[inverse]


def _auc_interval(value: float, below: Floats, above: Floats) -> tuple[float | None, float | None]:
    m, n = len(below), len(above)
    if value in (0.0, 1.0):
        margin = min(1.0, 3 / min(m, n))
        return (1 - margin, 1.0) if value == 1.0 else (0.0, margin)
    if m < 2 or n < 2:
        return None, None
    variance = float(below.var(ddof=1)) / m + float(above.var(ddof=1)) / n
    center = math.log(value / (1 - value))
    margin = Z_95 * math.sqrt(variance) / (value * (1 - value))
    return _logistic(center - margin), _logistic(center + margin)


def _logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def expected_calibration_error(probabilities: Floats, labels: Floats, bins: int = CALIBRATION_BINS) -> float:
    """Mean distance between predicted and seen share of positives, over bins of equally many rows."""
    order = np.argsort(probabilities, kind="stable")
    distances = [
        len(rows) * abs(probabilities[rows].mean() - labels[rows].mean())
        for rows in np.array_split(order, bins)
        if len(rows)
    ]
    return float(sum(distances) / len(labels))


def rmse(errors: Floats) -> Metric:
    """Root of the mean squared error; its 95 % interval is the root of the mean's normal one."""
    if not len(errors):
        return Metric(rows=0, reason=NOT_ESTIMABLE)
    mean = _mean_with_interval(errors**2)
    assert mean.value is not None
    return Metric(
        value=math.sqrt(mean.value),
        low=None if mean.low is None else math.sqrt(max(0.0, mean.low)),
        high=None if mean.high is None else math.sqrt(mean.high),
        rows=len(errors),
    )


def _mean_with_interval(values: Floats) -> Metric:
    mean = float(values.mean())
    if len(values) < 2:
        return Metric(value=mean, rows=len(values))
    margin = Z_95 * float(values.std(ddof=1)) / math.sqrt(len(values))
    return Metric(value=mean, low=mean - margin, high=mean + margin, rows=len(values))
