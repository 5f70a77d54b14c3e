"""Outcomes of pieces of work, kept by the hash of all they depend on: a run of hours goes on where it stopped."""

import hashlib
import importlib.util
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from benchmarks.comparison.rows import Frozen, Outcome, Work

OutcomeType = TypeVar("OutcomeType", bound=Outcome[Any])
ProtocolType = TypeVar("ProtocolType", bound=Frozen)


@dataclass(frozen=True)
class Cache(Generic[OutcomeType, ProtocolType]):
    """`rows/` holds outcomes, `stores/` what pieces of work left behind, `tables/` the samples as seeds split them."""

    folder: Path
    data: str
    """Hash of the data set's files."""
    source: str
    """Hash of the source that makes the figures."""
    protocol: ProtocolType
    """All else that a comparison is made with."""
    outcomes: type[OutcomeType]

    def key(self, work: Work) -> str:
        content = {
            "unit": work.model_dump(mode="json"),
            "protocol": self.protocol.model_dump(mode="json"),
            "data": self.data,
            "source": self.source,
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:24]

    def outcome(self, work: Work) -> OutcomeType | None:
        """None where it isn't done."""
        path = self._path(work)
        return self.outcomes.model_validate_json(path.read_bytes()) if path.exists() else None

    def done(self, work: Work) -> OutcomeType:
        """The outcome of a piece of work that another builds on. Raises `LookupError` where that failed."""
        outcome = self.outcome(work)
        if outcome is None:
            raise LookupError(f"{work.title()}: not done, so nothing can be built on it")
        return outcome

    def keep(self, work: Work, outcome: OutcomeType) -> None:
        path = self._path(work)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}.part")
        part.write_text(outcome.model_dump_json())
        part.replace(path)

    def store(self, work: Work) -> Path:
        """Folder of the work's own store."""
        return self.folder / "stores" / f"{work.kind}-{self.key(work)}"

    def tables(self, work: Work) -> Path:
        return self.folder / "tables" / self.key(work)

    def log(self, work: Work) -> Path:
        """What the trainer's steps printed."""
        path = self.folder / "logs" / f"{work.kind}-{self.key(work)}.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def _path(self, work: Work) -> Path:
        return self.folder / "rows" / f"{work.kind}-{self.key(work)}.json"


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


def source_hash(names: Iterable[str]) -> str:
    """Of the Python files of these packages and modules: those whose code makes the figures."""
    digest = hashlib.sha256()
    for name in names:
        found = importlib.util.find_spec(name)
        assert found is not None, f"no package or module {name}"
        if found.submodule_search_locations:
            root = Path(found.submodule_search_locations[0])
            files = list(root.rglob("*.py"))
        else:
            path = Path(found.origin or "")
            root, files = path.parent, [path]
        digest.update(f"{name} {files_hash(root, files)}\n".encode())
    return digest.hexdigest()
