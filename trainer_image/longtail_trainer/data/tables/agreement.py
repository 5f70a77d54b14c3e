"""Whether the files of a table agree on the columns that are wanted, each by its own types. Pure."""

# pyarrow has no types of its own.
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownParameterType=false
# pyright: reportUnknownLambdaType=false, reportAttributeAccessIssue=false

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.types as types

from longtail_store import ForeignFile
from longtail_trainer.data.tables.kinds import Instant, Kind, NotOfKind, plain
from longtail_trainer.data.tables.parquet_file import FileSchema
from longtail_trainer.data.tables.partitions import Partitions
from longtail_trainer.running.errors import DataInvalid

Wanted = Mapping[str, tuple[str, Kind]]
"""By the name it gets: which column, and as what kind it is read."""
_SPARK_SETTING = "with Spark, set spark.sql.parquet.outputTimestampType to TIMESTAMP_MICROS"


@dataclass(frozen=True)
class TableFile:
    """A file of a table, and what its folders' names say."""

    file: ForeignFile
    partitions: Partitions


@dataclass(frozen=True)
class Inspected:
    """A file whose footer was read."""

    file: TableFile
    schema: FileSchema

    @property
    def path(self) -> str:
        return self.file.file.path

    def has(self, column: str) -> bool:
        return column in self.file.partitions or column in self.schema.types

    def described(self, column: str) -> str:
        return "a partition" if column in self.file.partitions else self.schema.described(column)


def check_agreement(where: str, files: Sequence[Inspected], wanted: Wanted) -> None:
    """Raise `DataInvalid` for the first wanted column that some file can't give, naming it, and both files where they
    differ. Every column is one that the first file has."""
    for column, kind in dict.fromkeys(wanted.values()):
        for file in files:
            if column in file.schema.repeated:
                raise DataInvalid(f"{_named(where, column, file)}stands there twice; name it differently")
            if not file.has(column):
                raise DataInvalid(
                    f"{where}: column {column!r} is in {files[0].path}, and not in {file.path}; write all files with "
                    "the same columns"
                )
        refused = list(_refused(files, column, kind))
        if refused:
            raise DataInvalid(_message(where, files, column, kind, refused))


def _refused(files: Sequence[Inspected], column: str, kind: Kind) -> Iterator[Inspected]:
    for file in files:
        if column in file.file.partitions:
            value = file.file.partitions[column]
            try:
                if value is not None:
                    kind.parsed(value)
            except NotOfKind:
                yield file
        if column in file.schema.types and not kind.takes(file.schema.types[column], column in file.schema.instants):
            yield file


def _message(where: str, files: Sequence[Inspected], column: str, kind: Kind, refused: Sequence[Inspected]) -> str:
    file = refused[0]
    if column in file.file.partitions:
        value = file.file.partitions[column]
        return (
            f"{_named(where, column, file)}is a partition, of value {value!r}; {kind.remedy}, as a column of the file"
        )
    found = file.described(column)
    good = next((other for other in files if other not in refused), None)
    others = {other.described(column): other for other in files}
    remedy = _remedy(kind, file.schema.types[column], column in file.schema.int96)
    if good is not None:
        return (
            f"{where}: column {column!r} is {good.described(column)} in {good.path}, {found} in {file.path}; {remedy}"
        )
    if len(others) > 1:
        one, two = list(others.values())[:2]
        return (
            f"{where}: column {column!r} is {one.described(column)} in {one.path}, {two.described(column)} in "
            f"{two.path}; {remedy}"
        )
    naive = "a timestamp without time zone" if isinstance(kind, Instant) and _is_naive(file, column) else found
    return f"{_named(where, column, file)}is {naive}{' (INT96)' if naive != found == 'INT96' else ''}; {remedy}"


def _remedy(kind: Kind, found: pa.DataType, int96: bool) -> str:
    if not (isinstance(kind, Instant) and types.is_timestamp(plain(found))):
        return kind.remedy
    naive = "convert it to UTC and write it as one"
    return f"{naive} ({_SPARK_SETTING})" if int96 else naive


def _is_naive(file: Inspected, column: str) -> bool:
    return types.is_timestamp(plain(file.schema.types[column]))


def _named(where: str, column: str, file: Inspected) -> str:
    return f"{where}: column {column!r} {f'of {file.path} ' if file.path else ''}"
