"""How much disk all of it takes, and which part how much."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.devcluster import layout


def sizes(state: layout.State) -> dict[str, int]:
    """Bytes on disk of each part that is there, largest first."""
    found = {name: size for name, folders in _parts(state).items() if (size := folder_size(folders))}
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def folders(state: layout.State) -> list[Path]:
    """Where everything lies that set-up and tests put on the disk, save packages of the system and temporary files."""
    return [layout.REPOSITORY / ".venv", layout.uv_cache(), layout.cache(), state.root]


def _parts(state: layout.State) -> dict[str, list[Path]]:
    return {
        "environment, uv's cache": [layout.REPOSITORY / ".venv", layout.uv_cache()],
        "programs": [layout.cache() / "binaries"],
        "Go's build cache": [layout.cache() / "go-build"],
        "Go's modules": [layout.cache() / "go-mod"],
        "registry": [state.registry],
        "containerd's images": [state.containerd_root],
        "buildah": [state.buildah],
        "node": [state.node],
    }


def folder_size(folders: Sequence[Path]) -> int:
    """Bytes on disk below the folders together, a file with several links counted once; mounts are not entered."""
    there = [str(folder) for folder in folders if folder.exists()]
    if not there:
        return 0
    command = ["du", "--summarize", "--total", "--one-file-system", "--block-size=1", *there]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    return int(result.stdout.splitlines()[-1].split()[0])
