"""Vocabularies and normalization from the merged statistics of the pool's training rows."""

import logging
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from longtail_api.data_schema import DataSchema
from longtail_api.store_objects import CategoricalStatistics, Features, NumericEncoding, NumericStatistics, Statistics
from longtail_trainer.data.features.columns import columns_by_vocabulary, sequence_columns, static_columns
from longtail_trainer.data.moments import mean_and_deviation
from longtail_trainer.data.prepare.statistics import merge_categorical

log = logging.getLogger(__name__)

MINIMUM_COUNT = 5
"""Rarer values become the unknown category: so its embedding is trained, on values that are as rare as new ones."""
LARGEST_VOCABULARY = 50_000
CLIP_QUANTILES = (0.001, 0.999)
"""As far out as the sample of the statistics tells: what tells a rare event often lies in the last percent."""
BINS = 8
"""Of the piecewise-linear encoding, at equal quantiles; fewer where many values are alike."""
NARROWEST_BIN = 1e-3
"""In normalized units. A narrower one would turn the rounding of float32 into a step."""
INTERQUARTILE_RANGE_OF_A_UNIT_NORMAL = 1.349


def fit_features(schema: DataSchema, statistics: Statistics) -> Features:
    """The features of a generation. A column without a value gets an empty vocabulary or the identity.

    Columns that share a vocabulary have that of all their values together, whichever column a value comes from.
    """
    tables = [static_columns(schema), *(sequence_columns(sequence) for sequence in schema.behaviors)]
    vocabularies: dict[str, list[str]] = {}
    for columns in columns_by_vocabulary(schema):
        each = [statistics.categorical.get(column, CategoricalStatistics()) for column in columns]
        counted = reduce(merge_categorical, each)
        fitted = vocabulary(counted, largest=LARGEST_VOCABULARY)
        vocabularies |= dict.fromkeys(columns, fitted)
        _told(" and ".join(columns), counted, fitted)
    return Features(
        data_schema=schema,
        vocabularies=vocabularies,
        numeric={
            column: numeric_encoding(statistics.numeric.get(column, NumericStatistics()))
            for table in tables
            for column in table.numeric
        },
        labels={
            label.name: label_encoding(statistics.labels.get(label.name, NumericStatistics()))
            for label in schema.labels
            if label.type == "regression"
        },
    )


def vocabulary(
    statistics: CategoricalStatistics, minimum_count: int = MINIMUM_COUNT, largest: int = LARGEST_VOCABULARY
) -> list[str]:
    """The most frequent values, most frequent first; ties by value. The empty string is a null, never a value."""
    frequent = [(value, count) for value, count in statistics.estimates().items() if value and count >= minimum_count]
    return [value for value, _ in sorted(frequent, key=lambda pair: (-pair[1], pair[0]))[:largest]]


def _told(column: str, statistics: CategoricalStatistics, kept: list[str]) -> None:
    if statistics.halvings:
        share = 2.0**-statistics.halvings
        log.warning("%s has too many values to count: a share of %g of the rows was counted instead", column, share)
    if len(kept) == LARGEST_VOCABULARY:
        log.warning("%s: the vocabulary holds the %d most frequent values, others are unknown", column, len(kept))


def numeric_encoding(statistics: NumericStatistics) -> NumericEncoding:
    """Clip at the .1 % and 99.9 % quantiles, center at the median, scale by the spread.

    The spread is the larger of the interquartile range (in standard deviations of a normal) and the standard
    deviation of the clipped values: the first is 0 where most values are alike, and small where the tail is
    long, which would leave large inputs: the share of values beyond d deviations is at most 1/d², so that what a
    thousandth of the values reaches is at most 32 deviations from the mean. 1 where both are 0.
    """
    values = np.asarray(statistics.sample, dtype=np.float64)
    if values.size == 0:
        return NumericEncoding(low=0.0, high=0.0, center=0.0, scale=1.0)
    low, first, center, third, high = np.quantile(values, [CLIP_QUANTILES[0], 0.25, 0.5, 0.75, CLIP_QUANTILES[1]])
    spread = max((third - first) / INTERQUARTILE_RANGE_OF_A_UNIT_NORMAL, float(np.clip(values, low, high).std()))
    scale = _positive(spread, center)
    normalized = (np.clip(values, low, high) - center) / scale
    return NumericEncoding(low=low, high=high, center=center, scale=scale, edges=bin_edges(normalized))


def bin_edges(normalized: NDArray[np.float64]) -> list[float]:
    """Edges of the bins: quantiles, ascending, apart by the narrowest bin at least. None for a single value."""
    edges: list[float] = []
    for edge in np.quantile(normalized, np.linspace(0, 1, BINS + 1)).astype(np.float32):
        if not edges or edge - edges[-1] >= NARROWEST_BIN:
            edges.append(float(edge))
    return edges if len(edges) > 1 else []


def label_encoding(statistics: NumericStatistics) -> NumericEncoding:
    """Standardization of a regression label by mean and standard deviation of all its values. Never clipped.

    Of statistics without moments (an earlier schemaVersion), by those of the sample.
    """
    values = np.asarray(statistics.sample, dtype=np.float64)
    if values.size == 0:
        return NumericEncoding(low=0.0, high=0.0, center=0.0, scale=1.0)
    if statistics.moments is None:
        center, deviation = float(values.mean()), float(values.std())
    else:
        center, deviation = mean_and_deviation(statistics.moments, statistics.count)
    low = float(values.min()) if statistics.minimum is None else statistics.minimum
    high = float(values.max()) if statistics.maximum is None else statistics.maximum
    return NumericEncoding(low=low, high=high, center=center, scale=_positive(deviation, center))


def _positive(spread: float, center: float) -> float:
    # A spread that is lost in the float32 rounding of the values is none.
    return float(spread) if spread > 1e-6 * max(1.0, abs(center)) else 1.0
