"""One Parquet file: what its footer says, and its rows in batches.

The file's bytes are read through an object that keeps the error of the place they come from: what is raised while that
has none is a fault of the content, whatever its words are.
"""

# pyarrow has no types of its own.
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownParameterType=false
# pyright: reportUnknownLambdaType=false, reportAttributeAccessIssue=false

import io
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.types as types

from longtail_store import ForeignFile, Place
from longtail_trainer.data.tables.instants import instants_without_zone, is_int96
from longtail_trainer.data.tables.kinds import Kind, plain
from longtail_trainer.data.tables.listing import SUFFIXES
from longtail_trainer.running.errors import DataInvalid, Retryable

BATCH_ROWS = 65_536
_WHOLE_GROUP_BYTES = 64 << 20
"""A row group whose wanted columns are stored in no more than this is fetched in a few large requests; a larger one,
as it is decoded."""
_STREAM_BYTES = 4 << 20
_MAGIC = b"PAR1"


@dataclass(frozen=True)
class FileSchema:
    """The columns of one file."""

    types: Mapping[str, pa.DataType]
    repeated: frozenset[str]
    """Names that more than one column has."""
    int96: frozenset[str]
    instants: frozenset[str]
    """Timestamps without zone that are instants all the same."""

    def described(self, column: str) -> str:
        """The column's type in words."""
        if column in self.int96:
            return "INT96"
        values = str(plain(self.types[column])).removeprefix("large_").removesuffix("_view")
        return f"a dictionary of {values}" if types.is_dictionary(self.types[column]) else values


@dataclass(frozen=True)
class Holding:
    """Only rows in which this column has this value are wanted: what surely has none isn't read."""

    column: str
    value: str


class _Bytes(io.RawIOBase):
    """The file as pyarrow wants it. Keeps what its place raised."""

    def __init__(self, where: str, place: Place, file: ForeignFile) -> None:
        super().__init__()
        self._where = where
        self._place = place
        self._file = file
        self._position = 0
        self.failure: Exception | None = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._position = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._file.size}[whence]
        return self._position

    def read(self, size: int = -1) -> bytes:
        stop = self._file.size if size < 0 else min(self._file.size, self._position + size)
        if stop <= self._position:
            return b""
        try:
            data = self._place.read(self._file.path, self._position, stop)
            if len(data) < stop - self._position:
                raise Retryable(
                    f"{self._where} is shorter than it was when the table's files were listed; write tables while "
                    "nobody reads them",
                    reason="TableChanged",
                )
        except Exception as error:
            self.failure = error
            raise
        self._position += len(data)
        return data


class ParquetReader:
    """An open file. `where` names the file in messages."""

    def __init__(self, where: str, place: Place, file: ForeignFile) -> None:
        self.where = where
        self._bytes = _Bytes(where, place, file)
        with self._content("can't be read as a Parquet table"):
            if file.path and not file.path.endswith(SUFFIXES) and self._bytes.read(len(_MAGIC)) != _MAGIC:
                raise _NoParquet
            self._footer = pq.ParquetFile(
                self._bytes, coerce_int96_timestamp_unit="us", buffer_size=_STREAM_BYTES, pre_buffer=False
            )
            self._metadata = self._footer.metadata
            self._whole = pq.ParquetFile(
                self._bytes, metadata=self._metadata, coerce_int96_timestamp_unit="us", pre_buffer=True
            )

    def schema(self) -> FileSchema:
        with self._content("can't be read as a Parquet table"):
            arrow = self._footer.schema_arrow
            names = arrow.names
            columns = [self._metadata.schema.column(position) for position in range(len(self._metadata.schema))]
            return FileSchema(
                types={name: arrow.field(position).type for position, name in enumerate(names)},
                repeated=frozenset(name for name in names if names.count(name) > 1),
                int96=frozenset(column.path for column in columns if is_int96(column)),
                instants=instants_without_zone(self._metadata),
            )

    def batches(self, wanted: Mapping[str, tuple[str, Kind]], holding: Holding | None) -> Iterator[pl.DataFrame]:
        """The rows in the file's order: of each name in `wanted`, the file's column as the kind that stands there."""
        columns = list(dict.fromkeys(column for column, _ in wanted.values()))
        for group in range(self._metadata.num_row_groups):
            if holding is not None and not self._may_hold(group, holding):
                continue
            for batch in self._decoded(group, columns):
                yield pl.DataFrame(
                    [self._read(batch, column, kind).alias(name) for name, (column, kind) in wanted.items()]
                )

    def counts(self) -> Iterator[int]:
        """Rows in pieces of a batch at most, for a file of which no column is wanted."""
        rows = int(self._metadata.num_rows)
        for begin in range(0, rows, BATCH_ROWS):
            yield min(BATCH_ROWS, rows - begin)

    def _decoded(self, group: int, columns: list[str]) -> Iterator[pa.RecordBatch]:
        whole = self._stored_bytes(group, columns) <= _WHOLE_GROUP_BYTES
        reader = self._whole if whole else self._footer
        batches = reader.iter_batches(BATCH_ROWS, row_groups=[group], columns=columns)
        while True:
            try:
                with self._content("can't be read"):
                    batch = next(batches, None)
            except DataInvalid as error:
                raise self._with_column(error, group, columns) from error
            if batch is None:
                return
            yield batch

    def _read(self, batch: pa.RecordBatch, column: str, kind: Kind) -> pl.Series:
        with self._content(f"column {column!r} can't be read"):
            return kind.read(batch.column(batch.schema.get_field_index(column)))

    def _stored_bytes(self, group: int, columns: Sequence[str]) -> int:
        stored = self._metadata.row_group(group)
        chunks = (stored.column(position) for position in range(stored.num_columns))
        return sum(chunk.total_compressed_size for chunk in chunks if chunk.path_in_schema in columns)

    def _may_hold(self, group: int, holding: Holding) -> bool:
        stored = self._metadata.row_group(group)
        for position in range(stored.num_columns):
            chunk = stored.column(position)
            if chunk.path_in_schema == holding.column and chunk.is_stats_set:
                statistics = chunk.statistics
                # Only of strings is their order, in which least and greatest are meant, the one of `value`.
                if statistics.has_min_max and isinstance(statistics.min, str):
                    return statistics.min <= holding.value <= statistics.max
        return True

    def _with_column(self, error: DataInvalid, group: int, columns: list[str]) -> DataInvalid:
        """The same error, naming the first column that can't be read by itself."""
        for column in columns:
            batches = self._footer.iter_batches(BATCH_ROWS, row_groups=[group], columns=[column])
            try:
                with self._content(f"column {column!r} can't be read"):
                    for _ in batches:
                        pass
            except DataInvalid as found:
                return found
        return error

    @contextmanager
    def _content(self, fault: str) -> Generator[None]:
        """For calls of pyarrow and polars alone: what they raise is the place's error, or a fault of this file."""
        try:
            yield
        except _NoParquet as error:
            raise DataInvalid(
                f"{self.where} is no Parquet file, and lies where a table's files do; move it elsewhere, or begin its "
                "name with _ or ."
            ) from error
        # A panic of polars is no Exception.
        except (Exception, pl.exceptions.PanicException) as error:
            if self._bytes.failure is not None:
                raise self._bytes.failure from error
            words = (str(error).partition("\n")[0] or type(error).__name__)[:200]
            raise DataInvalid(f"{self.where} {fault} ({words}); write it anew") from error


class _NoParquet(Exception):
    """The file doesn't begin as Parquet does."""
