"""The gate before publication: the exported graph must answer as the trained model does."""
# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false

import random
from typing import Any

import numpy as np
import polars as pl
import torch

from longtail_api.data_schema import DataSchema, length_column
from longtail_api.store_objects import Features
from longtail_trainer.data.features.columns import TableColumns, sequence_columns, static_columns
from longtail_trainer.data.loading import encode_frame
from longtail_trainer.export.core_graph import answers
from longtail_trainer.export.runtime import feed_of, session
from longtail_trainer.export.signature import inputs_of
from longtail_trainer.models.contract import ServedModel
from longtail_trainer.running.errors import ParityFailed
from longtail_trainer.training.scoring import predict

BATCHES = (1, 7, 64)
NULL_SHARE = 0.15
UNKNOWN = "a category that no training row had"


def check_parity(model: ServedModel, content: bytes, tolerance: float, seed: int = 0) -> float:
    """Largest difference between torch, on samples encoded as for training, and ONNX Runtime, on their raw values.

    Random samples with nulls, unknown categories, numbers beyond the clipping, in batches of 1, 7 and 64, with
    sequences of 0, 1, 2 and maxLength events at most. Differences are relative where answers exceed 1.
    Raises `ParityFailed` above `tolerance`, or where an answer is not finite.
    """
    runtime = session(content)
    generator = random.Random(seed)
    inputs = inputs_of(model)
    labels = [label.name for label in model.features.data_schema.labels]
    worst = 0.0
    for batch in BATCHES:
        for limit in _length_limits(model.features.data_schema):
            frame = random_samples(model.features, batch, limit, generator)
            expected = answers(model, predict(model, encode_frame(frame, model.features)))
            given = runtime.run(labels, feed_of(frame, inputs))
            for label, torch_answer, onnx_answer in zip(labels, expected, given, strict=True):
                difference = _difference(torch_answer, torch.from_numpy(np.asarray(onnx_answer)))
                if not difference <= tolerance:
                    raise ParityFailed(
                        f"label {label}: at batch {batch} and up to {limit} events the exported graph differs from the "
                        f"trained model by {difference:.2g}, allowed is {tolerance:.2g}; nothing was published: "
                        "report the architecture, or leave out the operation it shares with other failures"
                    )
                worst = max(worst, difference)
    return worst


def _difference(expected: torch.Tensor, given: torch.Tensor) -> float:
    """Largest one, relative above 1; NaN where an answer is not finite or the shapes differ."""
    if expected.shape != given.shape or not bool(given.isfinite().all()) or not bool(expected.isfinite().all()):
        return float("nan")
    return float(((expected - given).abs() / expected.abs().clamp(min=1)).max())


def _length_limits(schema: DataSchema) -> list[int]:
    longest = max((sequence.max_length for sequence in schema.behaviors), default=0)
    return sorted({limit for limit in (0, 1, 2, longest) if limit <= longest})


def random_samples(features: Features, count: int, longest: int, generator: random.Random) -> pl.DataFrame:
    """Samples as `prepare` leaves them, with what is rare in data but must be right; labels are null.

    The first sample has `longest` events in each sequence, or its maxLength where that is less.
    """
    schema = features.data_schema
    columns: dict[str, pl.Series] = {}
    for name, value in _table(static_columns(schema)):
        columns[name] = _series([_value(features, name, value, generator) for _ in range(count)], value)
    for sequence in schema.behaviors:
        most = min(longest, sequence.max_length)
        lengths = [most, *(generator.randint(0, most) for _ in range(count - 1))]
        columns[length_column(sequence.name)] = pl.Series(lengths, dtype=pl.Int64)
        for name, value in _table(sequence_columns(sequence)):
            rows = [[_value(features, name, value, generator) for _ in range(length)] for length in lengths]
            columns[name] = pl.Series(rows, dtype=pl.List(value))
    for label in schema.labels:
        columns[label.name] = pl.Series([None] * count, dtype=pl.Float64)
    return pl.DataFrame(columns)


def _table(columns: TableColumns) -> list[tuple[str, type[pl.DataType]]]:
    types: dict[str, type[pl.DataType]] = dict.fromkeys(columns.categorical, pl.String)
    return list((types | dict.fromkeys(columns.numeric, pl.Float32)).items())


def _series(values: list[Any], value: type[pl.DataType]) -> pl.Series:
    return pl.Series(values, dtype=value)


def _value(features: Features, name: str, value: type[pl.DataType], generator: random.Random) -> str | float | None:
    if generator.random() < NULL_SHARE:
        return None
    if value == pl.String:
        return generator.choice([UNKNOWN, "", *generator.choices(features.vocabularies[name] or [UNKNOWN], k=6)])
    encoding = features.numeric[name]
    spread = max(encoding.high - encoding.low, encoding.scale)
    return generator.uniform(encoding.low - spread, encoding.high + spread)
