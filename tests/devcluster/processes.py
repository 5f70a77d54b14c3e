"""Processes that outlive the command that started them, ended only by a pid that is proven to be still theirs."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.devcluster.errors import ClusterError


@dataclass(frozen=True)
class Record:
    """A process of ours. `started` (clock ticks since boot) tells it from a later one that got the same pid."""

    name: str
    pid: int
    started: int
    command: list[str]

    @property
    def alive(self) -> bool:
        return start_time(self.pid) == self.started


def start_time(pid: int) -> int | None:
    """When the process started, in clock ticks since boot; None where there is none, or only its zombie."""
    try:
        # The name, in parentheses, may itself hold spaces and parentheses.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


class Processes:
    """The recorded processes of one cluster: a JSON file each below `records`, a log each below `logs`."""

    def __init__(self, records: Path, logs: Path) -> None:
        self._records = records
        self._logs = logs

    def log(self, name: str) -> Path:
        return self._logs / f"{name}.log"

    def all(self) -> list[Record]:
        """Every recorded process, in the order in which they were started; also those that have died."""
        paths = sorted(self._records.glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
        return [Record(**json.loads(path.read_text())) for path in paths]

    def alive(self, name: str) -> bool:
        return any(record.name == name and record.alive for record in self.all())

    def start(self, name: str, command: Sequence[str | Path], environment: Mapping[str, str] | None = None) -> bool:
        """Start a program in a session of its own, unless it runs already. True where it was started now."""
        if self.alive(name):
            return False
        self._records.mkdir(parents=True, exist_ok=True)
        self._logs.mkdir(parents=True, exist_ok=True)
        words = [str(word) for word in command]
        with self.log(name).open("ab") as log:
            process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=os.environ | dict(environment or {}),
                cwd="/",
            )
        record = Record(name, process.pid, start_time(process.pid) or 0, words)
        (self._records / f"{name}.json").write_text(json.dumps(asdict(record)))
        # The process is to outlive this one: without this, Python warns that it was never waited for.
        process.returncode = 0
        return True

    def wait(self, name: str, ready: Callable[[], bool], seconds: float = 60) -> None:
        """Wait until `ready()`. Raises `ClusterError` with the log's end where the process dies or time runs out."""
        deadline = time.monotonic() + seconds
        while not ready():
            if not self.alive(name):
                raise ClusterError(f"{name} ended; the end of {self.log(name)}:\n{self.last_words(name)}")
            if time.monotonic() > deadline:
                raise ClusterError(
                    f"{name} not ready after {seconds:.0f} s; the end of {self.log(name)}:\n{self.last_words(name)}"
                )
            time.sleep(0.05)

    def last_words(self, name: str, lines: int = 15) -> str:
        path = self.log(name)
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:]) if path.exists() else ""

    def stop(self, name: str, seconds: float = 10) -> None:
        """End the process, gently first; no effect where it is gone."""
        for record in self.all():
            if record.name == name:
                end_recorded(record, seconds)
                (self._records / f"{name}.json").unlink(missing_ok=True)


def end_recorded(record: Record, seconds: float = 10) -> None:
    for signal_, patience in ((signal.SIGTERM, seconds), (signal.SIGKILL, 5.0)):
        deadline = time.monotonic() + patience
        if record.alive:
            os.kill(record.pid, signal_)
        while record.alive and time.monotonic() < deadline:
            _reap(record.pid)
            time.sleep(0.02)


def _reap(pid: int) -> None:
    with contextlib.suppress(ChildProcessError):  # Started by an earlier command: init reaps it.
        os.waitpid(pid, os.WNOHANG)


def end(process: subprocess.Popen[bytes]) -> None:
    """End a child of this process, gently and then not."""
    process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def free_port() -> int:
    """A loopback port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def listens(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True
