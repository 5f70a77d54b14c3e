"""Paired comparisons over scenarios and seeds, with bootstrap intervals."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

RESAMPLES = 10_000
PAIR = ["seed", "scenario"]
Floats = NDArray[np.float64]
Selection = Mapping[str, object]
"""Values of columns that pick one method's rows."""


@dataclass(frozen=True)
class Comparison:
    """Mean of a paired quantity and its 95 % interval.

    low, high: bootstrap over the (scenario, seed) pairs. scenario_low, scenario_high: over scenarios, each with all of
    its seeds, which counts what a scenario's seeds have in common; the wider one is the one to trust.
    """

    mean: float
    low: float
    high: float
    scenario_low: float
    scenario_high: float
    pairs: int


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
    """Of the column `value`, by scenario and seed."""
    if table.is_empty():
        return None
    values = table["value"].cast(pl.Float64).to_numpy()
    low, high = interval(values)
    by_scenario = table.group_by("scenario", maintain_order=True).agg(pl.col("value").cast(pl.Float64))
    scenario_low, scenario_high = cluster_interval([row.to_numpy() for row in by_scenario["value"]])
    return Comparison(float(values.mean()), low, high, scenario_low, scenario_high, len(values))


def interval(values: Floats, seed: int = 0) -> tuple[float, float]:
    """95 % percentile interval of the mean, by resampling the values."""
    return cluster_interval(list(values[:, None]), seed)


def cluster_interval(clusters: list[Floats], seed: int = 0) -> tuple[float, float]:
    """95 % percentile interval of the mean of all values, by resampling whole clusters."""
    generator = np.random.default_rng(seed)
    sums = np.array([cluster.sum() for cluster in clusters])
    sizes = np.array([len(cluster) for cluster in clusters])
    picks = generator.integers(len(clusters), size=(RESAMPLES, len(clusters)))
    means = sums[picks].sum(axis=1) / sizes[picks].sum(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)
