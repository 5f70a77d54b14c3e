"""A data set in the three-table form, opened and checked: what is wrong with it is one line that says what to do."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import yaml
from pydantic import ValidationError

from longtail_api.data_schema import ENTITY, SCENARIO, SPLIT, TIME, DataSchema

SAMPLES, PROFILE, BEHAVIORS, SCHEMA = "samples.parquet", "profile.parquet", "behaviors", "schema.yaml"


class UnusableDataset(Exception):
    """The data set can't be compared on; the message says why and what to do."""


@dataclass(frozen=True)
class Dataset:
    """A folder in the three-table form."""

    folder: Path
    data_schema: DataSchema

    def path(self, *names: str) -> Path:
        """Of a table: one file, or a folder of that name."""
        path = self.folder.joinpath(*names)
        return path if path.exists() else path.with_suffix("")

    def uri(self, *names: str) -> str:
        return self.path(*names).resolve().as_uri()

    def profile(self) -> str | None:
        schema = self.data_schema.profile
        return self.uri(PROFILE) if schema.categorical or schema.numeric else None

    def behaviors(self) -> dict[str, str]:
        return {one.name: self.uri(BEHAVIORS, f"{one.name}.parquet") for one in self.data_schema.behaviors}

    def samples(self) -> pl.LazyFrame:
        path = self.path(SAMPLES)
        return pl.scan_parquet(path / "**/*.parquet" if path.is_dir() else path)


def open_dataset(folder: Path) -> Dataset:
    """Raises `UnusableDataset` where a table, a column or the schema is wrong, or the first label is not binary."""
    path = folder / SCHEMA
    if not path.is_file():
        raise UnusableDataset(f"{path}: no such file; give a folder that `python -m benchmarks.datasets` wrote")
    schema = _schema(path)
    if schema.labels[0].type != "binary":
        raise UnusableDataset(f"{path}: the first label, {schema.labels[0].name}, is no binary one; there is no AUC")
    dataset = Dataset(folder, schema)
    needed = [SCENARIO, ENTITY, TIME, *(label.name for label in schema.labels)]
    needed += [*schema.context.categorical, *schema.context.numeric]
    if schema.split.method == "column":
        needed.append(SPLIT)
    _check(dataset, (SAMPLES,), needed)
    if dataset.profile():
        _check(dataset, (PROFILE,), [ENTITY, *schema.profile.categorical, *schema.profile.numeric])
    for one in schema.behaviors:
        _check(dataset, (BEHAVIORS, f"{one.name}.parquet"), [ENTITY, TIME, *one.categorical, *one.numeric])
    return dataset


def scenario_names(dataset: Dataset, chosen: int | Sequence[str] | None = None) -> list[str]:
    """The scenarios compared on, by name: the first so many, those named, or all.

    Raises `UnusableDataset` where a named one is not there.
    """
    names = dataset.samples().select(SCENARIO).unique().collect()[SCENARIO].drop_nulls().sort().to_list()
    if chosen is None or isinstance(chosen, int):
        return names[:chosen]
    if absent := sorted(set(chosen) - set(names)):
        raise UnusableDataset(f"no scenario {', '.join(absent)}; choose of {', '.join(names)}")
    return [name for name in names if name in chosen]


def _schema(path: Path) -> DataSchema:
    try:
        return DataSchema.model_validate(yaml.safe_load(path.read_text()))
    except yaml.YAMLError as error:
        raise UnusableDataset(f"{path}: no YAML ({' '.join(str(error).split())})") from error
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, one['loc'])) or 'the whole'}: {one['msg']}" for one in error.errors())
        raise UnusableDataset(f"{path}: {wrong}; correct it") from error


def _check(dataset: Dataset, names: Sequence[str], columns: Sequence[str]) -> None:
    path = dataset.path(*names)
    if not path.exists():
        shown = dataset.folder.joinpath(*names)
        raise UnusableDataset(f"{shown}: no such file, nor a folder {path.name}; {SCHEMA} needs the table")
    try:
        found = pl.scan_parquet(path / "**/*.parquet" if path.is_dir() else path).collect_schema().names()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise UnusableDataset(f"{path}: no Parquet table ({' '.join(str(error).split())})") from error
    if absent := [name for name in columns if name not in found]:
        raise UnusableDataset(f"{path}: no column {', '.join(absent)}, which {SCHEMA} needs; it has {', '.join(found)}")
