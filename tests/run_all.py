"""`make test`: every tier in turn, the real cluster among them, with the peak of disk use at the end.

The cluster is left as it was found: where it ran before, it goes on running; else it is taken down again.
"""

import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

from tests.devcluster import layout

ROOT = layout.REPOSITORY
PYTEST = [sys.executable, "-m", "pytest", "-q"]
GIB = 1024**3


class DiskPeak:
    """The most disk in use since the start, above what was used before anything of ours was there."""

    def __init__(self, interval: float = 2.0) -> None:
        ours = sum(folder_size(folder) for folder in (layout.cache(), ROOT / ".venv"))
        self._base = shutil.disk_usage(ROOT).used - ours
        self._peak = shutil.disk_usage(ROOT).used
        self._ended = threading.Event()
        self._interval = interval
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._ended.wait(self._interval):
            self._peak = max(self._peak, shutil.disk_usage(ROOT).used)

    def end(self) -> float:
        """The peak in GiB: environment, caches, images and clusters together."""
        self._ended.set()
        self._thread.join()
        return (max(self._peak, shutil.disk_usage(ROOT).used) - self._base) / GIB


def folder_size(folder: Path) -> int:
    """Bytes on disk below a folder, a file with several links counted once."""
    result = subprocess.run(["du", "-s", "--block-size=1", folder], capture_output=True, text=True, check=False)
    return int(result.stdout.split()[0]) if result.stdout else 0


def main() -> int:
    started = time.monotonic()
    disk = DiskPeak()
    devcluster = [sys.executable, "-m", "tests.devcluster"]
    ran_before = subprocess.run([*devcluster, "status"], capture_output=True, check=False).returncode == 0
    code = run([*PYTEST, "-m", "not cluster"])
    if code == 0:
        try:
            code = run([*devcluster, "up"]) or run([*PYTEST, "-m", "cluster"])
        finally:
            if not ran_before and "KUBECONFIG" not in os.environ:
                code = run([*devcluster, "down"]) or run([*devcluster, "leftovers"]) or code
    print(f"\nmake test: {time.monotonic() - started:.0f} s, peak of disk use {disk.end():.1f} GiB", flush=True)
    return code


def run(command: list[str]) -> int:
    print(f"\n$ {' '.join(command[1:])}", flush=True)
    return subprocess.run(command, cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
