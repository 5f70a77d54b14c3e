"""safetensors files, read and written a block of rows at a time, so that memory does not follow a tensor's size."""

# safetensors has no types of its own.
# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false

import hashlib
import json
import math
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open

from longtail_store.errors import Corrupt

Array = npt.NDArray[Any]

BLOCK_BYTES = 4 << 20
_NUMPY_TYPES: dict[str, str] = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "|i1",
    "U8": "|u1",
    "BOOL": "|b1",
}


@dataclass(frozen=True)
class TensorSpec:
    """Name, type (safetensors' word: F32, I64, …) and shape of one tensor in a file."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def row_bytes(self) -> int:
        """Bytes of one step along the first axis."""
        return np.dtype(_NUMPY_TYPES[self.dtype]).itemsize * math.prod(self.shape[1:])

    @property
    def bytes(self) -> int:
        return np.dtype(_NUMPY_TYPES[self.dtype]).itemsize * math.prod(self.shape)

    def blocks(self, block_bytes: int = BLOCK_BYTES) -> Iterator[tuple[int, int]]:
        """Ranges [start, stop) of the first axis, each of some `block_bytes`; a scalar counts as one row."""
        rows = self.shape[0] if self.shape else 1
        step = max(1, block_bytes // max(1, self.row_bytes))
        return ((start, min(start + step, rows)) for start in range(0, rows, step))


class TensorFile:
    """An open safetensors file."""

    def __init__(self, path: Path, opened: Any) -> None:
        self.path = path
        self._file = opened
        self.metadata: dict[str, str] = dict(opened.metadata() or {})
        self.tensors: dict[str, TensorSpec] = {}
        """In the order of the file."""
        for name in cast("list[str]", opened.offset_keys()):
            part = opened.get_slice(name)
            dtype = str(part.get_dtype())
            if dtype not in _NUMPY_TYPES:
                raise Corrupt(f"tensor {name!r} has type {dtype}; store one of {', '.join(_NUMPY_TYPES)}")
            self.tensors[name] = TensorSpec(name, dtype, tuple(part.get_shape()))

    def rows(self, name: str, start: int, stop: int) -> Array:
        """Rows [start, stop) of a tensor; all of a scalar."""
        spec = self.tensors[name]
        if not spec.shape:
            return cast("Array", self._file.get_tensor(name))
        if start >= stop:  # safetensors takes an empty slice for one out of bounds
            return np.empty((0, *spec.shape[1:]), _NUMPY_TYPES[spec.dtype])
        return cast("Array", self._file.get_slice(name)[start:stop])

    def whole(self, name: str) -> Array:
        return cast("Array", self._file.get_tensor(name))


@contextmanager
def open_tensor_file(path: Path) -> Generator[TensorFile]:
    """Open a safetensors file for reading. Raises `Corrupt` where it is none."""
    try:
        opened = safe_open(path, framework="numpy")
    except (SafetensorError, OSError) as error:
        raise Corrupt(f"not a safetensors file: {error}") from error
    with opened as file:
        yield TensorFile(path, file)


def payload_sha256(file: TensorFile) -> str:
    """Hash of every tensor by name, as `FeedbackMetadata.payload_sha256` says."""
    digest = hashlib.sha256()
    for name in sorted(file.tensors):
        spec = file.tensors[name]
        digest.update(f"{name}\t{spec.dtype}\t{','.join(map(str, spec.shape))}\n".encode())
        for start, stop in spec.blocks():
            digest.update(np.ascontiguousarray(file.rows(name, start, stop)).data)
    return digest.hexdigest()


def write_tensor_file(
    path: Path, tensors: Iterable[TensorSpec], blocks: Iterable[Array], metadata: Mapping[str, str] | None = None
) -> None:
    """Write a safetensors file from blocks of rows that follow each other as `tensors` say.

    safetensors' own writer wants all tensors in memory. Raises `ValueError` where the blocks do not add up.
    """
    header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    end = 0
    for spec in tensors:
        header[spec.name] = {"dtype": spec.dtype, "shape": spec.shape, "data_offsets": (end, end + spec.bytes)}
        end += spec.bytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for block in blocks:
            file.write(np.ascontiguousarray(block).data)
        written = file.tell() - 8 - len(text)
    if written != end:
        raise ValueError(f"{path.name}: the blocks hold {written} bytes, the tensors {end}")
