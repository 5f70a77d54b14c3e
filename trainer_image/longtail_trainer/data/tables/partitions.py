"""What the names of a table's folders say: Hive's `column=value`. Pure.

Names and values are percent-decoded, `__HIVE_DEFAULT_PARTITION__` is null; a value is a string, whatever it looks like.
"""

import re
from collections.abc import Mapping, Sequence
from urllib.parse import unquote

from longtail_trainer.running.errors import DataInvalid

Partitions = Mapping[str, str | None]
_PARTITION = re.compile(r"([^=]+)=(.*)", re.DOTALL)
_NULL = "__HIVE_DEFAULT_PARTITION__"


def partitions_of(where: str, path: str) -> Partitions:
    """The columns that the folders of this file give it. Raises `DataInvalid` where one stands in the path twice."""
    found: dict[str, str | None] = {}
    for part in path.split("/")[:-1]:
        named = _PARTITION.fullmatch(part)
        if named is None:
            continue
        name, value = unquote(named[1]), unquote(named[2])
        if name in found:
            raise DataInvalid(f"{where}: {path} lies in two partitions of the column {name!r}; lay it into one")
        found[name] = None if value == _NULL else value
    return found


def check_alike(where: str, files: Sequence[tuple[str, Partitions]]) -> None:
    """Raise `DataInvalid` naming two files where not all lie in partitions of the same columns."""
    first_path, first = files[0]
    for path, partitions in files:
        if set(partitions) != set(first):
            raise DataInvalid(
                f"{where}: {first_path} {_said(first)}, {path} {_said(partitions)}; lay all files into partitions of "
                "the same columns"
            )


def _said(partitions: Partitions) -> str:
    names = ", ".join(map(repr, partitions))
    return f"lies in partitions of {names}" if names else "lies in no partition"
