"""Feedback files: the gradient of one scenario run's query loss (ALT III-C), as safetensors with metadata."""

# safetensors has no types of its own.
# pyright: reportUnknownVariableType=false

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save_file

from longtail_api.store_layout import feedback_key
from longtail_api.store_objects import FeedbackMetadata
from longtail_store.chain import new_nonce
from longtail_store.errors import Conflict, Corrupt, FeedbackUnusable, ObjectMissing, StoreError
from longtail_store.store import Store
from longtail_store.tensor_file import TensorFile, open_tensor_file, payload_sha256
from longtail_store.typed_objects import parse_object

METADATA_NAME = "longtail"
ROWS = "#rows"
VALUES = "#values"


@dataclass(frozen=True)
class RowSparse:
    """An embedding's gradient: zero outside the rows named."""

    rows: npt.NDArray[np.int64]
    """(k,), distinct, ascending."""
    values: npt.NDArray[np.float32]
    """(k, width)."""


Gradient = npt.NDArray[np.float32] | RowSparse


class FeedbackConflict(Conflict):
    """The run's feedback is there already, with other content; `stored` is what stands."""

    def __init__(self, message: str, stored: FeedbackMetadata) -> None:
        super().__init__(message)
        self.stored = stored


def write_feedback(
    store: Store,
    gradients: Mapping[str, Gradient],
    *,
    scenario: str,
    run: int,
    base_version: int,
    generation: int,
    examples: int,
    loss: float,
) -> FeedbackMetadata:
    """Hand in the feedback of one run. Once this returns, it will be folded or recorded as rejected.

    Gradients are named as in the checkpoint, float32 and of its shapes; a parameter without one counts as zero.
    A repeated call (a retried container, a lost response) with the same base and payload adopts what is stored.
    Raises `FeedbackConflict` where the run has handed in something else.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "feedback.safetensors")
        tensors = _stored_tensors(gradients)
        save_file(tensors, path)
        with open_tensor_file(path) as file:
            digest = payload_sha256(file)
        metadata = FeedbackMetadata(
            scenario=scenario,
            run=run,
            base_version=base_version,
            generation=generation,
            examples=examples,
            loss=loss,
            payload_sha256=digest,
            nonce=new_nonce(),
        )
        save_file(tensors, path, {METADATA_NAME: metadata.to_bytes().decode()})
        key = feedback_key(scenario, run)
        stored_path = Path(folder, "stored.safetensors")
        while True:
            if store.put_if_absent(key, path):
                return metadata
            try:
                store.download(key, stored_path)
                break
            except ObjectMissing:
                continue  # it was settled and removed meanwhile; a repetition of it is harmless
        with open_tensor_file(stored_path) as file:
            stored = feedback_metadata(file, key)
    if (stored.payload_sha256, stored.base_version) != (digest, base_version):
        raise FeedbackConflict(f"{store!r}: {key} already holds another feedback of this run", stored)
    return stored


def read_feedback(store: Store, scenario: str, run: int) -> tuple[FeedbackMetadata, dict[str, Gradient]]:
    """The whole feedback, in memory. Raises `ObjectMissing`, and `FeedbackUnusable` (Unreadable, WrongHash)."""
    key = feedback_key(scenario, run)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "feedback.safetensors")
        store.download(key, path)
        try:
            with open_tensor_file(path) as file:
                metadata = verified_metadata(file, scenario, run)
                gradients: dict[str, Gradient] = {}
                for name in gradient_names(file):
                    if name in file.tensors:
                        gradients[name] = file.whole(name)
                    else:
                        gradients[name] = RowSparse(file.whole(name + ROWS), file.whole(name + VALUES))
                return metadata, gradients
        except Corrupt as error:
            raise FeedbackUnusable("Unreadable", f"{key}: {error}") from error


def verified_metadata(file: TensorFile, scenario: str, run: int) -> FeedbackMetadata:
    """The metadata of a feedback file, after checking that it is this run's and that the payload has its hash.

    Raises `FeedbackUnusable` (Unreadable, WrongHash).
    """
    key = feedback_key(scenario, run)
    try:
        metadata = feedback_metadata(file, key)
    except StoreError as error:
        raise FeedbackUnusable("Unreadable", str(error)) from error
    if (metadata.scenario, metadata.run) != (scenario, run):
        raise FeedbackUnusable("Unreadable", f"{key}: says that it is run {metadata.run} of {metadata.scenario}")
    found = payload_sha256(file)
    if found != metadata.payload_sha256:
        raise FeedbackUnusable("WrongHash", f"{key}: payload has sha256 {found}, metadata {metadata.payload_sha256}")
    return metadata


def feedback_metadata(file: TensorFile, key: str) -> FeedbackMetadata:
    """The metadata as it stands in the file. Raises `Corrupt`, `SchemaVersionUnsupported`."""
    text = file.metadata.get(METADATA_NAME)
    if text is None:
        raise Corrupt(f"{key}: the file has no metadata {METADATA_NAME!r}")
    return parse_object(text, FeedbackMetadata, f"{key}: metadata")


def gradient_names(file: TensorFile) -> list[str]:
    """Names of the parameters the file has gradients of, in order. Raises `FeedbackUnusable` (WrongTensors)."""
    names: list[str] = []
    for name in sorted(file.tensors):
        plain = name.removesuffix(ROWS).removesuffix(VALUES)
        if plain == name:
            names.append(name)
            continue
        if plain in file.tensors or plain + ROWS not in file.tensors or plain + VALUES not in file.tensors:
            raise FeedbackUnusable("WrongTensors", f"{name}: needs {plain}{ROWS} and {plain}{VALUES}, and no {plain}")
        if name.endswith(ROWS):
            names.append(plain)
    return names


def _stored_tensors(gradients: Mapping[str, Gradient]) -> dict[str, npt.NDArray[np.generic]]:
    tensors: dict[str, npt.NDArray[np.generic]] = {}
    for name, gradient in gradients.items():
        if isinstance(gradient, RowSparse):
            tensors[name + ROWS] = np.array(gradient.rows, dtype=np.int64, order="C")
            tensors[name + VALUES] = np.array(gradient.values, dtype=np.float32, order="C")
        else:
            tensors[name] = np.array(gradient, dtype=np.float32, order="C")
    return tensors
