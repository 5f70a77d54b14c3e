"""Categories as numbers that trees can cut: how often each occurs, and how often its rows have label 1."""

from collections.abc import Iterator

import numpy as np
import polars as pl
from numpy.typing import NDArray

FOLDS = 5
SMOOTHING = 20.0
"""Rows of the overall mean that each category's own mean is mixed with."""
Floats = NDArray[np.float64]


class TargetStatistics:
    """Of each column of `keys` (strings, of training rows): smoothed mean label and logarithm of 1 + count.

    A training row that saw its own label would give it away, most of all in a rare category. So training rows have the
    statistics of the other folds; rows that come later have those of all training rows, and a category that was not
    there has the overall mean and count 0.
    """

    def __init__(self, keys: pl.DataFrame, labels: Floats, seed: int) -> None:
        self._known = _labelled(keys, labels)
        self._fold = np.random.default_rng([seed, FOLDS]).integers(FOLDS, size=len(labels))

    def training(self) -> Floats:
        """(training rows, 2 × columns), each row without the labels of its own fold."""
        keys = self._known.drop(_LABEL)
        result = np.zeros((len(keys), 2 * len(keys.columns)))
        for fold in range(FOLDS):
            own = self._fold == fold
            if own.any():
                result[own] = _encoded(self._known.filter(pl.Series(~own)), keys.filter(pl.Series(own)))
        return result

    def later(self, keys: pl.DataFrame) -> Floats:
        """(rows, 2 × columns) of rows that are no training rows."""
        return _encoded(self._known, _filled(keys))


_LABEL = "\x00label"


def _filled(keys: pl.DataFrame) -> pl.DataFrame:
    """A missing category is one, too."""
    return keys.select(pl.all().cast(pl.String).fill_null("\x00missing"))


def _labelled(keys: pl.DataFrame, labels: Floats) -> pl.DataFrame:
    return _filled(keys).with_columns(pl.Series(_LABEL, labels, dtype=pl.Float64))


def _encoded(known: pl.DataFrame, keys: pl.DataFrame) -> Floats:
    mean = float(known[_LABEL].to_numpy().mean()) if len(known) else 0.0

    def columns() -> Iterator[Floats]:
        for name in keys.columns:
            found = known.group_by(name).agg(pl.col(_LABEL).sum().alias("sum"), pl.len().alias("count"))
            own = keys.select(name).join(found, on=name, how="left", maintain_order="left")
            sums, counts = (own[column].fill_null(0).cast(pl.Float64).to_numpy() for column in ("sum", "count"))
            yield (sums + SMOOTHING * mean) / (counts + SMOOTHING)
            yield np.log1p(counts)

    return np.stack(list(columns()), axis=1) if keys.columns else np.zeros((len(keys), 0))
