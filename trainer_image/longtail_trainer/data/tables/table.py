"""A table of the user's: its files found, judged, and read as one."""

from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import polars as pl

from longtail_api.run_config import StoreAddress
from longtail_store import BucketMissing, ObjectMissing, Place, StoreError, open_place
from longtail_trainer.data.tables.agreement import Inspected, TableFile, Wanted, check_agreement
from longtail_trainer.data.tables.ahead import one_ahead, places
from longtail_trainer.data.tables.kinds import Kind, constant
from longtail_trainer.data.tables.listing import table_files
from longtail_trainer.data.tables.parquet_file import FileSchema, Holding, ParquetReader
from longtail_trainer.data.tables.partitions import check_alike, partitions_of
from longtail_trainer.running.errors import DataInvalid, Retryable, trainer_error

__all__ = ["Table", "Wanted", "open_table"]
_FOOTERS_AT_ONCE = 16


@dataclass(frozen=True)
class Table:
    """One of the user's tables, its files listed and its first footer read."""

    name: str
    """`samples`, `profile` or `behaviors/<sequence>`, as messages call it."""
    uri: str
    files: Sequence[TableFile]
    """By path, which is the order of the table."""
    first: Inspected
    place: Place

    @property
    def where(self) -> str:
        """How messages name this table."""
        return f"{self.name} ({self.uri})"

    @property
    def columns(self) -> list[str]:
        """Those of the files, then the partitions."""
        return list(dict.fromkeys([*self.first.schema.types, *self.first.file.partitions]))

    def column(self, name: str) -> str:
        """How messages name a column of this table."""
        return f"{self.where}: column {name!r}"

    def type_of(self, column: str) -> str:
        """The type that the column has in the table's first file."""
        return self.first.described(column)

    def require(self, columns: Iterable[str]) -> None:
        """Raise `DataInvalid` naming every column that the table lacks."""
        absent = [column for column in columns if not self.first.has(column)]
        if absent:
            raise DataInvalid(
                f"{self.where}: no column {', '.join(map(repr, absent))}; "
                f"it has {', '.join(self.columns) or 'none'}; add what is missing or correct the schema"
            )

    def batches(self, wanted: Wanted, holding: Holding | None = None) -> Iterator[pl.DataFrame]:
        """All rows in the table's order, some tens of thousands at a time; columns are named as in `wanted`.

        With `holding`, files and row groups that surely have no such row are left out; of the others all rows come.
        Raises `DataInvalid` naming file and column where a file can't be used, `ConfigInvalid` and `Retryable` where
        the place can't be read.
        """
        self.require(column for column, _ in wanted.values())
        files = [file for file in self.files if holding is None or _may_hold(file, holding)]
        check_agreement(self.where, self._inspected(files), wanted)
        yield from one_ahead(self._all_rows(files, wanted, holding))

    def values(self, column: str, kind: Kind) -> Iterator[pl.Series]:
        """The values of one column, batch by batch; of a partition, one for each file."""
        if column in self.first.file.partitions and column not in self.first.schema.types:
            yield from (constant(kind, file.partitions[column], 1) for file in self.files)
        else:
            yield from (batch[column] for batch in self.batches({column: (column, kind)}))

    def _inspected(self, files: Sequence[TableFile]) -> list[Inspected]:
        with reaching(self.where), ThreadPoolExecutor(_FOOTERS_AT_ONCE) as pool:
            return list(pool.map(self._one_inspected, files))

    def _one_inspected(self, file: TableFile) -> Inspected:
        return self.first if file is self.first.file else inspected(self.where, self.place, file)

    def _all_rows(self, files: Sequence[TableFile], wanted: Wanted, holding: Holding | None) -> Iterator[pl.DataFrame]:
        with reaching(self.where):
            for file, place in places(self.place, files):
                reader = ParquetReader(_file_named(self.where, file), place, file.file)
                yield from self._rows(reader, file, wanted, holding)

    def _rows(
        self, reader: ParquetReader, file: TableFile, wanted: Wanted, holding: Holding | None
    ) -> Iterator[pl.DataFrame]:
        schema = reader.schema()
        inside = {name: pair for name, pair in wanted.items() if pair[0] in schema.types}
        if inside:
            for batch in reader.batches(inside, holding):
                self._check_partitions(file, batch, inside)
                yield _completed(batch, file, wanted)
        else:
            for rows in reader.counts():
                yield _completed(pl.DataFrame(height=rows), file, wanted)

    def _check_partitions(self, file: TableFile, batch: pl.DataFrame, inside: Wanted) -> None:
        """A column that is in the files and a partition as well must say the same."""
        for name, (column, kind) in inside.items():
            if column in file.partitions:
                given = constant(kind, file.partitions[column], batch.height)
                if not batch[name].eq_missing(given).all():
                    raise DataInvalid(
                        f"{self.column(column)} of {file.file.path} has other values than the partition it lies in; "
                        "write the file anew without it"
                    )


def _completed(batch: pl.DataFrame, file: TableFile, wanted: Wanted) -> pl.DataFrame:
    """With the columns that only the folders' names give."""
    missing = [
        constant(kind, file.partitions[column], batch.height).alias(name)
        for name, (column, kind) in wanted.items()
        if name not in batch.columns
    ]
    return batch.with_columns(missing).select(wanted.keys())


def _may_hold(file: TableFile, holding: Holding) -> bool:
    return holding.column not in file.partitions or file.partitions[holding.column] == holding.value


def open_table(name: str, uri: str, address: StoreAddress) -> Table:
    """The table at `uri`. Raises `DataInvalid` where there is none or none that can be read, `ConfigInvalid` where it
    may not be read."""
    where = f"{name} ({uri})"
    try:
        with reaching(where):
            place = open_place(uri, address)
            found = table_files(where, place.files())
    except Retryable as error:
        if isinstance(error.__cause__, ObjectMissing):
            raise DataInvalid(f"{where}: no Parquet file there; write the table or correct the URI") from error
        raise
    files = [TableFile(file, partitions_of(where, file.path)) for file in found]
    check_alike(where, [(file.file.path, file.partitions) for file in files])
    with reaching(where):
        return Table(name, uri, files, inspected(where, place, files[0]), place)


def inspected(where: str, place: Place, file: TableFile) -> Inspected:
    """The file with its footer read."""
    schema: FileSchema = ParquetReader(_file_named(where, file), place, file.file).schema()
    return Inspected(file, schema)


def _file_named(where: str, file: TableFile) -> str:
    return f"{where}: {file.file.path}" if file.file.path else f"{where}:"


@contextmanager
def reaching(where: str) -> Generator[None]:
    """An error of the place, naming the table, for the one who must act."""
    try:
        yield
    except ObjectMissing as error:
        raise Retryable(f"{where}: a file went while the table was read ({error})", reason="TableChanged") from error
    except BucketMissing as error:
        # Where a table lies is the spec's word, unlike where the store does: nothing around it will mend that.
        raise DataInvalid(f"{where}: {error}; write the table or correct the URI", reason="BucketMissing") from error
    except StoreError as error:
        known = trainer_error(error)
        raise type(known)(f"{where}: {known.message}", reason=known.reason) from error
