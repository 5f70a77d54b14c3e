"""Prepared parts on the local disk: rows scattered while buckets are joined, then each part sorted and written.

The rows of a split are ordered by a hash of their identity, which shuffles them: a part holds one range of hashes,
so that the parts of a split, read in order, are one shuffled whole, however many rows there are.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from longtail_api.store_objects import SPLITS, Split
from longtail_trainer.data.prepare.columns import ROW
from longtail_trainer.data.prepare.identity import Keys, shares
from longtail_trainer.data.prepare.splits import Codes

SHUFFLE = ":shuffle"
_PART = ":part"
PART_VALUES = 6_000_000
"""Values (cells, with all of a list's) of a part, at most: bounds the memory of whoever reads or writes one."""
PART_ROWS = 50_000
_ROW_GROUP = 16_384


@dataclass(frozen=True)
class PartPlan:
    """Into how many parts each split goes."""

    parts: tuple[int, ...]
    """By position in `SPLITS`; 0 where the split has no rows."""
    rows_at_once: int
    """Rows that are joined and held in memory at once."""

    def numbers(self, splits: Codes, shuffle: Keys) -> NDArray[np.int64]:
        """The part of each row, counted through all splits."""
        parts = np.asarray(self.parts)
        first = np.cumsum(parts) - parts
        within = (shares(shuffle) * parts[splits]).astype(np.int64)
        return first[splits] + np.minimum(within, parts[splits] - 1)  # a share may round up to 1

    def __iter__(self) -> Iterator[tuple[Split, int, int]]:
        """(split, number within the split, number through all splits) of every part."""
        through = 0
        for split, parts in zip(SPLITS, self.parts, strict=True):
            for number in range(parts):
                yield split, number, through
                through += 1


def part_plan(rows_by_split: list[int], values_of_a_row: int) -> PartPlan:
    """Parts of a bounded number of rows and values each."""
    rows = max(1, min(PART_ROWS, PART_VALUES // max(1, values_of_a_row)))
    return PartPlan(parts=tuple(-(-count // rows) for count in rows_by_split), rows_at_once=rows)


class Scattered:
    """Joined rows on the local disk, by the part they belong to."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._chunks = 0

    def add(self, rows: pl.DataFrame, parts: NDArray[np.int64]) -> None:
        """Put aside some joined rows; `parts` is the part of each."""
        marked = rows.with_columns(pl.Series(_PART, parts))
        for (part,), chunk in marked.partition_by(_PART, as_dict=True, include_key=False).items():
            folder = self._folder / str(part)
            folder.mkdir(parents=True, exist_ok=True)
            chunk.write_ipc(folder / f"{self._chunks:08d}.arrow", compression="lz4")
        self._chunks += 1

    def take(self, part: int) -> pl.DataFrame:
        """All rows of one part, in shuffled order; removes them from the disk. Empty where hashes left it empty."""
        files = sorted((self._folder / str(part)).glob("*.arrow"))
        chunks = [pl.read_ipc(file) for file in files]
        for file in files:
            file.unlink()
        if not chunks:
            return pl.DataFrame()
        return pl.concat(chunks, rechunk=True).sort(SHUFFLE, ROW, maintain_order=True)


@dataclass(frozen=True)
class LocalPart:
    """A finished part, not in the store yet."""

    split: Split
    number: int
    path: Path
    rows: int
    sha256: str
    bytes: int


def write_part(rows: pl.DataFrame, split: Split, number: int, folder: Path) -> LocalPart:
    """Write one part. The same rows give the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"part-{split}-{number:05d}.parquet"
    rows.write_parquet(path, compression="zstd", row_group_size=_ROW_GROUP, statistics=False)
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return LocalPart(split, number, path, rows.height, sha256, path.stat().st_size)
