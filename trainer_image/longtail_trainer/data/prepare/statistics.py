"""Mergeable statistics of training rows: of one part, and of two parts as if they had been one."""

import heapq
from collections.abc import Mapping
from itertools import zip_longest

import numpy as np
import polars as pl
from numpy.typing import NDArray

from longtail_api.data_schema import DataSchema, length_column
from longtail_api.store_objects import CategoricalStatistics, NumericStatistics, Statistics
from longtail_trainer.data.moments import merged_moments, moments_of
from longtail_trainer.data.prepare.identity import Keys, mixed
from longtail_trainer.data.prepare.parts import SHUFFLE

SAMPLE = 8192
"""Values in a quantile sketch. The standard error of a rank is .6 points at the median and .035 at the .1 % quantile,
beyond which lie 8 of the values. As JSON some 300 kB a column, where a scenario has so many rows."""
CATEGORIES = 65_536
"""Values counted per categorical column. Counts are exact while a column has no more of them."""
_HALVES = 63
"""Bits of a key."""


def merge(a: Statistics, b: Statistics) -> Statistics:
    """The statistics of both sets of rows together. Associative and commutative; `Statistics()` changes nothing."""
    return Statistics(
        rows=a.rows + b.rows,
        numeric=_merged_numeric(a.numeric, b.numeric),
        categorical={
            name: merge_categorical(a.categorical.get(name), b.categorical.get(name))
            for name in sorted({*a.categorical, *b.categorical})
        },
        labels=_merged_numeric(a.labels, b.labels),
    )


def _merged_numeric(
    a: Mapping[str, NumericStatistics], b: Mapping[str, NumericStatistics]
) -> dict[str, NumericStatistics]:
    return {name: merge_numeric(a.get(name), b.get(name)) for name in sorted({*a, *b})}


def merge_numeric(a: NumericStatistics | None, b: NumericStatistics | None) -> NumericStatistics:
    """Counts and sums add up; of both samples, the values with the smallest keys stay (bottom-k)."""
    a, b = a or NumericStatistics(), b or NumericStatistics()
    pairs = heapq.nsmallest(SAMPLE, zip(a.sample_keys + b.sample_keys, a.sample + b.sample, strict=True))
    lows = [low for low in (a.minimum, b.minimum) if low is not None]
    highs = [high for high in (a.maximum, b.maximum) if high is not None]
    return NumericStatistics(
        count=a.count + b.count,
        nulls=a.nulls + b.nulls,
        minimum=min(lows, default=None),
        maximum=max(highs, default=None),
        moments=merged_moments([one.moments for one in (a, b) if one.count]),
        sample=[value for _, value in pairs],
        sample_keys=[key for key, _ in pairs],
    )


def merge_categorical(a: CategoricalStatistics | None, b: CategoricalStatistics | None) -> CategoricalStatistics:
    """Counts add up, those of the same share of rows: the smaller of the two, and smaller where values are too many."""
    a, b = a or CategoricalStatistics(), b or CategoricalStatistics()
    halvings = max(a.halvings, b.halvings)
    counts: dict[str, list[int]] = {}
    for one in (a, b):
        for value, by_zeros in one.counts.items():
            left = by_zeros[halvings - one.halvings :]
            if left:
                counts[value] = [x + y for x, y in zip_longest(counts.get(value, ()), left, fillvalue=0)]
    return _bounded(a.count + b.count, a.nulls + b.nulls, halvings, counts)


def _bounded(count: int, nulls: int, halvings: int, counts: dict[str, list[int]]) -> CategoricalStatistics:
    """Halve the rows that are counted until their values are few enough.

    The number of halvings follows from the rows alone: those of some of the rows never need more of them than those
    of all. So it doesn't matter when, in merging, they are made.
    """
    while len(counts) > CATEGORIES:
        halvings += 1
        counts = {value: by_zeros[1:] for value, by_zeros in counts.items() if len(by_zeros) > 1}
    # In one order, so that equal statistics are equal bytes: most frequent first, then by name.
    ordered = sorted(counts.items(), key=lambda item: (-sum(item[1]), item[0]))
    return CategoricalStatistics(count=count, nulls=nulls, halvings=halvings, counts=dict(ordered))


def part_statistics(rows: pl.DataFrame, schema: DataSchema) -> Statistics:
    """Statistics of the rows of one part of the training rows.

    rows: columns as in a part, and `:shuffle` (key of each row). A behavior feature counts once per event of each
    row, as often as a model reads it. `count` is of values that are not null, `nulls` of the others.
    """
    keys = rows[SHUFFLE].to_numpy().astype(np.uint64)
    numeric: dict[str, NumericStatistics] = {}
    categorical: dict[str, CategoricalStatistics] = {}
    for prefix, features in (("context", schema.context), ("profile", schema.profile)):
        for name in features.numeric:
            numeric[f"{prefix}.{name}"] = numeric_statistics(rows[f"{prefix}.{name}"], keys)
        for name in features.categorical:
            categorical[f"{prefix}.{name}"] = categorical_statistics(rows[f"{prefix}.{name}"], keys)
    for sequence in schema.behaviors:
        prefix = f"behaviors.{sequence.name}"
        lengths = rows[length_column(sequence.name)].to_numpy()
        places = np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        event_keys = mixed(np.repeat(keys, lengths), places.astype(np.uint64))
        for name in sequence.numeric:
            numeric[f"{prefix}.{name}"] = numeric_statistics(_events(rows[f"{prefix}.{name}"]), event_keys)
        for name in sequence.categorical:
            categorical[f"{prefix}.{name}"] = categorical_statistics(_events(rows[f"{prefix}.{name}"]), event_keys)
    labels = {label.name: numeric_statistics(rows[label.name], keys) for label in schema.labels}
    return Statistics(rows=rows.height, numeric=numeric, categorical=categorical, labels=labels)


def _events(lists: pl.Series) -> pl.Series:
    return lists.explode(empty_as_null=False)


def numeric_statistics(values: pl.Series, keys: Keys) -> NumericStatistics:
    """Statistics of one column; `keys` is the key of each value."""
    present = values.is_not_null().to_numpy()
    numbers = (
        values.drop_nulls().cast(pl.Float64).to_numpy() + 0.0
    )  # −0.0 becomes 0.0: they are equal, their bits aren't
    order = np.lexsort((numbers, keys[present]))[:SAMPLE]
    return NumericStatistics(
        count=len(numbers),
        nulls=len(values) - len(numbers),
        minimum=float(numbers.min()) if len(numbers) else None,
        maximum=float(numbers.max()) if len(numbers) else None,
        moments=moments_of(numbers),
        sample=numbers[order].tolist(),
        sample_keys=keys[present][order].tolist(),
    )


def categorical_statistics(values: pl.Series, keys: Keys) -> CategoricalStatistics:
    """Statistics of one column; `keys` is the key of each value."""
    present = values.is_not_null().to_numpy()
    counted = (
        pl.DataFrame({"value": values.drop_nulls().cast(pl.String), "zeros": leading_zeros(keys[present])})
        .group_by("value", "zeros")
        .len("rows")
        .sort("value", "zeros")
    )
    halvings = 0
    while counted["value"].n_unique() > CATEGORIES:
        halvings += 1
        counted = counted.filter(pl.col("zeros") >= halvings)
    counts: dict[str, list[int]] = {}
    for value, zeros, rows in counted.iter_rows():
        by_zeros = counts.setdefault(value, [])
        by_zeros.extend([0] * (zeros - halvings - len(by_zeros)))
        by_zeros.append(rows)
    return _bounded(int(present.sum()), values.null_count(), halvings, counts)


def leading_zeros(keys: Keys) -> NDArray[np.int8]:
    """By how many zeros each key of 63 bits begins. Of uniform keys half begin with none, a quarter with one, …"""
    # Only the place of the first bit counts, and float64 would round a large key up to the next power of two.
    top = np.where(keys >= 1 << 32, keys >> np.uint64(31), keys)
    _, exponents = np.frexp(top.astype(np.float64))
    return (_HALVES - exponents - np.where(keys >= 1 << 32, 31, 0)).astype(np.int8)
