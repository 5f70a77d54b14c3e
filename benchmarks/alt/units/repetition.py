"""What one seed draws: the order in which scenarios arrive, and which rows are test rows."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import yaml

from benchmarks.alt.protocol import Protocol
from longtail_api.data_schema import ENTITY, SCENARIO, SPLIT, TIME, DataSchema, SplitRule

SAMPLES, PROFILE, BEHAVIORS, SCHEMA = "samples.parquet", "profile.parquet", "behaviors", "schema.yaml"
_ORDER, _SPLITS, _ROWS, _ABLATION = range(4)
"""Streams of random numbers: no two kinds of draw share one."""


class UnusableDataset(Exception):
    """The data set can't be compared on; the message says why and what to do."""


@dataclass(frozen=True)
class Dataset:
    """A folder in the three-table form."""

    folder: Path
    data_schema: DataSchema

    def uri(self, *names: str) -> str:
        """file:// of a table: one file, or a folder of that name."""
        path = self.folder.joinpath(*names)
        return (path if path.exists() else path.with_suffix("")).resolve().as_uri()

    def profile(self) -> str | None:
        schema = self.data_schema.profile
        return self.uri(PROFILE) if schema.categorical or schema.numeric else None

    def behaviors(self) -> dict[str, str]:
        return {one.name: self.uri(BEHAVIORS, f"{one.name}.parquet") for one in self.data_schema.behaviors}


def open_dataset(folder: Path) -> Dataset:
    """Raises `UnusableDataset` where the folder has no schema, or its first label is none of two classes."""
    path = folder / SCHEMA
    if not path.is_file():
        raise UnusableDataset(f"{path}: no such file; give a folder that `python -m benchmarks.datasets` wrote")
    schema = DataSchema.model_validate(yaml.safe_load(path.read_text()))
    if schema.labels[0].type != "binary":
        raise UnusableDataset(f"{path}: the first label, {schema.labels[0].name}, is no binary one; there is no AUC")
    return Dataset(folder, schema)


def scenario_names(dataset: Dataset, protocol: Protocol) -> list[str]:
    """The scenarios compared on, by name."""
    names = _samples(dataset).select(SCENARIO).unique().collect()[SCENARIO].drop_nulls().sort().to_list()
    return names[: protocol.scenarios]


def drawn_samples(dataset: Dataset, protocol: Protocol, seed: int, folder: Path) -> tuple[str, DataSchema]:
    """The samples as this seed splits them, written below `folder`: their URI, and the schema that goes with it.

    A random split is drawn anew by each seed, so that every repetition has test rows of its own; rows of one identity
    (scenario, entity, time) are never parted. A split by time, or one that the data set brings along, stays as it is.
    """
    frame = _samples(dataset).filter(pl.col(SCENARIO).is_in(scenario_names(dataset, protocol))).collect()
    if protocol.rows is not None:
        frame = _at_most(frame, protocol.rows, seed)
    schema = dataset.data_schema
    if schema.split.method == "random":
        frame = with_split(frame, protocol, seed)
        schema = schema.model_copy(update={"split": SplitRule(method="column")})
    path = folder / SAMPLES
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"{SAMPLES}.part"
    frame.write_parquet(part)
    shutil.move(part, path)
    return path.resolve().as_uri(), schema


def with_split(samples: pl.DataFrame, protocol: Protocol, seed: int) -> pl.DataFrame:
    """The samples with the column `split`: train, validation or test, the same for equal (scenario, entity, time)."""
    identity = [SCENARIO, ENTITY, TIME]
    rows = samples.select(identity).unique().sort(identity)
    share = np.random.default_rng([seed, _SPLITS]).random(len(rows))
    test = protocol.test_share
    split = np.where(share < test, "test", np.where(share < test + protocol.validation_share, "validation", "train"))
    drawn = rows.with_columns(pl.Series(SPLIT, split, dtype=pl.String))
    return samples.drop(SPLIT, strict=False).join(drawn, on=identity, how="left", maintain_order="left")


def arrival_order(scenarios: Sequence[str], seed: int) -> list[str]:
    """The scenarios in the order of their arrival. The first ones are the initial scenarios, however many these are:
    so more initial scenarios always include the fewer."""
    order = np.random.default_rng([seed, _ORDER]).permutation(len(scenarios))
    return [sorted(scenarios)[number] for number in order]


def ablation_scenarios(scenarios: Sequence[str], seed: int, count: int) -> list[str]:
    """Those that a seed compares ablations on."""
    order = np.random.default_rng([seed, _ABLATION]).permutation(len(scenarios))
    return sorted(sorted(scenarios)[number] for number in order[:count])


def _samples(dataset: Dataset) -> pl.LazyFrame:
    path = dataset.folder / SAMPLES
    path = path if path.exists() else path.with_suffix("")
    return pl.scan_parquet(path / "**/*.parquet" if path.is_dir() else path)


def _at_most(samples: pl.DataFrame, rows: int, seed: int) -> pl.DataFrame:
    place = pl.Series("_place", np.random.default_rng([seed, _ROWS]).random(len(samples)))
    ranked = samples.with_columns(place).with_columns(pl.col("_place").rank("ordinal").over(SCENARIO).alias("_rank"))
    return ranked.filter(pl.col("_rank") <= rows).drop("_place", "_rank")
