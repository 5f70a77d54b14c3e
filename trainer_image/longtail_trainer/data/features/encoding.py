"""The arithmetic of encoding. The exported ONNX graph repeats it operation by operation, in float32."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from longtail_api.store_objects import NumericEncoding

Float32 = NDArray[np.float32]


def encode_categorical(values: pl.Series, vocabulary: list[str]) -> NDArray[np.int32]:
    """Index in the vocabulary plus 1; 0 for null, for the empty string and for a value that is not in it."""
    if not vocabulary:
        return np.zeros(len(values), dtype=np.int32)
    indices = values.cast(pl.String).replace_strict(
        pl.Series(vocabulary, dtype=pl.String),
        pl.Series(range(1, len(vocabulary) + 1), dtype=pl.Int32),
        default=0,
        return_dtype=pl.Int32,
    )
    return indices.fill_null(0).to_numpy()


def encode_numeric(values: pl.Series, encoding: NumericEncoding) -> tuple[Float32, Float32]:
    """(clip(v, low, high) − center) / scale, and an indicator; a null or NaN becomes 0 with indicator 1."""
    raw = values.cast(pl.Float32).to_numpy().astype(np.float32)  # nulls become NaN
    missing = np.isnan(raw)
    clipped = np.clip(raw, np.float32(encoding.low), np.float32(encoding.high))
    normalized = (clipped - np.float32(encoding.center)) / np.float32(encoding.scale)
    return np.where(missing, np.float32(0), normalized), missing.astype(np.float32)


def encode_label(values: pl.Series, encoding: NumericEncoding | None) -> tuple[Float32, NDArray[np.bool_]]:
    """The label in float32 (a regression label standardized, 0 where null), and whether it is observed."""
    raw = values.cast(pl.Float64).to_numpy().astype(np.float64)
    observed = np.isfinite(raw)
    if encoding is not None:
        raw = (raw - encoding.center) / encoding.scale
    return np.where(observed, raw, 0.0).astype(np.float32), observed
