"""What the values of the tables must be. Each flaw names table, column, the first rows, and the remedy."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import polars as pl

from longtail_api.data_schema import ENTITY, SPLIT, TIME, WEIGHT, DataSchema
from longtail_trainer.data.prepare.columns import ROW
from longtail_trainer.data.tables import Table
from longtail_trainer.running.errors import DataInvalid

SPLIT_VALUES = ("train", "validation", "test")
NAMED_ROWS = 5
CLOCK_SKEW = timedelta(days=1)


@dataclass(frozen=True)
class Flaw:
    """Something a row may not be."""

    column: str
    words: str
    """What so many rows are: `null`, `before 1970`."""
    remedy: str
    broken: pl.Expr
    """True in a row that has the flaw; null counts as false."""


def key_flaws(now: datetime, timed: bool = True) -> list[Flaw]:
    """Flaws of the columns `entity` and `time`, which every table has."""
    entity = [
        Flaw(ENTITY, "null or empty", "give every row its entity", pl.col(ENTITY).is_null() | (pl.col(ENTITY) == ""))
    ]
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    time = [
        Flaw(TIME, "null", "give every row its time", pl.col(TIME).is_null()),
        Flaw(TIME, "before 1970", "correct the unit of the timestamps", pl.col(TIME) < epoch),
        Flaw(TIME, "in the future", "correct the timestamps or their time zone", pl.col(TIME) > now + CLOCK_SKEW),
    ]
    return [*entity, *time] if timed else entity


def sample_flaws(schema: DataSchema, now: datetime) -> list[Flaw]:
    """Flaws of a samples table."""
    flaws = key_flaws(now)
    for label in schema.labels:
        value = pl.col(label.name)
        if label.type == "binary":
            remedy = "write 0 or 1, or null where it was not observed"
            flaws.append(Flaw(label.name, "neither 0 nor 1", remedy, (value != 0) & (value != 1)))
        else:
            flaws.append(Flaw(label.name, "infinite", "write a number, or null", value.is_infinite()))
    weight = pl.col(WEIGHT)
    flaws.append(Flaw(WEIGHT, "negative or infinite", "write weights of 0 or more", (weight < 0) | ~weight.is_finite()))
    if schema.split.method == "column":
        value = pl.col(SPLIT)
        remedy = "write train, validation or test"
        flaws.append(Flaw(SPLIT, "none of these", remedy, value.is_null() | ~value.is_in(SPLIT_VALUES)))
    return flaws


def check_rows(table: Table, rows: pl.LazyFrame, flaws: Sequence[Flaw], of: str = "") -> None:
    """Raise `DataInvalid` for the first flaw that any row has. `rows` has the column `:row`."""
    counts = rows.select(
        flaw.broken.fill_null(False).sum().alias(str(number)) for number, flaw in enumerate(flaws)
    ).collect(engine="streaming")
    for number, flaw in enumerate(flaws):
        count = int(counts[str(number)][0])
        if count:
            found = rows.filter(flaw.broken).select(ROW).head(NAMED_ROWS).collect(engine="streaming")[ROW].sort()
            raise DataInvalid(
                f"{table.column(flaw.column)} is {flaw.words} in {counted_rows(count, found.to_list(), of)}; "
                f"{flaw.remedy}"
            )


def counted_rows(count: int, first: Sequence[int], of: str = "") -> str:
    """`3 rows (17, 90, 411, counted from 0)`."""
    more = ", …" if count > len(first) else ""
    return f"{count} {'row' if count == 1 else 'rows'}{of} ({', '.join(map(str, first))}{more}, counted from 0)"
