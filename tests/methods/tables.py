"""Tiny tables for the contract of methods: three labels of three kinds of dependence, and a fixed test split."""

from pathlib import Path

import numpy as np
import polars as pl

from longtail_api.data_schema import DataSchema
from tests.trainer import tiny

SCENARIOS = 3
ROWS = 160
NEGATED = ("bought", "liked")
"""`clicked` isn't: `bought` is observed where it is 1, so it decides which rows count."""

SCHEMA = DataSchema.model_validate(
    {
        **tiny.SCHEMA.to_json_dict(),
        "labels": [
            {"name": "clicked"},
            {"name": "bought", "observedWhen": "clicked"},
            {"name": "liked", "weight": "0.5"},
        ],
        "split": {"method": "column", "test": "0.2", "validation": "0.1"},
    }
)


def write_tables(path: Path, *, negated: bool = False) -> None:
    """The three tables below `path`. negated: with the labels `NEGATED` the other way round in every test row."""
    tiny.write_tables(path, scenarios=SCENARIOS, rows=ROWS)
    samples = pl.read_parquet(path / "samples.parquet")
    random = np.random.default_rng(1)
    age = random.random(len(samples))
    clicked = samples["clicked"].to_numpy()
    labels = {
        "bought": (random.random(len(samples)) < 0.2 + 0.5 * age).astype(int),
        "liked": (random.random(len(samples)) < 0.15 + 0.6 * clicked).astype(int),
    }
    split = np.array(["train", "train", "train", "validation", "test"])[np.arange(len(samples)) % 5]
    if negated:
        labels = {name: np.where(split == "test", 1 - values, values) for name, values in labels.items()}
    samples.with_columns(*(pl.Series(name, labels[name]) for name in NEGATED), pl.Series("split", split)).write_parquet(
        path / "samples.parquet"
    )
