"""The gradients in a feedback file: do they fit the model, how long are they, and adding them up block by block."""

import math
from typing import Protocol

import numpy as np
import numpy.typing as npt

from longtail_store.errors import FeedbackUnusable
from longtail_store.feedback import ROWS, VALUES, gradient_names
from longtail_store.tensor_file import TensorFile, TensorSpec

Accumulator = npt.NDArray[np.float64]
FLOATS = frozenset({"F64", "F32", "F16"})


class ParameterGradient(Protocol):
    """The gradient of one parameter, in a file."""

    def check(self, parameter: TensorSpec) -> None:
        """Raises `FeedbackUnusable` (WrongShape, WrongTensors) where it does not fit the parameter."""
        ...

    def squared_norm(self) -> float:
        """Squared L2 norm, in float64. Not finite where a value isn't."""
        ...

    def add(self, factor: float, start: int, stop: int, total: Accumulator) -> None:
        """Add `factor` times rows [start, stop) to `total`, which holds just these rows."""
        ...


class Dense:
    """A gradient of the parameter's own shape."""

    def __init__(self, file: TensorFile, name: str) -> None:
        self.file, self.name = file, name

    def check(self, parameter: TensorSpec) -> None:
        _require_type(self.file.tensors[self.name], "F32")
        _require_shape(self.file.tensors[self.name], parameter.shape)

    def squared_norm(self) -> float:
        return _squared_norm(self.file, self.name)

    def add(self, factor: float, start: int, stop: int, total: Accumulator) -> None:
        part = self.file.rows(self.name, start, stop).astype(np.float64)
        part *= factor
        total += part


class Sparse:
    """Some rows of an embedding's gradient; the others are zero."""

    def __init__(self, file: TensorFile, name: str) -> None:
        self.file, self.rows_name, self.values_name = file, name + ROWS, name + VALUES

    def check(self, parameter: TensorSpec) -> None:
        rows_spec, values_spec = self.file.tensors[self.rows_name], self.file.tensors[self.values_name]
        _require_type(rows_spec, "I64")
        _require_type(values_spec, "F32")
        if len(rows_spec.shape) != 1 or not parameter.shape:
            raise FeedbackUnusable("WrongShape", f"{self.rows_name}: rows of a parameter of shape {parameter.shape}")
        _require_shape(values_spec, rows_spec.shape + parameter.shape[1:])
        rows = self.file.whole(self.rows_name)
        if len(rows) and (rows[0] < 0 or rows[-1] >= parameter.shape[0] or bool((rows[1:] <= rows[:-1]).any())):
            raise FeedbackUnusable(
                "WrongShape", f"{self.rows_name}: must ascend, without repetition, from 0 to {parameter.shape[0] - 1}"
            )

    def squared_norm(self) -> float:
        return _squared_norm(self.file, self.values_name)

    def add(self, factor: float, start: int, stop: int, total: Accumulator) -> None:
        rows = self.file.whole(self.rows_name)
        first, last = np.searchsorted(rows, (start, stop))
        # Rows are distinct (checked), so that indexed addition adds each of them.
        part = self.file.rows(self.values_name, int(first), int(last)).astype(np.float64)
        part *= factor
        total[rows[first:last] - start] += part


def gradients(file: TensorFile, parameters: dict[str, TensorSpec]) -> dict[str, ParameterGradient]:
    """The file's gradients by parameter, each of which fits. Parameters without one count as zero.

    Raises `FeedbackUnusable` (WrongTensors: a name the model doesn't have, or none at all; WrongShape).
    """
    found: dict[str, ParameterGradient] = {}
    for name in gradient_names(file):
        if name not in parameters or parameters[name].dtype not in FLOATS:
            raise FeedbackUnusable("WrongTensors", f"the model has no trainable parameter {name!r}")
        found[name] = Dense(file, name) if name in file.tensors else Sparse(file, name)
        found[name].check(parameters[name])
    if not found:
        raise FeedbackUnusable("WrongTensors", "the file holds no gradient")
    return found


def norm(found: dict[str, ParameterGradient]) -> float:
    """L2 norm over all parameters. Raises `FeedbackUnusable` (NotFinite), naming the parameter."""
    total = 0.0
    for name, gradient in found.items():
        squared = gradient.squared_norm()
        if not math.isfinite(squared):
            raise FeedbackUnusable("NotFinite", f"the gradient of {name!r} has values that are NaN or infinite")
        total += squared
    return math.sqrt(total)


def _squared_norm(file: TensorFile, name: str) -> float:
    blocks = (file.rows(name, start, stop).astype(np.float64).ravel() for start, stop in file.tensors[name].blocks())
    return float(sum(np.dot(block, block) for block in blocks))


def _require_type(spec: TensorSpec, dtype: str) -> None:
    if spec.dtype != dtype:
        raise FeedbackUnusable("WrongTensors", f"{spec.name!r} has type {spec.dtype}, not {dtype}")


def _require_shape(spec: TensorSpec, shape: tuple[int, ...]) -> None:
    if spec.shape != shape:
        raise FeedbackUnusable("WrongShape", f"{spec.name!r} has shape {list(spec.shape)}, not {list(shape)}")
