"""The kinds of column that a schema knows, and which types of Parquet each is read from, without loss.

A file is judged by its own types, so that the files of one table may differ: what they hold is read as the one kind.
"""

# pyarrow has no types of its own.
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownParameterType=false
# pyright: reportUnknownLambdaType=false, reportAttributeAccessIssue=false

from dataclasses import dataclass
from typing import Protocol

import polars as pl
import pyarrow as pa
import pyarrow.types as types

from longtail_trainer.data.tables.instants import MICROSECONDS, Rounding, read_instants

_STRING: pl.DataType = pl.String()
_FLOAT: pl.DataType = pl.Float32()


class NotOfKind(ValueError):
    """A value is none of this kind."""


class Kind(Protocol):
    """What a column is read as."""

    @property
    def dtype(self) -> pl.DataType: ...

    @property
    def remedy(self) -> str:
        """What to do about a column of another type: `write it as numbers`."""
        ...

    def takes(self, found: pa.DataType, instant: bool) -> bool:
        """Whether a column of this type is read. `instant`: a timestamp without zone that is one all the same."""
        ...

    def read(self, values: pa.Array) -> pl.Series:
        """The values of a column that is taken, as `dtype`. Raises `pyarrow.ArrowInvalid` (text that isn't UTF-8)."""
        ...

    def parsed(self, value: str) -> str | float:
        """The value of a partition. Raises `NotOfKind`."""
        ...


def plain(found: pa.DataType) -> pa.DataType:
    """The type of the values themselves: without dictionary, without extension."""
    while True:
        if isinstance(found, pa.BaseExtensionType):
            found = found.storage_type
        elif types.is_dictionary(found):
            found = found.value_type
        else:
            return found


def plain_values(values: pa.Array) -> pa.Array:
    """The values themselves, of their plain type."""
    if isinstance(values, pa.ExtensionArray):
        values = values.storage
    if types.is_dictionary(values.type):
        values.dictionary.validate(full=True)
        values = values.dictionary_decode()
    return values


@dataclass(frozen=True)
class Text:
    """Keys and categories: strings, whole numbers by their digits, booleans as `true` and `false`.

    Bytes without annotation are read where they are UTF-8: so do older writers (Impala, Hive) write their strings.
    """

    dtype: pl.DataType = _STRING
    remedy: str = "write it as strings"

    def takes(self, found: pa.DataType, instant: bool) -> bool:
        of = plain(found)
        if isinstance(found, pa.BaseExtensionType) and types.is_fixed_size_binary(of):
            return False  # a UUID's bytes are no text
        return (
            types.is_integer(of)
            or types.is_boolean(of)
            or types.is_null(of)
            or types.is_string(of)
            or types.is_large_string(of)
            or types.is_string_view(of)
            or types.is_binary(of)
            or types.is_large_binary(of)
            or types.is_binary_view(of)
        )

    def read(self, values: pa.Array) -> pl.Series:
        values = plain_values(values)
        if not types.is_large_string(values.type):
            if types.is_string(values.type) or types.is_string_view(values.type):
                values.validate(full=True)  # a cast of one text to another looks at nothing
            values = values.cast(pa.large_string())
        else:
            values.validate(full=True)
        return pl.Series(pl.from_arrow(values)).cast(self.dtype)

    def parsed(self, value: str) -> str | float:
        return value


@dataclass(frozen=True)
class Number:
    """float32, as a served model reads it: of any number or boolean."""

    finite: bool
    """Whether what is neither NaN nor finite is null, as in a feature; else NaN alone is, as in a label: some writers
    know no other null."""
    dtype: pl.DataType = _FLOAT
    remedy: str = "write it as numbers"

    def takes(self, found: pa.DataType, instant: bool) -> bool:
        of = plain(found)
        return (
            types.is_integer(of)
            or types.is_floating(of)
            or types.is_decimal(of)
            or types.is_boolean(of)
            or types.is_null(of)
        )

    def read(self, values: pa.Array) -> pl.Series:
        values = plain_values(values)
        if types.is_decimal(values.type):
            values = values.cast(pa.float64())
        elif types.is_float16(values.type):
            values = values.cast(pa.float32())
        return self._counted(pl.Series(pl.from_arrow(values)).cast(self.dtype))

    def parsed(self, value: str) -> str | float:
        if value in ("true", "false"):
            return float(value == "true")
        try:
            number = float(value)
        except ValueError as error:
            raise NotOfKind(value) from error
        if "_" in value or value != value.strip():  # Python's numbers, nobody else's
            raise NotOfKind(value)
        return number

    def _counted(self, values: pl.Series) -> pl.Series:
        if not self.finite:
            return values.fill_nan(None)
        return values.set(~values.is_finite(), None)


@dataclass(frozen=True)
class Instant:
    """A time in microseconds, UTC, of a timestamp with any unit and any zone."""

    rounding: Rounding
    dtype: pl.DataType = MICROSECONDS
    remedy: str = "write it as a timestamp in UTC"

    def takes(self, found: pa.DataType, instant: bool) -> bool:
        of = plain(found)
        return types.is_timestamp(of) and (of.tz is not None or instant)

    def read(self, values: pa.Array) -> pl.Series:
        return read_instants(plain_values(values), self.rounding)

    def parsed(self, value: str) -> str | float:
        raise NotOfKind(value)


TEXT = Text()
NUMBER = Number(finite=True)
LABEL = Number(finite=False)
INSTANT = Instant("down")
INSTANT_ROUNDED_UP = Instant("up")
"""For what is known from a time on: never a part of a microsecond before it."""


def constant(kind: Kind, value: str | None, rows: int) -> pl.Series:
    """A partition's value in every row. Raises `NotOfKind`."""
    one = pa.nulls(1) if value is None else pa.array([kind.parsed(value)])
    return kind.read(one).new_from_index(0, rows)
