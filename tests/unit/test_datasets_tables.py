"""What a user sees of `python -m benchmarks.datasets`, whatever the data set."""

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from benchmarks.datasets.__main__ import main
from benchmarks.datasets.tables import (
    UTC_TIME,
    InvalidInput,
    Tables,
    check_tables,
    open_output,
    read_raw,
    scenario_name,
    scenario_names,
    table_text,
)
from longtail_api.data_schema import DataSchema, FeatureColumns, LabelColumn

NOON = datetime(2024, 1, 1, 12, tzinfo=UTC)


def some_tables(**samples: object) -> Tables:
    columns = {"scenario": "a", "entity": "e1", "time": NOON, "clicked": 1, **samples}
    return Tables(
        schema=DataSchema(labels=[LabelColumn(name="clicked")], profile=FeatureColumns(numeric=["age"])),
        samples=pl.DataFrame({name: [value] for name, value in columns.items()}, schema_overrides={"time": UTC_TIME}),
        profile=pl.DataFrame({"entity": ["e1"], "age": [41.0]}),
    )


def test_tables_that_match_their_schema_pass():
    check_tables(some_tables())


def test_a_sample_without_a_time_is_named():
    with pytest.raises(InvalidInput, match=r"samples.parquet: column 'time' has 1 nulls \(rows 0"):
        check_tables(some_tables(time=None))


def test_a_time_without_a_zone_is_refused():
    tables = some_tables()
    naive = tables.samples.with_columns(pl.col("time").dt.replace_time_zone(None))
    with pytest.raises(InvalidInput, match="'time' is Datetime"):
        check_tables(Tables(tables.schema, naive, tables.profile))


def test_a_label_is_never_a_feature():
    tables = some_tables()
    schema = tables.schema.model_copy(update={"profile": FeatureColumns(numeric=["age", "clicked"])})
    profile = tables.profile.with_columns(clicked=pl.lit(1.0))
    with pytest.raises(InvalidInput, match="'clicked' is a label and a feature"):
        check_tables(Tables(schema, tables.samples, profile))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("AAA-2013J", "aaa-2013j"),
        ("2_14_day_new", "s-2-14-day-new"),
        ("Medical except hospital", "medical-except-hospital"),
        ("x" * 60, "x" * 40),
    ],
)
def test_a_scenario_name_is_a_kubernetes_name(text: str, name: str):
    assert scenario_name(text) == name


def test_two_scenarios_never_become_one():
    with pytest.raises(InvalidInput, match="'A b' and 'a-b' would both become scenario 'a-b'"):
        scenario_names(["a-b", "A b"], "industry")


def test_an_absent_raw_column_is_named(tmp_path: Path):
    pl.DataFrame({"a": [1]}).write_parquet(tmp_path / "raw.parquet")
    with pytest.raises(InvalidInput, match=r"raw.parquet: no column 'b'; it has a"):
        read_raw(tmp_path, "raw.parquet", ["a", "b"])


def test_what_is_not_parquet_is_said_so(tmp_path: Path):
    (tmp_path / "raw.parquet").write_text("no")
    with pytest.raises(InvalidInput, match="not a Parquet file"):
        read_raw(tmp_path, "raw.parquet", ["a"])


def test_force_removes_a_data_set_and_nothing_else(tmp_path: Path):
    (tmp_path / "samples.parquet").write_text("old")
    (tmp_path / "behaviors" / "events").mkdir(parents=True)
    (tmp_path / "thesis.txt").write_text("mine")
    open_output(tmp_path, force=True)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_folder_in_use_is_left_alone_and_said_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "thesis.txt").write_text("mine")
    assert main(["synthetic", str(tmp_path)]) == 2
    assert "not empty; give an empty folder, or --force" in capsys.readouterr().err


def test_absent_raw_files_are_named_before_anything_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["oulad", str(tmp_path), str(tmp_path / "out")]) == 2
    assert "oulad_student.parquet: no such file" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_table_is_printed_aligned():
    assert table_text(pl.DataFrame({"a": ["x", "long"], "n": [1, 200]})).splitlines() == [
        "a       n",
        "----  ---",
        "x       1",
        "long  200",
    ]
