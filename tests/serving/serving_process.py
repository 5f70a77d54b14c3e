"""`longtail-serving` as a real process, ended by its process id."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.serving.tiny_model import NAME, SCENARIO, Stored

_READY_SECONDS = 60.0


@dataclass
class ServingProcess:
    """A running `longtail-serving serve`."""

    process: subprocess.Popen[bytes]
    port: int
    termination_log: Path
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def infer_url(self) -> str:
        return f"{self.url}/v2/models/{NAME}/infer"

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def wait_until_ready(self) -> None:
        self._wait_for("ready")

    def wait_until_live(self) -> None:
        self._wait_for("live")

    def _wait_for(self, health: str) -> None:
        deadline = time.monotonic() + _READY_SECONDS
        while self.process.poll() is None and time.monotonic() < deadline:
            try:
                if httpx.get(f"{self.url}/v2/health/{health}", trust_env=False).status_code == 200:
                    return
            except httpx.TransportError:
                pass  # the port isn't open yet
            time.sleep(0.05)
        raise AssertionError(f"not {health} (exit code {self.process.poll()}):\n{self.log.read_text()}")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def serve_flags(stored: Stored, port: int, /, **changed: str) -> list[str]:
    flags = {"store-uri": stored.uri, "scenario": SCENARIO, "version": stored.version, "sha256": stored.sha256,
             "model-name": NAME, "port": str(port), "threads": "1"} | changed  # fmt: skip
    return [part for name, value in flags.items() for part in (f"--{name.replace('_', '-')}", value)]


@contextmanager
def started(stored: Stored, **changed: str) -> Generator[ServingProcess]:
    """Start the server; it is killed at the end where it still runs."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        termination_log, log = Path(folder) / "termination-log", Path(folder) / "log"
        arguments = ["serve", *serve_flags(stored, port, **changed), "--termination-log", str(termination_log)]
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "longtail_serving", *arguments], stdout=output, stderr=output, env=environment()
            )
        try:
            yield ServingProcess(process, port, termination_log, log)
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()


@contextmanager
def serving(stored: Stored, **changed: str) -> Generator[ServingProcess]:
    """A server that is ready."""
    with started(stored, **changed) as server:
        server.wait_until_ready()
        yield server


def environment() -> dict[str, str]:
    """This process' environment without flags of ours."""
    return {name: value for name, value in os.environ.items() if not name.startswith("LONGTAIL_")}
