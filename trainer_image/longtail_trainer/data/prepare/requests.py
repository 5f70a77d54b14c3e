"""Rows as inference requests: what a candidate is checked with before any user's traffic.

They are test rows: by validation rows the candidate's epochs and architecture were chosen, so that on those it looks
better than it is beside a version that was chosen by others. Where there is no test row, validation rows are asked,
without their labels: how fast and how well-formed the answers are can be judged by any row.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from longtail_api.data_schema import DataSchema, FeatureColumns, length_column
from longtail_api.store_objects import InferenceTensor, RecordedRequest, Split


def checked_split(rows: Mapping[Split, int]) -> Split:
    """The split whose rows a candidate is asked, by the rows of each."""
    return "test" if rows.get("test") else "validation"


def recorded_requests(rows: pl.DataFrame, split: Split, schema: DataSchema) -> Iterator[RecordedRequest]:
    """One request per row of a part of this split."""
    labels = [label.name for label in schema.labels] if split == "test" else []
    for row in rows.iter_rows(named=True):
        inputs = [*_static(row, "context", schema.context), *_static(row, "profile", schema.profile)]
        for sequence in schema.behaviors:
            prefix = f"behaviors.{sequence.name}"
            length = row[length_column(sequence.name)]
            for name in sequence.categorical:
                values = [value or "" for value in row[f"{prefix}.{name}"]]
                inputs.append(_tensor(f"{prefix}.{name}", [1, length], "BYTES", values))
            for name in sequence.numeric:
                inputs.append(_tensor(f"{prefix}.{name}", [1, length], "FP32", row[f"{prefix}.{name}"]))
            inputs.append(_tensor(length_column(sequence.name), [1], "INT64", [length]))
        yield RecordedRequest(inputs=inputs, labels={name: row[name] for name in labels})


def _static(row: dict[str, Any], prefix: str, features: FeatureColumns) -> list[InferenceTensor]:
    categorical = [
        _tensor(f"{prefix}.{name}", [1], "BYTES", [row[f"{prefix}.{name}"] or ""]) for name in features.categorical
    ]
    numeric = [_tensor(f"{prefix}.{name}", [1], "FP32", [row[f"{prefix}.{name}"]]) for name in features.numeric]
    return [*categorical, *numeric]


def _tensor(name: str, shape: list[int], datatype: str, data: list[Any]) -> InferenceTensor:
    return InferenceTensor(name=name, shape=shape, datatype=datatype, data=data)


def request_line(request: RecordedRequest) -> bytes:
    """A line of `requests.jsonl`."""
    return request.model_dump_json(by_alias=True).encode() + b"\n"
