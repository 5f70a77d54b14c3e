"""The samples of one bucket with everything they could know, as rows of a part."""

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from longtail_api.data_schema import ENTITY, TIME, WEIGHT, DataSchema, length_column
from longtail_trainer.data.prepare.columns import ROW
from longtail_trainer.data.prepare.joining import Histories, aligned, histories, latest_rows, listed, looked_up
from longtail_trainer.data.prepare.selection import Bucket


@dataclass(frozen=True)
class _Sequence:
    length: str
    """The column that says how many events each sample has."""
    features: pl.DataFrame
    found: Histories


def joined_rows(bucket: Bucket, schema: DataSchema, rows_at_once: int) -> Iterator[pl.DataFrame]:
    """The bucket's samples, joined, some rows at a time; columns as `longtail_api.store_objects.Manifest` says, and
    `:row`, the sample's row number."""
    samples = bucket.samples
    context = [name for name in samples.columns if name.startswith("context.")]
    base = samples.select(ROW, ENTITY, TIME, WEIGHT, *(label.name for label in schema.labels), *context)
    profile, known = None, None
    if bucket.profile is not None:
        profile = bucket.profile.drop(ROW, ENTITY, TIME, strict=False)
        known = latest_rows(aligned(samples, bucket.profile))
    sequences = [
        _Sequence(
            length=length_column(sequence.name),
            features=bucket.behaviors[sequence.name].drop(ROW, ENTITY, TIME),
            found=histories(aligned(samples, bucket.behaviors[sequence.name]), sequence.max_length),
        )
        for sequence in schema.behaviors
    ]
    for begin in range(0, samples.height, rows_at_once):
        end = min(samples.height, begin + rows_at_once)
        tables = [base[begin:end]]
        if profile is not None and known is not None:
            tables.append(looked_up(profile, known[begin:end]))
        for sequence in sequences:
            found = sequence.found.part(begin, end)
            if sequence.features.width:
                tables.append(listed(sequence.features, found))
            tables.append(pl.DataFrame({sequence.length: pl.Series(found.length, dtype=pl.Int32)}))
        yield pl.concat(tables, how="horizontal")


def values_of_a_row(schema: DataSchema) -> int:
    """Cells of a row, with all of its lists at their longest."""
    static = sum(len(table.categorical) + len(table.numeric) for table in (schema.context, schema.profile))
    events = sum(s.max_length * (len(s.categorical) + len(s.numeric)) for s in schema.behaviors)
    return 4 + len(schema.labels) + static + events
