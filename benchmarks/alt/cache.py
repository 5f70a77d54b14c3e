"""Outcomes of units, kept by the hash of all they depend on: a run of hours goes on where it stopped."""

import hashlib
import importlib.util
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.alt.protocol import Protocol
from benchmarks.alt.rows import Outcome, Unit

SOURCES = ("longtail_trainer", "longtail_operator.metaupdate", "benchmarks.alt.units")
"""Packages whose code makes the figures: a change of any starts afresh."""


@dataclass(frozen=True)
class Cache:
    """`rows/` holds outcomes, `stores/` what units left behind, `tables/` the samples as seeds split them."""

    folder: Path
    data: str
    """Hash of the data set's files."""
    source: str
    """Hash of the source that makes the figures."""
    protocol: Protocol

    def key(self, unit: Unit) -> str:
        content = {
            "unit": unit.model_dump(mode="json"),
            "protocol": self.protocol.model_dump(mode="json"),
            "data": self.data,
            "source": self.source,
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:24]

    def outcome(self, unit: Unit) -> Outcome | None:
        """None where the unit isn't done."""
        path = self._path(unit)
        return Outcome.model_validate_json(path.read_bytes()) if path.exists() else None

    def done(self, unit: Unit) -> Outcome:
        """The outcome of a unit that this one builds on. Raises `LookupError` where that failed."""
        outcome = self.outcome(unit)
        if outcome is None:
            raise LookupError(f"{unit.title()}: not done, so nothing can be built on it")
        return outcome

    def keep(self, unit: Unit, outcome: Outcome) -> None:
        path = self._path(unit)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}.part")
        part.write_text(outcome.model_dump_json())
        part.replace(path)

    def store(self, unit: Unit) -> Path:
        """Folder of the unit's own store."""
        return self.folder / "stores" / f"{unit.kind}-{self.key(unit)}"

    def tables(self, unit: Unit) -> Path:
        return self.folder / "tables" / self.key(unit)

    def log(self, unit: Unit) -> Path:
        """What the trainer's steps printed."""
        path = self.folder / "logs" / f"{unit.kind}-{self.key(unit)}.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def _path(self, unit: Unit) -> Path:
        return self.folder / "rows" / f"{unit.kind}-{self.key(unit)}.json"


def files_hash(root: Path, files: Iterable[Path]) -> str:
    """Of names and contents, whatever the order."""
    digest = hashlib.sha256()
    for path in sorted(files):
        with path.open("rb") as content:
            line = f"{path.relative_to(root).as_posix()} {hashlib.file_digest(content, 'sha256').hexdigest()}\n"
        digest.update(line.encode())
    return digest.hexdigest()


def data_hash(folder: Path) -> str:
    return files_hash(folder, (path for path in folder.rglob("*") if path.suffix in (".parquet", ".yaml")))


def source_hash(packages: Iterable[str] = SOURCES) -> str:
    digest = hashlib.sha256()
    for package in packages:
        found = importlib.util.find_spec(package)
        assert found is not None, f"no package {package}"
        root = Path((found.submodule_search_locations or [])[0])
        digest.update(f"{package} {files_hash(root, root.rglob('*.py'))}\n".encode())
    return digest.hexdigest()
