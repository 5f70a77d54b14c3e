"""Mergeable statistics of training rows: of one part, and of two parts as if they had been one."""

import heapq
from collections.abc import Mapping

import numpy as np
import polars as pl

from longtail_api.data_schema import DataSchema
from longtail_api.store_objects import CategoricalStatistics, NumericStatistics, Statistics
from longtail_trainer.data.prepare.identity import Keys, mixed
from longtail_trainer.data.prepare.parts import SHUFFLE

SAMPLE = 1024
"""Values in a quantile sketch: the standard error of a median's rank is 1.6 %."""
CATEGORIES = 65_536
"""Values counted per categorical column. Counts are exact while a column has no more of them."""


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
    """Counts add up; of both samples, the values with the smallest keys stay (bottom-k)."""
    a, b = a or NumericStatistics(), b or NumericStatistics()
    pairs = heapq.nsmallest(SAMPLE, zip(a.sample_keys + b.sample_keys, a.sample + b.sample, strict=True))
    lows = [low for low in (a.minimum, b.minimum) if low is not None]
    highs = [high for high in (a.maximum, b.maximum) if high is not None]
    return NumericStatistics(
        count=a.count + b.count,
        nulls=a.nulls + b.nulls,
        minimum=min(lows, default=None),
        maximum=max(highs, default=None),
        sample=[value for _, value in pairs],
        sample_keys=[key for key, _ in pairs],
    )


def merge_categorical(a: CategoricalStatistics | None, b: CategoricalStatistics | None) -> CategoricalStatistics:
    """Counts add up; the most frequent values stay, of equally frequent ones the first by name."""
    a, b = a or CategoricalStatistics(), b or CategoricalStatistics()
    counts = dict(a.counts)
    for value, count in b.counts.items():
        counts[value] = counts.get(value, 0) + count
    return CategoricalStatistics(count=a.count + b.count, nulls=a.nulls + b.nulls, counts=most_frequent(counts))


def most_frequent(counts: Mapping[str, int]) -> dict[str, int]:
    """At most 65,536 values, most frequent first, then by name."""
    return dict(heapq.nsmallest(CATEGORIES, counts.items(), key=lambda item: (-item[1], item[0])))


def part_statistics(rows: pl.DataFrame, schema: DataSchema) -> Statistics:
    """Statistics of the rows of one part of the training rows.

    rows: columns as in a part, and `shuffle` (key of each row). A behavior feature counts once per event of each
    row, as often as a model reads it. `count` is of values that are not null, `nulls` of the others.
    """
    keys = rows[SHUFFLE].to_numpy().astype(np.uint64)
    numeric: dict[str, NumericStatistics] = {}
    categorical: dict[str, CategoricalStatistics] = {}
    for prefix, features in (("context", schema.context), ("profile", schema.profile)):
        for name in features.numeric:
            numeric[f"{prefix}.{name}"] = numeric_statistics(rows[f"{prefix}.{name}"], keys)
        for name in features.categorical:
            categorical[f"{prefix}.{name}"] = categorical_statistics(rows[f"{prefix}.{name}"])
    for sequence in schema.behaviors:
        prefix = f"behaviors.{sequence.name}"
        lengths = rows[f"{prefix}.length"].to_numpy()
        places = np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        event_keys = mixed(np.repeat(keys, lengths), places.astype(np.uint64))
        for name in sequence.numeric:
            numeric[f"{prefix}.{name}"] = numeric_statistics(_events(rows[f"{prefix}.{name}"]), event_keys)
        for name in sequence.categorical:
            categorical[f"{prefix}.{name}"] = categorical_statistics(_events(rows[f"{prefix}.{name}"]))
    labels = {label.name: numeric_statistics(rows[label.name], keys) for label in schema.labels}
    return Statistics(rows=rows.height, numeric=numeric, categorical=categorical, labels=labels)


def _events(lists: pl.Series) -> pl.Series:
    return lists.explode(empty_as_null=False)


def numeric_statistics(values: pl.Series, keys: Keys) -> NumericStatistics:
    """Statistics of one column; `keys` is the key of each value."""
    present = values.is_not_null().to_numpy()
    numbers = values.drop_nulls().cast(pl.Float64).to_numpy()
    order = np.lexsort((numbers, keys[present]))[:SAMPLE]
    return NumericStatistics(
        count=len(numbers),
        nulls=len(values) - len(numbers),
        minimum=float(numbers.min()) if len(numbers) else None,
        maximum=float(numbers.max()) if len(numbers) else None,
        sample=numbers[order].tolist(),
        sample_keys=keys[present][order].tolist(),
    )


def categorical_statistics(values: pl.Series) -> CategoricalStatistics:
    """Statistics of one column."""
    present = values.drop_nulls()
    counted = present.value_counts()
    counts = dict(zip(counted[values.name].to_list(), counted["count"].to_list(), strict=True))
    return CategoricalStatistics(count=len(present), nulls=values.null_count(), counts=most_frequent(counts))
