"""`make test`: every tier, the real cluster last, with the peak of disk use at the end.

The cluster is left as it was found: where it ran before, it goes on running; else it is taken down again.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.devcluster import disk, layout

ROOT = layout.REPOSITORY
PYTEST = [sys.executable, "-m", "pytest", "-q"]
# As in `make test-fast`. Servers, and the one operator or cluster beside them, are tested in one process.
PARALLEL = ["--numprocesses", "auto", "--maxprocesses", "4", "--dist", "worksteal"]
GIGABYTE = 10**9


class DiskPeak:
    """The most disk in use since the start, above what was used before anything of ours was there.

    What is there at the start counts as ours where we put it: the environment, uv's cache of packages, and our own
    (programs, images, the cluster). Where other projects share uv's cache, the figure is too high by their packages.
    """

    def __init__(self, ours: int, used: Callable[[], int], interval: float = 1.0) -> None:
        """`ours`: bytes of what is there already; `used`: reads the bytes in use on the disk at this moment."""
        self._used = used
        self._peak = used()
        self._base = self._peak - ours
        self._ended = threading.Event()
        self._interval = interval
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._ended.wait(self._interval):
            self._peak = max(self._peak, self._used())

    def end(self) -> int:
        """The peak in bytes."""
        self._ended.set()
        self._thread.join()
        return max(self._peak, self._used()) - self._base


def one_of_each_file_system(folders: Sequence[Path]) -> list[Path]:
    """The first of the folders that lie on the same file system; those that do not exist count as their parents."""
    there = [next(path for path in (folder, *folder.parents) if path.exists()) for folder in folders]
    return list({folder.stat().st_dev: folder for folder in reversed(there)}.values())


def used(folders: Sequence[Path]) -> int:
    """Bytes in use on the file systems of the folders."""
    return sum(shutil.disk_usage(folder).used for folder in folders)


def main() -> int:
    started = time.monotonic()
    ours = disk.folders(layout.state())
    watched = one_of_each_file_system([ROOT, Path(tempfile.gettempdir()), *ours])
    peak = DiskPeak(disk.folder_size(ours), lambda: used(watched))
    devcluster = [sys.executable, "-m", "tests.devcluster"]
    ran_before = subprocess.run([*devcluster, "status"], capture_output=True, check=False).returncode == 0
    # Before the tests that need them: on a new machine a build takes longer than any test may. Beside the tests that
    # need none it takes what these leave of the cores.
    programs = ["versitygw"] if "KUBECONFIG" in os.environ else []
    building = started_process(["nice", *devcluster, "build", *programs])
    code = run([*PYTEST, *PARALLEL, "-m", "not cluster and not api and not s3"])
    code = building.wait() or code
    if code == 0:
        try:
            code = run([*devcluster, "up"]) or servers_then_cluster(devcluster)
        finally:
            if not ran_before and "KUBECONFIG" not in os.environ:
                code = run([*devcluster, "down"]) or run([*devcluster, "leftovers"]) or code
    print(
        f"\nmake test: {time.monotonic() - started:.0f} s, peak of disk use {peak.end() / GIGABYTE:.1f} GB", flush=True
    )
    return code


def servers_then_cluster(devcluster: list[str]) -> int:
    """The exit code of the tests on servers, and then of those on the cluster, which is up.

    Its images are built beside the former, which leave a core idle, and before the latter, which measure latencies.
    """
    if "KUBECONFIG" in os.environ:
        return run([*PYTEST, "-m", "(api or s3) and not cluster"]) or run([*PYTEST, "-m", "cluster"])
    images = started_process(["nice", *devcluster, "images"])
    code = run([*PYTEST, "-m", "(api or s3) and not cluster"])
    return images.wait() or code or run([*PYTEST, "-m", "cluster"])


def run(command: list[str]) -> int:
    """The exit code."""
    return started_process(command).wait()


def started_process(command: list[str]) -> subprocess.Popen[bytes]:
    print(f"\n$ {' '.join(command)}", flush=True)
    return subprocess.Popen(command, cwd=ROOT)


if __name__ == "__main__":
    sys.exit(main())
