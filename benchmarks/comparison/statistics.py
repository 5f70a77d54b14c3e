"""Paired comparisons over scenarios and seeds, with intervals that count both."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.stats import norm, t

RESAMPLES = 10_000
PAIR = ["seed", "scenario"]
Floats = NDArray[np.float64]
Selection = Mapping[str, object]
"""Values of columns that pick one method's rows."""


@dataclass(frozen=True)
class Comparison:
    """Mean of a paired quantity, its 95 % interval over seeds and scenarios (see `two_way_interval`), means by seed."""

    mean: float
    low: float
    high: float
    pairs: int
    by_seed: tuple[float, ...]


def selected(rows: pl.DataFrame, selection: Selection) -> pl.DataFrame:
    return rows.filter(*(pl.col(name) == value for name, value in selection.items()))


def pairs(rows: pl.DataFrame, left: Selection, right: Selection, value: str = "auc") -> pl.DataFrame:
    """Columns seed, scenario, left, right: those that both sides have, and where neither is missing."""
    sides = [
        selected(rows, side)
        .filter(pl.col(value).is_not_null())
        .select(*PAIR, pl.col(value).cast(pl.Float64).alias(name))
        for side, name in ((left, "left"), (right, "right"))
    ]
    return sides[0].join(sides[1], on=PAIR, how="inner").sort(PAIR)


def difference(rows: pl.DataFrame, left: Selection, right: Selection, value: str = "auc") -> Comparison | None:
    """left − right. None where there is no pair."""
    return compared(pairs(rows, left, right, value).with_columns((pl.col("left") - pl.col("right")).alias("value")))


def ratio(rows: pl.DataFrame, left: Selection, right: Selection, value: str) -> Comparison | None:
    """Mean of left ÷ right."""
    return compared(pairs(rows, left, right, value).with_columns((pl.col("left") / pl.col("right")).alias("value")))


def average(rows: pl.DataFrame, selection: Selection, value: str = "auc") -> Comparison | None:
    """Mean over scenarios and seeds."""
    return compared(
        selected(rows, selection).filter(pl.col(value).is_not_null()).with_columns(pl.col(value).alias("value"))
    )


def compared(table: pl.DataFrame) -> Comparison | None:
    """Of the column `value`, by scenario and seed. None where there is no row."""
    if table.is_empty():
        return None
    values = table["value"].cast(pl.Float64).to_numpy()
    low, high = two_way_interval(values, _codes(table["seed"]), _codes(table["scenario"]))
    by_seed = table.group_by("seed", maintain_order=True).agg(pl.col("value").cast(pl.Float64).mean())["value"]
    return Comparison(float(values.mean()), low, high, len(values), tuple(by_seed.to_list()))


def two_way_interval(
    values: Floats, seeds: NDArray[np.int64], scenarios: NDArray[np.int64], random_seed: int = 0
) -> tuple[float, float]:
    """95 % interval of the mean of `values`; the other two give each one's seed and scenario, numbered from 0.

    The models of one seed share a version 1 and a chain of versions, the rows of one scenario are alike whatever the
    seed: neither are so many independent trials. So seeds and scenarios are resampled, each by itself, and a value
    counts as often as both of its own were drawn (the pigeonhole bootstrap of Owen, The Annals of Applied Statistics
    1(2), 2007, which errs on the wide side). The percentiles are further out than 2.5 and 97.5 where few seeds or
    scenarios carry the variance (the expanded percentile interval of Hesterberg, The American Statistician 69(4),
    2015, with Satterthwaite's degrees of freedom): five seeds say little of how far apart seeds are.
    """
    shape = (int(seeds.max()) + 1, int(scenarios.max()) + 1)
    sums, counts = np.zeros(shape), np.zeros(shape)
    np.add.at(sums, (seeds, scenarios), values)
    np.add.at(counts, (seeds, scenarios), 1)
    generator = np.random.default_rng(random_seed)
    of_seeds, of_scenarios = (_multiplicities(generator, size) for size in shape)
    totals, numbers = (((of_seeds @ cells) * of_scenarios).sum(axis=1) for cells in (sums, counts))
    drawn = numbers > 0  # where few pairs exist, a resample may hold none of them
    tail = _tail(sums, counts)
    low, high = np.quantile(totals[drawn] / numbers[drawn], [tail, 1 - tail])
    return float(low), float(high)


def _codes(column: pl.Series) -> NDArray[np.int64]:
    return (column.rank("dense").to_numpy() - 1).astype(np.int64)


def _multiplicities(generator: np.random.Generator, size: int) -> Floats:
    """(RESAMPLES, size): how often each of `size` things is drawn."""
    return generator.multinomial(size, np.full(size, 1 / size), size=RESAMPLES).astype(np.float64)


def _tail(sums: Floats, counts: Floats) -> float:
    """The percentile to take at either end instead of .025."""
    variances, freedoms = zip(*(_variance_of_mean(sums, counts, axis) for axis in (1, 0)), strict=True)
    shares = [variance**2 / freedom for variance, freedom in zip(variances, freedoms, strict=True) if freedom]
    if sum(shares) == 0:
        return 0.025
    freedom = sum(variances) ** 2 / sum(shares)
    return float(norm.cdf(t.ppf(0.025, freedom) * np.sqrt((freedom + 1) / freedom)))


def _variance_of_mean(sums: Floats, counts: Floats, axis: int) -> tuple[float, int]:
    """Of the mean over the groups along the other axis, from how far apart their means are; degrees of freedom."""
    means = sums.sum(axis=axis) / counts.sum(axis=axis)
    freedom = len(means) - 1
    return (float(means.var(ddof=1)) / len(means), freedom) if freedom else (0.0, 0)
