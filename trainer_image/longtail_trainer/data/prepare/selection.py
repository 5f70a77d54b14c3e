"""One scenario's rows as local files: its samples, and of the shared tables the rows of its entities alone."""

# pyarrow has no types of its own.
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownParameterType=false
# pyright: reportUnknownLambdaType=false, reportAttributeAccessIssue=false

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from longtail_api.data_schema import ENTITY, SCENARIO, TIME, DataSchema
from longtail_api.run_config import PrepareConfig
from longtail_trainer.data.prepare.checks import check_rows, counted_rows, key_flaws, sample_flaws
from longtail_trainer.data.prepare.columns import ROW, Rows, event_rows, profile_rows, samples_rows
from longtail_trainer.data.tables import TEXT, Table, open_table
from longtail_trainer.running.errors import ConfigInvalid, DataInvalid

ROW_GROUP = 65_536
"""Rows of a group in a local file: what is read at once when it is streamed."""
BUCKET_ROWS = 1_000_000
"""Rows of one table that are joined in memory at once, about."""
NAMED_SCENARIOS = 10
_BUCKET = ":bucket"


@dataclass(frozen=True)
class Selected:
    """The rows of one table that one scenario needs, in a local Parquet file, in the table's order."""

    table: Table
    path: Path
    rows: int

    def scan(self) -> pl.LazyFrame:
        return pl.scan_parquet(self.path)

    def first(self, column: str) -> str:
        """The first row's value in a column of text."""
        return str(self.scan().select(column).head(1).collect()[column][0])


@dataclass(frozen=True)
class Bucket:
    """The rows of some of the entities: no entity is in two buckets. A table without such rows is an empty frame."""

    samples: pl.DataFrame
    profile: pl.DataFrame | None
    behaviors: dict[str, pl.DataFrame]


def open_tables(config: PrepareConfig) -> dict[str, Table]:
    """The tables that the schema needs, by name. Raises `ConfigInvalid` where the config names none."""
    schema = config.data_schema
    address = config.data_store or config.store
    uris = {"samples": config.samples}
    if schema.profile.categorical or schema.profile.numeric:
        if config.profile is None:
            raise ConfigInvalid("field 'profile': missing, and the schema has profile features; give the table's URI")
        uris["profile"] = config.profile
    for sequence in schema.behaviors:
        uri = config.behaviors.get(sequence.name)
        if uri is None:
            raise ConfigInvalid(
                f"field 'behaviors.{sequence.name}': missing, and the schema has that sequence; give the table's URI"
            )
        uris[f"behaviors/{sequence.name}"] = uri
    return {name: open_table(name, uri, address) for name, uri in uris.items()}


def select_samples(table: Table, schema: DataSchema, source_key: str, now: datetime, folder: Path) -> Selected:
    """The scenario's samples, checked. Raises `DataInvalid` where there are none, or one has a flaw."""
    rows = samples_rows(table, schema, source_key)
    selected = _written(rows, rows.batches(), folder / "samples.parquet")
    if not selected.rows:
        raise DataInvalid(f"{table.column(SCENARIO)}: no row has {source_key!r}; {_scenarios(table, source_key)}")
    check_rows(table, selected.scan(), sample_flaws(schema, now), of=f" of {source_key!r}")
    return selected


def _scenarios(table: Table, source_key: str) -> str:
    found: set[str] = set()
    for values in table.values(SCENARIO, TEXT):
        found.update(values.drop_nulls().unique())
    keys = sorted(found)
    near = difflib.get_close_matches(source_key, keys, n=3)
    shown = [*near, *(key for key in keys if key not in near)][:NAMED_SCENARIOS]
    if not shown:
        return "the table is empty; write the samples first"
    return f"there are {', '.join(map(repr, shown))} ({len(keys)} in all); set scenarioKey to one that exists"


Hashes = NDArray[np.uint64]


def scenario_entities(samples: Selected) -> Hashes:
    """A hash of every entity of the scenario, ascending: 8 bytes each, however long the names are."""
    hashes = samples.scan().select(pl.col(ENTITY).hash()).unique().collect(engine="streaming")
    return np.sort(hashes[ENTITY].to_numpy())


@dataclass(frozen=True)
class Dated:
    """The rows of the scenario's entities in the profile or in a behavior table."""

    selected: Selected
    found: int
    """Entities of the scenario that the table knows."""
    first_key: str | None
    """The entity of the table's first row; None where it has no row."""


def select_dated(table: Table, schema: DataSchema, entities: Hashes, now: datetime, folder: Path) -> Dated:
    """The rows of the scenario's entities in the profile or in a behavior table, checked.

    A row without an entity or with an impossible time is an error whoever it would have belonged to.
    """
    sequences = {f"behaviors/{sequence.name}": sequence for sequence in schema.behaviors}
    sequence = sequences.get(table.name)
    rows = profile_rows(table, schema) if sequence is None else event_rows(table, sequence)
    timed = TIME in table.columns
    flaws = key_flaws(now, timed=timed)
    known = np.zeros(len(entities), dtype=np.bool_)
    first: list[str | None] = []

    def kept() -> Iterator[pl.DataFrame]:
        for batch in rows.batches():
            if not first:
                first.append(batch[ENTITY][0])
            hashes = batch[ENTITY].hash().to_numpy()
            places = np.minimum(np.searchsorted(entities, hashes), len(entities) - 1)
            ours = entities[places] == hashes
            known[places[ours]] = True
            broken = pl.any_horizontal(flaw.broken.fill_null(False) for flaw in flaws)
            yield batch.filter(pl.Series(ours) | broken)

    selected = _written(rows, kept(), folder / f"{table.name.replace('/', '-')}.parquet")
    check_rows(table, selected.scan(), flaws)
    if sequence is None:
        _check_distinct(table, selected, [ENTITY, TIME] if timed else [ENTITY])
    return Dated(selected, int(known.sum()), first[0] if first else None)


def _check_distinct(table: Table, selected: Selected, keys: list[str]) -> None:
    """A profile with two rows for one entity and time has no latest one."""
    repeated = (
        selected.scan().group_by(keys).agg(pl.len().alias("times"), pl.col(ROW).max()).filter(pl.col("times") > 1)
    )
    found = repeated.select(ROW).collect(engine="streaming")[ROW].sort()
    if len(found):
        raise DataInvalid(
            f"{table.where}: columns {' and '.join(map(repr, keys))} repeat those of an earlier row in "
            f"{counted_rows(len(found), found.head(5).to_list())}; keep one row for each"
        )


def _written(rows: Rows, batches: Iterator[pl.DataFrame], path: Path) -> Selected:
    schema = _arrow(rows.empty()).schema
    count = 0
    with pq.ParquetWriter(path, schema, compression="lz4") as writer:
        for group in _grouped(batches):
            count += group.height
            writer.write_table(_arrow(group), row_group_size=ROW_GROUP)
    return Selected(rows.table, path, count)


def _grouped(batches: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """The same rows in frames of a row group at least, but for the last: of most batches, few rows are kept."""
    waiting: list[pl.DataFrame] = []
    rows = 0
    for batch in batches:
        if batch.height:
            waiting.append(batch)
            rows += batch.height
        if rows >= ROW_GROUP:
            yield pl.concat(waiting)
            waiting, rows = [], 0
    if waiting:
        yield pl.concat(waiting)


def _arrow(rows: pl.DataFrame) -> pa.Table:
    return rows.to_arrow(compat_level=pl.CompatLevel.oldest())


class Buckets:
    """The selected rows divided by entity, so that each bucket can be joined in memory."""

    def __init__(self, samples: Selected, profile: Selected | None, behaviors: dict[str, Selected]) -> None:
        tables = [samples, *([profile] if profile else []), *behaviors.values()]
        self.count = max(1, *(-(-selected.rows // BUCKET_ROWS) for selected in tables))
        self._samples = _Divided(samples, self.count)
        self._profile = _Divided(profile, self.count) if profile else None
        self._behaviors = {name: _Divided(selected, self.count) for name, selected in behaviors.items()}

    def read(self, number: int) -> Bucket:
        """Bucket `number`, 0 … count − 1, each table in its own order."""
        profile = self._profile.read(number) if self._profile else None
        return Bucket(
            self._samples.read(number), profile, {name: table.read(number) for name, table in self._behaviors.items()}
        )


class _Divided:
    """One table in buckets: a folder of files for each bucket that has rows."""

    def __init__(self, selected: Selected, count: int) -> None:
        self._whole = selected.path if count == 1 else None
        self._folder = selected.path.with_suffix("")
        self._empty = pl.read_parquet(selected.path, n_rows=0)
        if count > 1 and selected.rows:
            key = (pl.col(ENTITY).hash() % count).alias(_BUCKET)
            target = pl.PartitionBy(self._folder, key=key, include_key=False)
            selected.scan().sink_parquet(target, compression="lz4", row_group_size=ROW_GROUP, mkdir=True)
            selected.path.unlink()

    def read(self, number: int) -> pl.DataFrame:
        if self._whole is not None:
            return pl.read_parquet(self._whole)
        files = sorted((self._folder / f"{_BUCKET}={number}").glob("*.parquet"))
        return pl.read_parquet(files, hive_partitioning=False).sort(ROW) if files else self._empty
