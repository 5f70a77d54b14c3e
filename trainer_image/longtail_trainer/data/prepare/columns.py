"""From the user's column types to the ones of prepared data: checked by type first, then cast lazily."""

from collections.abc import Iterable, Mapping
from typing import Literal

import polars as pl

from longtail_api.data_schema import (
    ENTITY,
    SCENARIO,
    SPLIT,
    TIME,
    WEIGHT,
    BehaviorSequence,
    DataSchema,
    FeatureColumns,
    LabelColumn,
)
from longtail_trainer.data.prepare.tables import Table
from longtail_trainer.running.errors import DataInvalid

INSTANT = pl.Datetime("us", "UTC")
ROW = ":row"
"""Position of a row in its table, from 0; what messages call a row, and what keeps equal times in order."""


def require(table: Table, columns: Iterable[str]) -> None:
    """Raise `DataInvalid` naming every column that the table lacks."""
    absent = [column for column in columns if column not in table.schema]
    if absent:
        raise DataInvalid(
            f"{table.name} ({table.uri}): no column {', '.join(map(repr, absent))}; "
            f"it has {', '.join(table.schema) or 'none'}; add what is missing or correct the schema"
        )


def text(table: Table, column: str) -> pl.Expr:
    """A key or a categorical feature as a string."""
    dtype = table.schema[column]
    if not (dtype.is_integer() or isinstance(dtype, pl.String | pl.Categorical | pl.Enum | pl.Boolean | pl.Null)):
        raise DataInvalid(f"{table.column(column)} is {dtype}; write it as strings")
    return pl.col(column).cast(pl.String)


def number(table: Table, column: str) -> pl.Expr:
    """A numeric feature as float32, as a served model reads it; what is not finite is null."""
    value = _float(table, column, pl.Float32())
    return pl.when(value.is_finite()).then(value)


def label(table: Table, column: str) -> pl.Expr:
    """A label or weight as float32; NaN is null, as some writers of Parquet know no other."""
    return _float(table, column, pl.Float32()).fill_nan(None)


def observed_label(table: Table, declared: LabelColumn, labels: Mapping[str, LabelColumn]) -> pl.Expr:
    """The label, null where it doesn't count because the label it depends on isn't 1."""
    value, above, seen = label(table, declared.name), declared.observed_when, {declared.name}
    while above is not None and above not in seen:
        value = pl.when(label(table, above) == 1).then(value)
        seen.add(above)
        above = labels[above].observed_when
    return value


def _float(table: Table, column: str, to: pl.DataType) -> pl.Expr:
    dtype = table.schema[column]
    if not (dtype.is_numeric() or isinstance(dtype, pl.Boolean | pl.Null)):
        raise DataInvalid(f"{table.column(column)} is {dtype}; write it as numbers")
    return pl.col(column).cast(to)


def instant(table: Table, column: str, rounding: Literal["down", "up"] = "down") -> pl.Expr:
    """A time in microseconds, UTC. Nanoseconds are rounded to where no sample can see what is later than it."""
    dtype = table.schema[column]
    if not isinstance(dtype, pl.Datetime):
        raise DataInvalid(f"{table.column(column)} is {dtype}; write it as a timestamp in UTC")
    if dtype.time_zone is None:
        raise DataInvalid(
            f"{table.column(column)} is a timestamp without time zone; convert it to UTC and write it as one"
        )
    if dtype.time_unit == "ns" and rounding == "up":
        return (-((-pl.col(column).to_physical()) // 1000)).cast(INSTANT)
    return pl.col(column).dt.convert_time_zone("UTC").dt.cast_time_unit("us")


def features(table: Table, columns: FeatureColumns, prefix: str) -> list[pl.Expr]:
    """The features of one table, in the order of the schema, named `<prefix>.<name>`."""
    return [
        *(text(table, name).alias(f"{prefix}.{name}") for name in columns.categorical),
        *(number(table, name).alias(f"{prefix}.{name}") for name in columns.numeric),
    ]


def samples_rows(table: Table, schema: DataSchema, source_key: str) -> pl.LazyFrame:
    """The scenario's samples with the column types of prepared data. Labels and keys are not checked by value yet."""
    labels = {declared.name: declared for declared in schema.labels}
    split = [SPLIT] if schema.split.method == "column" else []
    require(table, [SCENARIO, ENTITY, TIME, *labels, *schema.context.categorical, *schema.context.numeric, *split])
    text(table, SCENARIO)  # checks the type; the filter below stays on the bare column, so that partitions are pruned
    key = pl.col(SCENARIO) if table.schema[SCENARIO] == pl.String else pl.col(SCENARIO).cast(pl.String)
    weight = label(table, WEIGHT).fill_null(1.0) if WEIGHT in table.schema else pl.lit(1.0, pl.Float32)
    return (
        table.rows.filter(key == source_key)
        .select(
            text(table, ENTITY).alias(ENTITY),
            instant(table, TIME).alias(TIME),
            weight.alias(WEIGHT),
            *(observed_label(table, declared, labels).alias(name) for name, declared in labels.items()),
            *(text(table, name).alias(name) for name in split),
            *features(table, schema.context, "context"),
        )
        .with_row_index(ROW)
    )


def profile_rows(table: Table, schema: DataSchema) -> pl.LazyFrame:
    """All rows of the profile table; with `time` where it has one (valid from), else they hold for all time."""
    require(table, [ENTITY, *schema.profile.categorical, *schema.profile.numeric])
    # Rounded up, so that a row is never valid before its time.
    time = [instant(table, TIME, rounding="up").alias(TIME)] if TIME in table.schema else []
    keys = [text(table, ENTITY).alias(ENTITY), *time]
    return table.rows.select(*keys, *features(table, schema.profile, "profile")).with_row_index(ROW)


def event_rows(table: Table, sequence: BehaviorSequence) -> pl.LazyFrame:
    """All rows of a behavior table."""
    require(table, [ENTITY, TIME, *sequence.categorical, *sequence.numeric])
    keys = [text(table, ENTITY).alias(ENTITY), instant(table, TIME).alias(TIME)]
    return table.rows.select(*keys, *features(table, sequence, f"behaviors.{sequence.name}")).with_row_index(ROW)
