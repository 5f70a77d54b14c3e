"""The manifests of `invalid/` and `valid/`: what is in a file, and what its head says."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parent
MANIFESTS = FOLDER.parents[1] / "manifests"
EXAMPLES = sorted([*(MANIFESTS / "examples").glob("*.yaml"), *(MANIFESTS / "gpu").glob("*.yaml")])


@dataclass(frozen=True)
class ManifestFile:
    """One document, or two: what is created, and what it is changed to."""

    path: Path
    documents: list[dict[str, Any]]
    expected: list[str]
    server_only: bool
    """Whether the models can't tell: what only the API server knows."""


def read(path: Path) -> ManifestFile:
    text = path.read_text()
    head = [line[2:].partition(": ") for line in text.splitlines() if line.startswith("# ")]
    return ManifestFile(
        path,
        list(yaml.safe_load_all(text)),
        [rest for word, _, rest in head if word == "expect"],
        any(word == "server only" for word, _, _ in head),
    )


def files(folder: str) -> list[ManifestFile]:
    return [read(path) for path in sorted((FOLDER / folder).glob("*.yaml"))]


INVALID = files("invalid")
VALID = files("valid")


def name_of(file: ManifestFile | Path) -> str:
    """What pytest calls a case."""
    return (file.path if isinstance(file, ManifestFile) else file).stem
