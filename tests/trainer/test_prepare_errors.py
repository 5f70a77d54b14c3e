"""Tables that can't be used: each error names table, column and rows, and says what to do."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from longtail_api.data_schema import DataSchema
from longtail_trainer.data.prepare.data_version import make_data_version
from longtail_trainer.running.errors import ConfigInvalid, DataInvalid
from tests.trainer.contexts import context_of
from tests.trainer.tiny import SCHEMA, START, prepare_config, write_tables

NOW = START + timedelta(days=40)
BY_COLUMN = SCHEMA.model_copy(update={"split": SCHEMA.split.model_copy(update={"method": "column"})})
Change = Callable[[pl.DataFrame], pl.DataFrame]


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    write_tables(tmp_path / "tables", scenarios=12, rows=60)
    return tmp_path / "tables"


def change(tables: Path, table: str, by: Change) -> None:
    path = tables / f"{table}.parquet"
    by(pl.read_parquet(path)).write_parquet(path)


def prepare(tables: Path, schema: DataSchema = SCHEMA, **changes: Any) -> None:
    config = prepare_config(tables, tables.parent / "store", schema, **changes)
    make_data_version(config, context_of(config, tables.parent / "work"), now=NOW)


def at_rows(column: str, value: Any, *rows: int) -> Change:
    """Sets one value in some rows."""

    def changed(frame: pl.DataFrame) -> pl.DataFrame:
        hit = pl.int_range(pl.len()).is_in(rows)
        return frame.with_columns(pl.when(hit).then(pl.lit(value)).otherwise(pl.col(column)).alias(column))

    return changed


def cast(column: str, dtype: Any) -> Change:
    return lambda frame: frame.with_columns(pl.col(column).cast(dtype))


def of_scenario(by: Change) -> Change:
    """Changes the rows of `s0` alone, which stand first."""
    return lambda frame: pl.concat([by(frame.filter(scenario="s0")), frame.filter(pl.col("scenario") != "s0")])


def naive(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.col("time").dt.replace_time_zone(None))


VISITS = "behaviors/visits"
CASES: dict[str, tuple[str, Change, list[str]]] = {
    "a feature's column is missing": (
        "samples",
        lambda frame: frame.drop("slot", "position"),
        ["samples (", "no column 'slot', 'position'", "it has scenario, entity", "correct the schema"],
    ),
    "the label's column is missing": ("samples", lambda frame: frame.drop("clicked"), ["no column 'clicked'"]),
    "events have no time": (VISITS, lambda frame: frame.drop("time"), ["behaviors/visits (", "no column 'time'"]),
    "the profile has no entity": ("profile", lambda frame: frame.drop("entity"), ["profile (", "no column 'entity'"]),
    "times are strings": (
        "samples",
        cast("time", pl.String),
        ["samples (", "column 'time' is string", "write it as a timestamp in UTC"],
    ),
    "times are dates": (VISITS, cast("time", pl.Date), ["behaviors/visits (", "column 'time' is date32[day]"]),
    "times have no time zone": ("profile", naive, ["profile (", "column 'time'", "without time zone", "UTC"]),
    "a numeric feature is a string": (
        "profile",
        cast("age", pl.String),
        ["profile (", "column 'age' is string", "write it as numbers"],
    ),
    "a categorical feature is a float": (
        "samples",
        lambda frame: frame.with_columns(slot=pl.lit(1.5)),
        ["samples (", "column 'slot' is double", "write it as strings"],
    ),
    "a label is a string": ("samples", cast("clicked", pl.String), ["column 'clicked' is string"]),
    "a sample has no entity": (
        "samples",
        at_rows("entity", None, 3, 17),
        ["samples (", "column 'entity' is null or empty in 2 rows of 's0' (3, 17, counted from 0)"],
    ),
    "an entity is an empty string": (
        VISITS,
        at_rows("entity", "", 5),
        ["behaviors/visits (", "column 'entity' is null or empty in 1 row (5, counted from 0)"],
    ),
    "a profile row has no entity": ("profile", at_rows("entity", None, 2), ["profile (", "1 row (2,"]),
    "a sample has no time": ("samples", at_rows("time", None, 1), ["column 'time' is null in 1 row of 's0' (1,"]),
    "an event has no time": (VISITS, at_rows("time", None, *range(7)), ["7 rows (0, 1, 2, 3, 4, …, counted from 0)"]),
    "a sample is in the future": (
        "samples",
        at_rows("time", NOW + timedelta(days=2), 9),
        ["samples (", "column 'time' is in the future in 1 row of 's0' (9,", "time zone"],
    ),
    "an event is before 1970": (
        VISITS,
        at_rows("time", datetime(1969, 12, 31, tzinfo=UTC), 4),
        ["behaviors/visits (", "before 1970 in 1 row (4,", "unit"],
    ),
    "a binary label is 2": (
        "samples",
        at_rows("clicked", 2, 8),
        ["column 'clicked' is neither 0 nor 1 in 1 row of 's0' (8,", "null where it was not observed"],
    ),
    "a profile row is there twice": (
        "profile",
        lambda frame: pl.concat([frame, frame.head(2)]),
        ["profile (", "'entity' and 'time' repeat", "2 rows (30, 31,", "keep one"],
    ),
    "a timeless profile row is there twice": (
        "profile",
        lambda frame: pl.concat([frame, frame.head(1)]).drop("time"),
        ["profile (", "'entity' repeat", "1 row (30,"],
    ),
    "a weight is negative": (
        "samples",
        lambda frame: frame.with_columns(weight=pl.when(pl.int_range(pl.len()) == 6).then(-1.0).otherwise(1.0)),
        ["column 'weight' is negative or infinite in 1 row of 's0' (6,"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_table_that_cannot_be_used_is_named_with_column_rows_and_remedy(tables: Path, case: str):
    table, by, words = CASES[case]
    change(tables, table, by)
    with pytest.raises(DataInvalid) as raised:
        prepare(tables)
    for word in words:
        assert word in raised.value.message
    assert f"{table}.parquet" in raised.value.message


def test_without_rows_of_the_scenario_some_that_exist_are_named_the_likeliest_first(tables: Path):
    with pytest.raises(DataInvalid) as raised:
        prepare(tables, source_key="s111")
    message = raised.value.message
    assert "column 'scenario': no row has 's111'; there are 's11'" in message
    assert "(12 in all); set scenarioKey" in message


def test_an_empty_samples_table_is_named_as_such(tables: Path):
    change(tables, "samples", lambda frame: frame.clear())
    with pytest.raises(DataInvalid, match="the table is empty"):
        prepare(tables)


@pytest.mark.parametrize("table", ["samples", "profile", VISITS])
def test_a_missing_table_is_named(tables: Path, table: str):
    (tables / f"{table}.parquet").unlink()
    with pytest.raises(DataInvalid, match="no Parquet file there") as raised:
        prepare(tables)
    assert raised.value.message.startswith(f"{table} (file://")


@pytest.mark.parametrize("content", [b"", b"PAR1 and no more", b"time,entity\n1,a\n" * 20])
def test_a_file_that_is_no_parquet_is_named(tables: Path, content: bytes):
    (tables / "profile.parquet").write_bytes(content)
    with pytest.raises(DataInvalid, match=r"profile \(file://.*can't be read as a Parquet table"):
        prepare(tables)


def test_an_empty_folder_is_no_table(tables: Path):
    (tables / "samples").mkdir()
    with pytest.raises(DataInvalid, match="no Parquet file there"):
        prepare(tables, samples=(tables / "samples").as_uri())


def test_files_of_one_folder_whose_types_differ_are_named(tables: Path):
    folder = tables / "visits"
    folder.mkdir()
    frame = pl.read_parquet(tables / f"{VISITS}.parquet")
    frame.write_parquet(folder / "a.parquet")
    frame.with_columns(pl.col("seconds").cast(pl.String)).write_parquet(folder / "b.parquet")
    with pytest.raises(
        DataInvalid,
        match=r"behaviors/visits \(.*'seconds' is double in a.parquet, string in b.parquet; write it as numbers",
    ):
        prepare(tables, behaviors={"visits": folder.as_uri()})


def test_a_split_of_another_name_is_named(tables: Path):
    change(tables, "samples", lambda frame: at_rows("split", "holdout", 2)(frame.with_columns(split=pl.lit("train"))))
    with pytest.raises(DataInvalid, match=r"column 'split' .* in 1 row of 's0' \(2,.*train, validation or test"):
        prepare(tables, BY_COLUMN)


@pytest.mark.parametrize(
    ("changes", "words"), [({"profile": None}, "'profile'"), ({"behaviors": {}}, "'behaviors.visits'")]
)
def test_a_table_that_the_config_does_not_name_is_asked_for(tables: Path, changes: dict[str, Any], words: str):
    with pytest.raises(ConfigInvalid, match=f"field {words}: missing"):
        prepare(tables, **changes)


def test_flaws_of_other_scenarios_samples_are_not_this_ones(tables: Path):
    change(tables, "samples", at_rows("entity", None, 60, 61))
    prepare(tables)
