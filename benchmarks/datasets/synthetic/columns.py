"""Arrays as columns of the tables."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.datasets.synthetic.arrays import Floats, Integers
from benchmarks.datasets.synthetic.calendar import START
from benchmarks.datasets.tables import UTC_TIME

NULL_SHARE = 0.03


def names(entities: Integers) -> pl.Series:
    return pl.select(pl.format("e{}", pl.Series(entities).cast(pl.String).str.zfill(8))).to_series().alias("entity")


def times(offsets: Integers) -> pl.Series:
    start = int(START.timestamp()) * 1_000_000
    return pl.Series("time", offsets + start).cast(pl.Datetime("us")).dt.replace_time_zone("UTC").cast(UTC_TIME)


def words(name: str, choices: tuple[str, ...], codes: Integers, absent: NDArray[np.bool_]) -> pl.Series:
    return pl.Series(name, choices).gather(pl.Series(np.where(absent, 0, codes))).set(pl.Series(absent), None)


def numbers(name: str, values: Floats, absent: NDArray[np.bool_]) -> pl.Series:
    return pl.Series(name, values).set(pl.Series(absent), None)
