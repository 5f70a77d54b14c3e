"""Which types of which writers are read: the table in docs/data.md, made of files that are written here.

    python -m tests.trainer.parquet_matrix

writes it anew. pandas, Arrow, polars, DuckDB and fastparquet write their files themselves. Of Spark, Hive and Impala
there are files of Arrow's with their types and marks, and with their `created_by`.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import fastparquet
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from longtail_api.run_config import StoreAddress
from longtail_trainer.data.tables import INSTANT, NUMBER, TEXT, Kind, open_table
from longtail_trainer.running.errors import DataInvalid

DOCS = Path(__file__).parents[2] / "docs" / "data.md"
BEGIN, END = "<!-- made by tests/trainer/parquet_matrix.py -->", "<!-- end -->"
COLUMN = "value"
NO_SUCH_TYPE = "–"

Write = Callable[[pa.Table, Path], None]


def _created_by(path: Path, writer: str) -> None:
    """Put another writer's name into the footer, over Arrow's own: as long as that, so that all else stays in place."""
    own = str(pq.read_metadata(path).created_by).encode()
    path.write_bytes(path.read_bytes().replace(own, writer.encode().ljust(len(own))[: len(own)]))


def _marked(created_by: str, marks: dict[str, str]) -> Write:
    """As the writers of Hadoop: INT96 for an instant, nothing of Arrow's schema, their marks."""

    def write(rows: pa.Table, path: Path) -> None:
        kind = rows.schema.field(COLUMN).type
        instant = pa.types.is_timestamp(kind) and kind.tz is not None
        if instant:
            rows = pa.table({COLUMN: rows[COLUMN].cast(pa.timestamp(kind.unit, "UTC")).cast(pa.timestamp(kind.unit))})
        with pq.ParquetWriter(path, rows.schema, use_deprecated_int96_timestamps=instant, store_schema=False) as file:
            file.write_table(rows)
            file.add_key_value_metadata(marks)
        _created_by(path, created_by)

    return write


def _duckdb(rows: pa.Table, path: Path) -> None:
    with duckdb.connect() as connection:
        connection.register("given", rows)
        connection.execute(f"COPY (SELECT * FROM given) TO '{path}' (FORMAT parquet)")


def _impala(rows: pa.Table, path: Path) -> None:
    if pa.types.is_string(rows.schema.field(COLUMN).type):
        rows = rows.cast(pa.schema([(COLUMN, pa.binary())]))  # it annotates strings only where it is told to
    _marked("impala version 4.4.0", {})(rows, path)


WRITERS: dict[str, Write] = {
    "pandas": lambda rows, path: rows.to_pandas().to_parquet(path, engine="pyarrow"),
    "Arrow": lambda rows, path: pq.write_table(rows, path),
    "polars": lambda rows, path: pl.DataFrame(pl.from_arrow(rows)).write_parquet(path),
    "DuckDB": _duckdb,
    "fastparquet": lambda rows, path: fastparquet.write(str(path), rows.to_pandas()),
    "Spark*": _marked("parquet-mr version 1.13.1", {"org.apache.spark.version": "3.5.1"}),
    "Hive*": _marked("parquet-mr version 1.13.1", {"writer.time.zone": "America/Los_Angeles"}),
    "Impala*": _impala,
}


@dataclass(frozen=True)
class Row:
    """Values of one type, and what they are to be read as."""

    kind: Kind
    values: pa.Array
    expected: list[Any]


_WHEN = [datetime(2024, 1, 1, 12, 30, tzinfo=UTC), None, datetime(2024, 6, 30, 23, 59, 59, tzinfo=UTC)]
_WORDS = ["a", None, "東京"]
_NUMBERS = [1.0, None, 3.0]


def _numbers(of: pa.DataType) -> Row:
    return Row(NUMBER, pa.array([1, None, 3]).cast(of), list(_NUMBERS))


def _instants(unit: str, zone: str | None) -> Row:
    return Row(INSTANT, pa.array(_WHEN, pa.timestamp("us", "UTC")).cast(pa.timestamp(unit, zone)), list(_WHEN))


ROWS: dict[str, Row] = {
    "string": Row(TEXT, pa.array(_WORDS), _WORDS),
    "dictionary of strings": Row(TEXT, pa.array(_WORDS).dictionary_encode(), _WORDS),
    "bytes that are UTF-8": Row(TEXT, pa.array(_WORDS).cast(pa.binary()), _WORDS),
    "whole numbers as text": Row(TEXT, pa.array([7, 8, -9]), ["7", "8", "-9"]),
    "booleans as text": Row(TEXT, pa.array([True, False, True]), ["true", "false", "true"]),
    "int8": _numbers(pa.int8()),
    "int32": _numbers(pa.int32()),
    "int64": _numbers(pa.int64()),
    "uint64": _numbers(pa.uint64()),
    "float": _numbers(pa.float32()),
    "double": _numbers(pa.float64()),
    "decimal(10, 2)": Row(NUMBER, pa.array([Decimal("1.00"), None, Decimal("3.00")], pa.decimal128(10, 2)), _NUMBERS),
    "boolean": Row(NUMBER, pa.array([True, None, False]), [1.0, None, 0.0]),
    "string as a number": Row(NUMBER, pa.array(["1", None, "3"]), _NUMBERS),
    "timestamp, ms, UTC": _instants("ms", "UTC"),
    "timestamp, µs, UTC": _instants("us", "UTC"),
    "timestamp, ns, UTC": _instants("ns", "UTC"),
    "timestamp, µs, America/Lima": _instants("us", "America/Lima"),
    "timestamp, µs, +05:30": _instants("us", "+05:30"),
    "timestamp, µs, no zone": Row(INSTANT, pa.array([w and w.replace(tzinfo=None) for w in _WHEN]), _WHEN),
    "date": Row(INSTANT, pa.array([w and w.date() for w in _WHEN]), _WHEN),
}


def cell(writer: str, of: str, folder: Path) -> tuple[str, str]:
    """What becomes of this type by this writer, `read` or `refused`, and what is then said.

    Raises `AssertionError` where other values are read than were written.
    """
    row, path = ROWS[of], folder / "part.parquet"
    path.unlink(missing_ok=True)
    try:
        WRITERS[writer](pa.table({COLUMN: row.values}), path)
    except (Exception, pl.exceptions.PanicException):  # the writer has no such type; polars panics over some zones
        return NO_SUCH_TYPE, ""
    try:
        table = open_table("samples", folder.as_uri(), StoreAddress(uri=folder.as_uri()))
        found = [value for batch in table.values(COLUMN, row.kind) for value in batch]
    except DataInvalid as error:
        return "refused", error.message
    if found != row.expected:
        raise AssertionError(f"{of} by {writer}: {found} was read, and {row.expected} written")
    return "read", ""


def matrix(folder: Path) -> str:
    """The table, in Markdown."""
    lines = ["| type | " + " | ".join(WRITERS) + " |", "|---" * (len(WRITERS) + 1) + "|"]
    for of in ROWS:
        lines.append(f"| {of} | " + " | ".join(cell(writer, of, folder)[0] for writer in WRITERS) + " |")
    return "\n".join(lines)


def with_matrix(docs: str, table: str) -> str:
    """The page with this table in its place."""
    before, rest = docs.split(BEGIN)
    return f"{before}{BEGIN}\n{table}\n{END}{rest.split(END)[1]}"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        DOCS.write_text(with_matrix(DOCS.read_text(), matrix(Path(scratch))))
