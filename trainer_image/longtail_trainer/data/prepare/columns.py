"""From the user's columns to the ones of prepared data: which are wanted, as what kind, and under what name."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

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
from longtail_trainer.data.tables import INSTANT, INSTANT_ROUNDED_UP, LABEL, NUMBER, TEXT, Table, Wanted
from longtail_trainer.data.tables.parquet_file import Holding

ROW = ":row"
"""Position of a row in its table, from 0; what messages call a row, and what keeps equal times in order."""


@dataclass(frozen=True)
class Rows:
    """Rows of one table with the column types of prepared data, not read yet. No value is checked yet."""

    table: Table
    wanted: Wanted
    finished: Callable[[pl.DataFrame], pl.DataFrame] = lambda batch: batch
    """What becomes of each batch."""
    holding: Holding | None = None

    def batches(self) -> Iterator[pl.DataFrame]:
        """In the table's order, numbered in the column `:row`."""
        begin = 0
        for batch in self.table.batches(self.wanted, self.holding):
            rows = self.finished(batch)
            yield rows.with_row_index(ROW, offset=begin)
            begin += rows.height

    def empty(self) -> pl.DataFrame:
        """No rows, with the columns of the batches."""
        columns = {name: kind.dtype for name, (_, kind) in self.wanted.items()}
        return self.finished(pl.DataFrame(schema=columns)).with_row_index(ROW)


def observed_label(declared: LabelColumn, labels: Mapping[str, LabelColumn]) -> pl.Expr:
    """The label, null where it doesn't count because the label it depends on isn't 1."""
    value, above, seen = pl.col(declared.name), declared.observed_when, {declared.name}
    while above is not None and above not in seen:
        value = pl.when(pl.col(above) == 1).then(value)
        seen.add(above)
        above = labels[above].observed_when
    return value


def features(columns: FeatureColumns, prefix: str) -> Wanted:
    """The features of one table, in the order of the schema, named `<prefix>.<name>`."""
    return {
        **{f"{prefix}.{name}": (name, TEXT) for name in columns.categorical},
        **{f"{prefix}.{name}": (name, NUMBER) for name in columns.numeric},
    }


def samples_rows(table: Table, schema: DataSchema, source_key: str) -> Rows:
    """The scenario's samples."""
    labels = {declared.name: declared for declared in schema.labels}
    split = [SPLIT] if schema.split.method == "column" else []
    weighted = WEIGHT in table.columns
    wanted: Wanted = {
        SCENARIO: (SCENARIO, TEXT),
        ENTITY: (ENTITY, TEXT),
        TIME: (TIME, INSTANT),
        **({WEIGHT: (WEIGHT, LABEL)} if weighted else {}),
        **{name: (name, LABEL) for name in labels},
        **{name: (name, TEXT) for name in split},
        **features(schema.context, "context"),
    }
    weight = pl.col(WEIGHT).fill_null(1.0) if weighted else pl.lit(1.0, pl.Float32).alias(WEIGHT)
    kept = [name for name in wanted if name not in (SCENARIO, ENTITY, TIME, WEIGHT, *labels)]

    def finished(batch: pl.DataFrame) -> pl.DataFrame:
        return batch.filter(pl.col(SCENARIO) == source_key).select(
            ENTITY,
            TIME,
            weight,
            *(observed_label(declared, labels).alias(name) for name, declared in labels.items()),
            *kept,
        )

    return Rows(table, wanted, finished, Holding(SCENARIO, source_key))


def profile_rows(table: Table, schema: DataSchema) -> Rows:
    """All rows of the profile table; with `time` where it has one (valid from), else they hold for all time."""
    # Rounded up, so that a row is never valid before its time.
    time: Wanted = {TIME: (TIME, INSTANT_ROUNDED_UP)} if TIME in table.columns else {}
    return Rows(table, {ENTITY: (ENTITY, TEXT), **time, **features(schema.profile, "profile")})


def event_rows(table: Table, sequence: BehaviorSequence) -> Rows:
    """All rows of a behavior table."""
    events = features(sequence, f"behaviors.{sequence.name}")
    return Rows(table, {ENTITY: (ENTITY, TEXT), TIME: (TIME, INSTANT), **events})
