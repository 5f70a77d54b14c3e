"""What a timestamp of Parquet means, and as what integer of microseconds it is read."""

# pyarrow has no types of its own.
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownParameterType=false
# pyright: reportUnknownLambdaType=false, reportAttributeAccessIssue=false

import json
from typing import Any, Literal

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

MICROSECONDS = pl.Datetime("us", "UTC")
_PER_UNIT = {"s": 1_000_000, "ms": 1_000}
_LONGEST = 2**63 - 1
_SPARK = (b"org.apache.spark.version", b"org.apache.spark.sql.parquet.row.metadata")
_HIVE = b"writer.time.zone"
Rounding = Literal["down", "up"]


def instants_without_zone(metadata: pq.FileMetaData) -> frozenset[str]:
    """Columns that Arrow reads as timestamps without zone, and that are instants in UTC all the same.

    INT96, and the older annotation TIMESTAMP_MICROS or TIMESTAMP_MILLIS, say nothing of a zone. Spark and Hive write
    instants so, converted to UTC, and leave their marks in the file; of others (Impala, fastparquet) a time of the wall
    clock can't be told from an instant.
    """
    marks: dict[bytes, bytes] = metadata.metadata or {}
    if _HIVE not in marks and not any(mark in marks for mark in _SPARK):
        return frozenset()
    columns = (metadata.schema.column(position) for position in range(len(metadata.schema)))
    return frozenset(column.path for column in columns if is_int96(column) or _is_converted(column))


def is_int96(column: Any) -> bool:
    """column: of `FileMetaData.schema`."""
    return column.physical_type == "INT96"


def _is_converted(column: Any) -> bool:
    logical = json.loads(column.logical_type.to_json())
    return logical.get("Type") == "Timestamp" and bool(logical.get("is_from_converted_type"))


def read_instants(values: pa.Array, rounding: Rounding) -> pl.Series:
    """values: timestamps of any unit. In microseconds, UTC; what is further away than those reach ends where they do,
    so that a check still finds it. Nanoseconds are rounded as told."""
    unit = values.type.unit
    # Never as a timestamp: polars knows fewer zones than the writers of Parquet do, and not all values.
    whole = pl.Series(pl.from_arrow(values.view(pa.int64())))
    if unit in _PER_UNIT:
        factor = _PER_UNIT[unit]
        whole = whole.clip(-(_LONGEST // factor), _LONGEST // factor) * factor
    elif unit == "ns":
        whole = whole // 1000 if rounding == "down" else -((-whole) // 1000)
    return whole.cast(MICROSECONDS)
