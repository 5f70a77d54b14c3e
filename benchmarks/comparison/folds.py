"""Which rows a seed tests: one of several disjoint folds, so that so many seeds test every row exactly once."""

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.comparison.dataset import SAMPLES, Dataset
from benchmarks.comparison.rows import Frozen
from longtail_api.data_schema import ENTITY, SCENARIO, SPLIT, TIME, DataSchema, SplitRule

IDENTITY = [SCENARIO, ENTITY, TIME]


class Splits(Frozen):
    """How rows are drawn, where the data set's own split is random. A part of every protocol."""

    rule: str = "disjoint folds"
    """Another rule has another name, so that rows kept from before it are not taken for its own."""
    folds: int = 5
    """Seed s tests fold s; seeds beyond the last fold divide the rows anew."""
    validation_share: float = 0.1
    """Of all rows; drawn by each seed from those that it doesn't test."""
    rows: int | None = None
    """Rows of each scenario at most, drawn by each seed; None: all."""


def drawn_samples(
    dataset: Dataset, scenarios: Sequence[str], splits: Splits, seed: int, folder: Path
) -> tuple[str, DataSchema]:
    """The samples as this seed splits them, written below `folder`: their URI, and the schema that goes with it.

    A split by time, or one that the data set brings along, stays as it is.
    """
    frame = dataset.samples().filter(pl.col(SCENARIO).is_in(list(scenarios))).collect()
    if splits.rows is not None:
        frame = _at_most(frame, splits.rows, seed)
    schema = dataset.data_schema
    if schema.split.method == "random":
        frame = with_split(frame, splits, seed)
        schema = schema.model_copy(update={"split": SplitRule(method="column")})
    path = folder / SAMPLES
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"{SAMPLES}.part"
    frame.write_parquet(part)
    shutil.move(part, path)
    return path.resolve().as_uri(), schema


def with_split(samples: pl.DataFrame, splits: Splits, seed: int) -> pl.DataFrame:
    """The samples with the column `split`: train, validation or test, the same for equal (scenario, entity, time).

    A scenario's identities, ordered by their hash, go to the folds in turn: folds of one scenario differ by one
    identity at most. The hash is of the identity and the round of folds alone, so every seed of a round knows the
    same folds.
    """
    rows = samples.select(IDENTITY).unique().sort(IDENTITY)
    round_, fold = divmod(seed, splits.folds)
    hashed = rows.with_columns(_hashes(rows, f"fold {round_}").alias("_fold"), _hashes(rows, f"{seed}").alias("_rest"))
    test = (pl.col("_fold").rank("ordinal").over(SCENARIO) - 1) % splits.folds == fold
    share_of_rest = splits.validation_share * splits.folds / (splits.folds - 1)
    validation = pl.col("_rest").cast(pl.Float64) / 2**64 < share_of_rest
    split = pl.when(test).then(pl.lit("test")).when(validation).then(pl.lit("validation")).otherwise(pl.lit("train"))
    drawn = hashed.with_columns(split.alias(SPLIT)).drop("_fold", "_rest")
    return samples.drop(SPLIT, strict=False).join(drawn, on=IDENTITY, how="left", maintain_order="left")


def _hashes(rows: pl.DataFrame, salt: str) -> pl.Series:
    """64 bits of each row's identity, the same on every machine."""
    time = pl.col(TIME).dt.epoch("us").cast(pl.String)
    texts = rows.select(pl.concat_str(SCENARIO, ENTITY, time, separator="\x00")).to_series()
    digests = [hashlib.blake2b(f"{salt}\x00{text}".encode(), digest_size=8).digest() for text in texts]
    return pl.Series([int.from_bytes(digest) for digest in digests], dtype=pl.UInt64)


def _at_most(samples: pl.DataFrame, rows: int, seed: int) -> pl.DataFrame:
    place = pl.Series("_place", np.random.default_rng([seed, 2]).random(len(samples)))
    ranked = samples.with_columns(place).with_columns(pl.col("_place").rank("ordinal").over(SCENARIO).alias("_rank"))
    return ranked.filter(pl.col("_rank") <= rows).drop("_place", "_rank")
