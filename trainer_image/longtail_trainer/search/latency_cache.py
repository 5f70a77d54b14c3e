"""A latency table is measured once per machine, and kept in a folder of it."""

import hashlib
import json
import logging
import os
import platform
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnxruntime
import torch
from pydantic import ValidationError

import longtail_trainer
from longtail_api.light_model_search import SearchSpace
from longtail_api.store_objects import Features, LightArchitecture
from longtail_trainer.models.alt_light.model import LightModel, default_heads
from longtail_trainer.running.resume import ResumePoint
from longtail_trainer.search.budget import NANOSECONDS
from longtail_trainer.search.latency_table import LatencyTable, ScaledCopies, measure_table
from longtail_trainer.search.spaces.alt_cell import Costs, any_architecture

log = logging.getLogger(__name__)

FOLDER_VARIABLE = "LONGTAIL_CACHE"
RESUME_POINT = "latency-table"
PROCESSORS = Path("/proc/cpuinfo")
STEP = 100
"""Nanoseconds that predictions are rounded to: far below their error, and sums coincide, so that fewer are compared."""


@dataclass(frozen=True)
class LatencyParts:
    """What a table is about: light models of these features and names, round layers of these operations.

    architecture: any of the space; its width, number of layers, heads and target attention count.
    """

    features: Features
    names: Sequence[str]
    architecture: LightArchitecture
    operations: tuple[str, ...]


Measure = Callable[[LatencyParts], LatencyTable]


def measured_table(parts: LatencyParts) -> LatencyTable:
    """Measure the table; torch's random state is left alone."""
    layers = len(parts.architecture.layers)
    with torch.random.fork_rng():
        model = LightModel(parts.features, parts.architecture, parts.names, lambda _: ScaledCopies(layers))
    return measure_table(model, layers, [encoder.shape for encoder in model.encoders()], parts.operations)


def cache_folder() -> Path:
    """`$LONGTAIL_CACHE`, else `longtail` in the user's cache folder, or in that of temporary files if nobody's home."""
    if given := os.environ.get(FOLDER_VARIABLE):
        return Path(given)
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "longtail"
    except RuntimeError:  # a container's user need not be in its list of users
        return Path(tempfile.gettempdir()) / "longtail"


def parts_of(features: Features, spec: SearchSpace, names: list[str]) -> LatencyParts:
    """What the table of a search is about."""
    operations = tuple(dict.fromkeys(spec.operations))
    heads = default_heads(spec.width)
    architecture = any_architecture(spec.width, spec.layers, heads, operations[0], spec.target_attention)
    return LatencyParts(features, names, architecture, operations)


def table_of_search(parts: LatencyParts, resume: ResumePoint, measure: Measure = measured_table) -> LatencyTable:
    """The table that an earlier attempt at the same search had, else this machine's.

    An attempt that resumes on another machine, or after its cache is gone, so ends as it would have uninterrupted.
    """
    saved = _valid(resume.load(RESUME_POINT), parts, RESUME_POINT)
    if saved is not None:
        return saved
    table = table_of_machine(parts, measure=measure)
    resume.save(RESUME_POINT, _written(table))
    return table


def table_of_machine(
    parts: LatencyParts, folder: Path | None = None, measure: Measure = measured_table
) -> LatencyTable:
    """The table in this machine's cache folder; measured and put there where it isn't.

    A file that can't be read or isn't a table is measured anew, one that can't be written is a line of log.
    """
    path = (folder or cache_folder()) / f"latency-{table_key(parts)}.json"
    try:
        kept = _valid(path.read_bytes(), parts, str(path))
    except FileNotFoundError:
        kept = None
    except OSError as error:
        log.warning("the latency table can't be read, so it is measured again: %s", error)
        kept = None
    if kept is not None:
        return kept
    table = measure(parts)
    try:
        _keep(path, _written(table))
    except OSError as error:
        log.warning("the latency table can't be kept, so the next search measures again: %s", error)
    return table


def predicted_costs(table: LatencyTable) -> Costs:
    """Nanoseconds of p99 by part, as choices add them up."""

    def nanoseconds(milliseconds: float) -> int:
        return STEP * round(table.tail * milliseconds * NANOSECONDS / STEP)

    each = {name: nanoseconds(milliseconds) for name, milliseconds in table.operations.items()}
    return Costs(nanoseconds(table.fixed), each, nanoseconds(table.edge))


def table_key(parts: LatencyParts) -> str:
    """Hash of all that decides the times: processor, runtime, the trainer's code, sizes and features."""
    architecture = parts.architecture
    decides = {
        "processor": processor(),
        "onnxruntime": onnxruntime.__version__,
        "code": _source_hash(),
        "width": architecture.width,
        "layers": len(architecture.layers),
        "heads": architecture.attention_heads,
        "targetAttention": architecture.target_attention,
        "operations": sorted(parts.operations),
        "features": parts.features.to_json_dict(),  # its schema has the sequences' lengths
        "names": list(parts.names),
    }
    return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:32]


def processor() -> str:
    """The model name that Linux gives of the first processor; elsewhere the machine's kind."""
    try:
        lines = PROCESSORS.read_text().splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())


def _source_hash() -> str:
    """Of all modules of this trainer, which operations, models and graphs come from: a version that nobody forgets."""
    digest = hashlib.sha256()
    root = Path(longtail_trainer.__file__).parent
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()


def _written(table: LatencyTable) -> bytes:
    return table.model_dump_json(by_alias=True, indent=1).encode()


def _valid(content: bytes | None, parts: LatencyParts, where: str) -> LatencyTable | None:
    """The table, where `content` is one of these operations."""
    if content is None:
        return None
    try:
        table = LatencyTable.model_validate_json(content)
    except ValidationError as error:
        log.warning("%s is no latency table, so it is measured again: %s", where, error)
        return None
    return table if set(table.operations) == set(parts.operations) else None


def _keep(path: Path, content: bytes) -> None:
    """Whole or not at all: another search may read at the same time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        whole = Path(folder) / path.name
        whole.write_bytes(content)
        whole.replace(path)
