"""A light model in ONNX Runtime."""
# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false

from pathlib import Path
from typing import Any, cast

import numpy as np
import onnxruntime

from longtail_api.store_objects import ModelCard
from longtail_serving.errors import ModelInvalid
from longtail_serving.sequences import sequences_of
from longtail_serving.tensors import Array

_ONNX_TYPES = {"BYTES": "tensor(string)", "FP32": "tensor(float)", "INT64": "tensor(int64)"}
_DTYPES: dict[str, Any] = {"BYTES": np.dtype(object), "FP32": np.dtype(np.float32), "INT64": np.dtype(np.int64)}
_FILL: dict[str, object] = {"BYTES": "", "FP32": 0.0, "INT64": 0}
_WARM_UP_ROWS = (1, 16)
_WARM_UP_LENGTH = 50
"""Longest sequence of the warm-up where the card names none."""

_SLICE_EVENTS = 16_384
_SLICE_PAIRS = 1 << 20
"""Of events of one row, which attention holds all of."""


def rows_of_a_slice(width: int) -> int:
    """How many rows go through the graph at once, of sequences so wide."""
    return max(1, min(_SLICE_EVENTS // max(1, width), _SLICE_PAIRS // max(1, width * width)))


class Model:
    """A loaded model. `scores` may be called from several threads at once."""

    def __init__(self, path: Path, card: ModelCard, threads: int) -> None:
        """Load the graph. Raises `ModelInvalid` where it can't be, or is not what its card says."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # Threads that spin between requests eat the container's CPU quota, and a throttled container has no p99.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime raises a dozen kinds without a common root
            raise ModelInvalid(f"model.onnx can't be loaded: {error}; train the scenario anew") from error
        self.card = card
        self._check_against_card()

    def scores(self, arrays: dict[str, Array], outputs: list[str]) -> list[Array]:
        """The named outputs for a batch; `arrays` holds every input of the card.

        A large batch goes through the graph in slices, so that what the graph needs does not grow with it.
        """
        most = rows_of_a_slice(max((array.shape[1] for array in arrays.values() if array.ndim > 1), default=1))
        rows = max((array.shape[0] for array in arrays.values() if array.ndim), default=1)
        if rows <= most:
            return cast(list[Array], self._session.run(outputs, arrays))
        slices = [
            cast(list[Array], self._session.run(outputs, {name: a[first : first + most] for name, a in arrays.items()}))
            for first in range(0, rows, most)
        ]
        return [np.concatenate(parts) for parts in zip(*slices, strict=True)]

    def warm_up(self) -> None:
        """Answer made-up batches, small and larger, of short and long sequences, so that no user meets a cold kernel.

        Raises `ModelInvalid` where the graph fails on one of them.
        """
        sequences = sequences_of(self.card)
        longest = max((sequence.most or _WARM_UP_LENGTH for sequence in sequences), default=1)
        outputs = [spec.name for spec in self.card.outputs]
        for rows in _WARM_UP_ROWS:
            for length in dict.fromkeys((0, 1, longest)) if sequences else (0,):
                arrays = {
                    spec.name: np.full(
                        [{-1: rows, -2: max(1, length)}.get(size, size) for size in spec.shape],
                        _FILL[spec.datatype],
                        dtype=_DTYPES[spec.datatype],
                    )
                    for spec in self.card.inputs
                }
                for sequence in sequences:
                    if sequence.length is not None:
                        arrays[sequence.length.name][:] = length
                try:
                    self.scores(arrays, outputs)
                except Exception as error:
                    raise ModelInvalid(
                        f"model.onnx fails on a made-up batch of {rows} rows with {length} events: {error}"
                    ) from error

    def _check_against_card(self) -> None:
        found = {node.name: node.type for node in self._session.get_inputs()}
        expected = {spec.name: _ONNX_TYPES[spec.datatype] for spec in self.card.inputs}
        if found != expected:
            differing = sorted(f"{name} {kind}" for name, kind in found.items() ^ expected.items())
            raise ModelInvalid(f"model.json and model.onnx differ in their inputs: {', '.join(differing)}")
        missing = {spec.name for spec in self.card.outputs} - {node.name for node in self._session.get_outputs()}
        if missing:
            raise ModelInvalid(f"model.onnx lacks outputs that model.json names: {', '.join(sorted(missing))}")
