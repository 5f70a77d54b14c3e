"""Which files of a folder belong to the table. Pure: names and sizes in, paths out.

As Hadoop, Spark, Hive and Arrow have it, what begins with `_` or `.` is hidden, folders with all that is in them:
staging and temporary files, checkpoints, trash, summaries, checksums.
"""

import re
from collections.abc import Iterable

from longtail_store import ForeignFile
from longtail_trainer.running.errors import DataInvalid

SUFFIXES = (".parquet", ".parq", ".pq")
_COPYING = "._COPYING_"
"""How Hadoop's `fs -put` calls a file that it is still writing."""
_FOLDER_MARKER = "_$folder$"
"""What EMR and older Hadoop call the empty object that stands for a folder."""
_FORMATS = (
    (re.compile(r"(^|/)_delta_log/"), "Delta table", "_delta_log/"),
    (re.compile(r"(^|/)metadata/[^/]*\.metadata\.json$"), "Iceberg table", "metadata/"),
    (re.compile(r"(^|/)\.hoodie/"), "Hudi table", ".hoodie/"),
)


def table_files(where: str, found: Iterable[ForeignFile]) -> list[ForeignFile]:
    """The files that are to be read, by path. `where` names the table in messages.

    Raises `DataInvalid` where there is none, where one that says it is Parquet is empty, and for the tables of Delta,
    Iceberg and Hudi: which of their files count stands in their own logs, and all of them together hold rows that were
    deleted or replaced. Whether a file without Parquet's suffix is Parquet, only its content says (Hive and Trino write
    none).
    """
    files: list[ForeignFile] = []
    folders: set[str] = set()
    for file in found:
        for pattern, name, sign in _FORMATS:
            if pattern.search(file.path):
                raise DataInvalid(
                    f"{where}: is a {name} ({sign} is there): its files together hold rows that were deleted or "
                    "replaced; write its current rows as Parquet to a folder of their own"
                )
        parents = file.path.split("/")[:-1]
        folders.update("/".join(parents[:depth]) for depth in range(1, len(parents) + 1))
        if not (is_hidden(file.path) or is_marker(file)):
            files.append(file)
    files = sorted((file for file in files if file.size or file.path not in folders), key=lambda file: file.path)
    if not files:
        raise DataInvalid(f"{where}: no Parquet file there; write the table or correct the URI")
    for file in files:
        if not file.size:
            of = f"{file.path} " if file.path else ""
            raise DataInvalid(f"{where}: {of}can't be read as a Parquet table (0 bytes); write it anew, or remove it")
    return files


def is_hidden(path: str) -> bool:
    """Whether any part of the path says that the file isn't the table's. The partition of a column that is called
    `_day` isn't hidden."""
    *folders, name = path.split("/")
    return (
        name.startswith(("_", "."))
        or name.endswith((".crc", _COPYING))
        or any(part.startswith(".") or (part.startswith("_") and "=" not in part) for part in folders)
    )


def is_marker(file: ForeignFile) -> bool:
    """Whether this is an empty object that only stands for a folder."""
    return not file.size and (file.path.endswith(("/", _FOLDER_MARKER)))
