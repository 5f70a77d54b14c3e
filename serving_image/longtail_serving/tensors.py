"""One input tensor: from JSON to the array ONNX Runtime takes, or the reason why not."""

from collections.abc import Callable
from itertools import chain
from types import NoneType
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from longtail_api.store_objects import TensorSpec
from longtail_serving.errors import RequestRefused, RequestTooLarge

Array = NDArray[Any]


def short_repr(value: object) -> str:
    """The value as it may stand in an error message: a client's own text, but no page of it."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:79]}…"


def shape_words(shape: list[int]) -> str:
    """A card's shape for people: −1 is the batch, −2 the length of a sequence."""
    names = {-1: "batch", -2: "length"}
    return "[" + ", ".join(names.get(size, str(size)) for size in shape) + "]"


def decode(spec: TensorSpec, tensor: dict[str, Any], most_rows: int) -> Array:
    """The array of one input; `tensor` is its JSON object, of which `name` is known to match.

    BYTES become objects of `str` (null: ""), FP32 float32 (null: NaN), INT64 int64. Data may be flat or nested, row
    by row. Raises `RequestRefused` with the input's name and the reason, `RequestTooLarge` beyond so many rows.
    """
    datatype = tensor.get("datatype")
    if datatype != spec.datatype:
        raise refused(spec, f"datatype is {short_repr(datatype)}; this model takes {spec.datatype}")
    shape = _shape(spec, tensor.get("shape"))
    data: object = tensor.get("data")
    if not isinstance(data, list):
        raise refused(spec, "data must be an array" if "data" in tensor else "data is missing")
    flat = _flat(spec, cast(list[Any], data), shape)
    if spec.shape[:1] == [-1] and shape[0] > most_rows:
        raise RequestTooLarge(
            f"input {short_repr(spec.name)}: a batch of {shape[0]} rows; this server takes at most {most_rows} "
            "(--max-rows): send smaller batches"
        )
    return _READERS[spec.datatype](spec, flat).reshape(shape)


def refused(spec: TensorSpec, reason: str) -> RequestRefused:
    return RequestRefused(f"input {short_repr(spec.name)}: {reason}")


def _shape(spec: TensorSpec, shape: object) -> list[int]:
    if not isinstance(shape, list) or not set(map(type, cast(list[Any], shape))) <= {int}:
        raise refused(spec, f"shape must be an array of integers, {shape_words(spec.shape)}")
    sizes = cast(list[int], shape)
    fits = len(sizes) == len(spec.shape) and all(
        size == expected if expected >= 0 else size >= 0 for size, expected in zip(sizes, spec.shape, strict=True)
    )
    if not fits:
        raise refused(spec, f"shape is {short_repr(sizes)}; this model takes {shape_words(spec.shape)}")
    if sizes and sizes[0] == 0:
        raise refused(spec, f"shape is {sizes}, a batch of no rows; send one row at least")
    return sizes


def _flat(spec: TensorSpec, data: list[Any], shape: list[int]) -> list[Any]:
    """The data as one flat list of as many values as the shape has."""
    if list in set(map(type, data)):
        data = _flattened(spec, data, shape)
    expected = 1
    for size in shape:
        expected *= size
    if len(data) != expected:
        raise refused(spec, f"data has {len(data)} values; shape {short_repr(shape)} takes {expected}")
    return data


def _flattened(spec: TensorSpec, data: list[Any], shape: list[int]) -> list[Any]:
    """Nested arrays as one list; each level must be as long as the shape says."""
    if not shape or len(data) != shape[0]:
        raise refused(spec, f"data has {len(data)} nested rows; shape is {short_repr(shape)}")
    level = data
    for size in shape[1:]:
        for row in level:
            if type(row) is not list or len(cast(list[Any], row)) != size:
                raise refused(
                    spec, f"nested data must have {size} values in every row, as shape {short_repr(shape)} says"
                )
        level = list(chain.from_iterable(level))
    return level


def _wrong_type(spec: TensorSpec, flat: list[Any], allowed: set[type], takes: str) -> RequestRefused:
    number, value = next((number, value) for number, value in enumerate(flat) if type(value) not in allowed)
    return refused(spec, f"data[{number}] is {short_repr(value)}; {spec.datatype} takes {takes}")


def _strings(spec: TensorSpec, flat: list[Any]) -> Array:
    if not set(map(type, flat)) <= {str, NoneType}:
        raise _wrong_type(spec, flat, {str, NoneType}, "strings, or null where missing")
    values: list[str] = [value or "" for value in flat]
    try:
        "".join(values).encode()
    except UnicodeEncodeError as error:
        raise refused(spec, "data holds half of a surrogate pair, which is no text") from error
    return np.array(values, dtype=object)


def _floats(spec: TensorSpec, flat: list[Any]) -> Array:
    if not set(map(type, flat)) <= {float, int, NoneType}:
        raise _wrong_type(spec, flat, {float, int, NoneType}, "numbers, or null where missing")
    try:
        with np.errstate(over="ignore"):
            values = np.array(flat, dtype=np.float32)
    except OverflowError as error:
        raise refused(spec, "data holds a number beyond what FP32 can hold (about 3.4e38)") from error
    if np.isinf(values).any():
        number = int(np.flatnonzero(np.isinf(values))[0])
        raise refused(spec, f"data[{number}] is beyond what FP32 can hold (about 3.4e38)")
    return values


def _integers(spec: TensorSpec, flat: list[Any]) -> Array:
    if not set(map(type, flat)) <= {int}:
        raise _wrong_type(spec, flat, {int}, "integers")
    try:
        return np.array(flat, dtype=np.int64)
    except OverflowError as error:
        raise refused(spec, "data holds a number beyond what INT64 can hold") from error


_READERS: dict[str, Callable[[TensorSpec, list[Any]], Array]] = {
    "BYTES": _strings,
    "FP32": _floats,
    "INT64": _integers,
}
