"""Data sets that cannot be used are refused on one line, with what is wrong."""

from pathlib import Path

import polars as pl
import pytest
import yaml

from benchmarks.comparison.dataset import UnusableDataset, open_dataset, scenario_names
from tests.trainer import tiny


def data_set(folder: Path) -> Path:
    schema = tiny.write_tables(folder, scenarios=2, rows=40)
    (folder / "schema.yaml").write_text(yaml.safe_dump(schema.to_json_dict()))
    return folder


def reason(folder: Path) -> str:
    """Why it is refused, on one line."""
    with pytest.raises(UnusableDataset) as refused:
        open_dataset(folder)
    text = str(refused.value)
    assert "\n" not in text
    return text


def changed(folder: Path, **changes: object) -> Path:
    """The data set with another schema."""
    path = folder / "schema.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | changes))
    return folder


def test_a_misspelt_key_of_the_schema_is_named_with_its_file(tmp_path: Path):
    text = reason(changed(data_set(tmp_path), lables=[]))
    assert "schema.yaml" in text
    assert "lables" in text


def test_a_missing_table_is_named(tmp_path: Path):
    (data_set(tmp_path) / "samples.parquet").unlink()
    assert "samples.parquet: no such file" in reason(tmp_path)


def test_a_missing_split_column_is_named_once(tmp_path: Path):
    text = reason(changed(data_set(tmp_path), split={"method": "column"}))
    assert "samples.parquet: no column split" in text


def test_a_missing_feature_is_named(tmp_path: Path):
    pl.read_parquet(data_set(tmp_path) / "profile.parquet").drop("age").write_parquet(tmp_path / "profile.parquet")
    assert "profile.parquet: no column age" in reason(tmp_path)


def test_scenarios_can_be_chosen_and_unknown_ones_are_named(tmp_path: Path):
    dataset = open_dataset(data_set(tmp_path))
    assert scenario_names(dataset) == ["s0", "s1"]
    assert scenario_names(dataset, ("s1",)) == ["s1"]
    with pytest.raises(UnusableDataset, match="no scenario s7; choose of s0, s1"):
        scenario_names(dataset, ("s1", "s7"))
