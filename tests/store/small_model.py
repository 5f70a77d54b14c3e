"""A model of a few numbers, its feedback, and files that are broken in every way a feedback can be."""

import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from longtail_api.architecture import Architecture
from longtail_api.store_layout import feedback_key
from longtail_api.store_objects import AltHeavy, MetaUpdateParameters, Version
from longtail_store import Chain, Committed, Lost, Store, new_nonce
from longtail_store.feedback import Gradient, RowSparse, write_feedback
from longtail_store.file_store import FileStore

MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""A folder where syncing costs nothing; None is the system's temporary one."""

PARAMETERS = MetaUpdateParameters(learning_rate=0.1, staleness_exponent=0.5, clip_norm=2.0)
SHAPES: dict[str, tuple[int, ...]] = {"bias": (), "embedding": (6, 3), "weight": (4, 3)}
ROW_SPARSE = "embedding"


def parameters(seed: int) -> dict[str, np.ndarray]:
    """Checkpoint tensors: float32 parameters, and a counter that no gradient touches."""
    random = np.random.default_rng(seed)
    tensors = {name: random.normal(size=shape).astype(np.float32) for name, shape in SHAPES.items()}
    return {name: np.asarray(value) for name, value in tensors.items()} | {"seen": np.array([seed], np.int64)}


def dense_gradients(seed: int) -> dict[str, np.ndarray]:
    """One gradient per parameter; the embedding's has rows of zeros. Norms lie on both sides of the clip norm."""
    random = np.random.default_rng(seed)
    size = random.uniform(0.1, 1.5)
    gradients = {name: np.asarray(random.normal(size=shape) * size, np.float32) for name, shape in SHAPES.items()}
    gradients[ROW_SPARSE][random.random(SHAPES[ROW_SPARSE][0]) < 0.5] = 0
    return gradients


def as_handed_in(gradients: Mapping[str, np.ndarray], *, row_sparse: bool) -> dict[str, Gradient]:
    """The same gradients, the embedding's in row-sparse form where asked for."""
    handed: dict[str, Gradient] = dict(gradients)
    if row_sparse and ROW_SPARSE in gradients:
        rows = np.flatnonzero(np.any(gradients[ROW_SPARSE] != 0, axis=1))
        handed[ROW_SPARSE] = RowSparse(rows, gradients[ROW_SPARSE][rows])
    return handed


def commit_generation(store: Store, tensors: Mapping[str, np.ndarray], nonce: str | None = None) -> Committed | Lost:
    """Start the chain, or its next generation, with these parameters."""
    chain = Chain(store)
    head = chain.head()
    number = head.number + 1 if head else 1
    nonce = nonce or new_nonce()
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        path = Path(folder, "fresh.safetensors")
        save_file(dict(tensors), path)
        checkpoint = chain.write_checkpoint(number, nonce, path)
    return chain.commit(
        Version(
            number=number,
            kind="initial",
            generation=head.generation + 1 if head else 1,
            checkpoint=checkpoint,
            features_sha256="0" * 64,
            model=AltHeavy(encoder="LSTM", architecture=Architecture()),
            schema_hash=f"schema-{number}",
            pool=["data/team.first.0000000a/d1/manifest.json"],
            settled=head.settled if head else {},
            settled_segments=head.settled_segments if head else {},
            folded_count=head.folded_count if head else 0,
            rejected_count=head.rejected_count if head else 0,
            nonce=nonce,
            created=datetime(2026, 1, 1, tzinfo=UTC),
        )
    )


def checkpoint_of(store: Store, version: Version) -> dict[str, np.ndarray]:
    """The parameters of a version, its hash verified."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        path = Path(folder, "checkpoint.safetensors")
        Chain(store).load_checkpoint(version.checkpoint, path)
        return load_file(path)


def feedback_bytes(scenario: str, run: int, base_version: int, generation: int, seed: int) -> bytes:
    """A right feedback file, to be damaged."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        aside = FileStore(Path(folder))
        write_feedback(
            aside,
            dense_gradients(seed),
            scenario=scenario,
            run=run,
            base_version=base_version,
            generation=generation,
            examples=7,
            loss=0.5,
        )
        return aside.get(feedback_key(scenario, run))


def with_last_byte_flipped(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])
