"""An exported model in the serving runtime, on one thread, and prepared samples as its inputs."""
# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false

from typing import Any

import numpy as np
import onnxruntime
import polars as pl
from numpy.typing import NDArray

from longtail_api.store_objects import TensorSpec
from longtail_trainer.export.signature import LENGTH

Feed = dict[str, NDArray[Any]]
NUMPY_TYPES = {"BYTES": np.object_, "FP32": np.float32, "INT64": np.int64}


def session(content: bytes) -> onnxruntime.InferenceSession:
    """ONNX Runtime on the CPU, one thread: what a replica with one CPU does."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def feed_of(frame: pl.DataFrame, inputs: list[TensorSpec], length: int | None = None) -> Feed:
    """Samples with the columns of prepared parts, as inputs: nulls are "" and NaN; sequences padded at the end.

    length: of the sequences' second axis; by default the longest sample's, which may be 0.
    """
    return {spec.name: _array(frame[spec.name], spec, length) for spec in inputs}


def _array(column: pl.Series, spec: TensorSpec, length: int | None) -> NDArray[Any]:
    null: Any = {"BYTES": "", "FP32": np.nan, "INT64": 0}[spec.datatype]
    kind = NUMPY_TYPES[spec.datatype]
    if LENGTH not in spec.shape:
        return np.array([null if value is None else value for value in column.to_list()], dtype=kind)
    rows: list[list[Any]] = [row or [] for row in column.to_list()]
    longest = max((len(row) for row in rows), default=0) if length is None else length
    array = np.full((len(rows), longest), null, dtype=kind)
    for number, row in enumerate(rows):
        array[number, : len(row)] = [null if value is None else value for value in row]
    return array
