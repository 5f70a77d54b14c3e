"""Point-in-time joins: what each sample could know. Pure functions of tables that fit in memory."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from longtail_api.data_schema import ENTITY, TIME

Positions = NDArray[np.int64]


@dataclass(frozen=True)
class Alignment:
    """Samples and the rows of a dated table on one scale: entity first, then time, as one integer each."""

    samples: Positions
    """(samples,) key of each sample's entity and time."""
    floor: Positions
    """(samples,) a key below every time of the sample's entity, and above every earlier entity."""
    rows: Positions
    """(rows,) keys of the table's rows, ascending."""
    order: Positions
    """(rows,) where each of `rows` stands in the table. Rows of equal key stay in the table's order."""


def aligned(samples: pl.DataFrame, table: pl.DataFrame) -> Alignment:
    """Both frames have `entity` and `time`; a table without `time` holds for all time."""
    entities = pl.concat([samples[ENTITY], table[ENTITY]]).rank("dense").cast(pl.Int64).to_numpy()
    if TIME in table.columns:
        times = pl.concat([samples[TIME], table[TIME]]).rank("dense").cast(pl.Int64).to_numpy()
    else:
        times = np.concatenate([np.full(samples.height, 2), np.full(table.height, 1)]).astype(np.int64)
    width = int(times.max(initial=0)) + 1
    keys = entities * width + times  # dense ranks: their product stays far below 2⁶³
    rows = keys[samples.height :]
    order = np.argsort(rows, kind="stable")
    return Alignment(
        samples=keys[: samples.height], floor=entities[: samples.height] * width, rows=rows[order], order=order
    )


def latest_rows(alignment: Alignment) -> Positions:
    """(samples,) position in the table of the entity's latest row not after the sample; −1 where there is none."""
    end = np.searchsorted(alignment.rows, alignment.samples, side="right")
    begin = np.searchsorted(alignment.rows, alignment.floor, side="left")
    found = end > begin
    result = np.full(len(end), -1, dtype=np.int64)
    result[found] = alignment.order[end[found] - 1]
    return result


@dataclass(frozen=True)
class Histories:
    """The events each sample could know, oldest first: positions `order[start : start + length]` of the table."""

    start: Positions
    length: Positions
    order: Positions

    def part(self, begin: int, end: int) -> "Histories":
        """Those of the samples from `begin` up to `end`."""
        return Histories(self.start[begin:end], self.length[begin:end], self.order)

    def positions(self) -> Positions:
        """The events of all samples, one history after the other, as positions in the table."""
        return self.order[np.repeat(self.start, self.length) + self.event_numbers()]

    def event_numbers(self) -> Positions:
        """For each of `positions()`, its place in its own history, from 0."""
        ends = np.cumsum(self.length)
        return np.arange(int(self.length.sum())) - np.repeat(ends - self.length, self.length)


def histories(alignment: Alignment, max_length: int) -> Histories:
    """The entity's last `max_length` events strictly before each sample's time, oldest first."""
    end = np.searchsorted(alignment.rows, alignment.samples, side="left")
    begin = np.searchsorted(alignment.rows, alignment.floor, side="left")
    start = np.maximum(begin, end - max_length)
    return Histories(start=start, length=end - start, order=alignment.order)


def looked_up(table: pl.DataFrame, positions: Positions) -> pl.DataFrame:
    """The table's rows at `positions`, all null where the position is −1."""
    wanted = pl.Series(positions, dtype=pl.Int64)
    return (
        table.select(pl.all().gather(wanted.set(wanted < 0, None))) if table.height else _nulls(table, len(positions))
    )


def _nulls(table: pl.DataFrame, rows: int) -> pl.DataFrame:
    return pl.DataFrame({name: pl.Series(name, [None] * rows, dtype=dtype) for name, dtype in table.schema.items()})


def listed(events: pl.DataFrame, found: Histories) -> pl.DataFrame:
    """One list column per column of `events`, one row per sample; a sample without events has empty lists."""
    samples = len(found.length)
    flat = events[found.positions()].with_columns(
        pl.Series("sample", np.repeat(np.arange(samples), found.length), dtype=pl.Int64)
    )
    grouped = flat.group_by("sample", maintain_order=True).agg(pl.exclude("sample"))
    everyone = pl.DataFrame({"sample": pl.Series(np.arange(samples), dtype=pl.Int64)})
    joined = everyone.join(grouped, on="sample", how="left", maintain_order="left").drop("sample")
    return joined.with_columns(pl.all().fill_null([])) if joined.width else joined
