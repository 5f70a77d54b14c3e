"""Two pods of an Indexed Job on this machine: groups of processes that are started again until each has succeeded."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

NODES = 2
ATTEMPTS = 8
"""Of one pod; more would be no accident."""
PERMANENT = (64, 65, 66)


class PodFailed(Exception):
    """A pod ended in a way that its Job would not try again."""


def children_of(process: int) -> list[int]:
    """The ids of its children, and theirs."""
    found: list[int] = []
    with suppress(FileNotFoundError, ProcessLookupError):
        for thread in Path(f"/proc/{process}/task").iterdir():
            for child in (thread / "children").read_text().split():
                found += [int(child), *children_of(int(child))]
    return found


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@dataclass
class Pod:
    """One node's processes; `exit_codes` of its attempts so far."""

    command: Sequence[str]
    environment: dict[str, str]
    log: Path
    exit_codes: list[int] = field(default_factory=list[int])
    process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self.environment},
            )

    @property
    def succeeded(self) -> bool:
        return bool(self.exit_codes) and self.exit_codes[-1] == 0

    def kill(self) -> bool:
        """All its processes, as where a node is lost; False, and nothing, where it has ended."""
        if self.process is None or self.process.poll() is not None:
            return False
        # The parent first: it would end the others in good order.
        every = [self.process.pid, *children_of(self.process.pid)]
        for process in every:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        return True

    def look(self) -> None:
        """Start it again where it ended without success. Raises `PodFailed` where a Job would give up."""
        if self.process is None or self.process.poll() is None:
            return
        self.exit_codes.append(self.process.returncode)
        self.process = None
        if self.succeeded:
            return
        if self.exit_codes[-1] in PERMANENT or len(self.exit_codes) == ATTEMPTS:
            raise PodFailed(f"{self.log} tells why: exit codes {self.exit_codes}")
        self.start()


def run_step(
    arguments: Sequence[str], folder: Path, meddle: Callable[[float, list[Pod]], None] = lambda seconds, pods: None
) -> list[Pod]:
    """Run a step in two pods of one process each, to the success of both; both, with the exit codes of their attempts.

    `meddle(seconds since the start, pods)` is called ten times a second. Raises `PodFailed`. Nothing is left running.
    """
    port = free_port()
    pods = [
        Pod(
            [sys.executable, "-m", "longtail_trainer", *arguments],
            {
                "LONGTAIL_PROCESSES": str(NODES),
                "PET_NNODES": str(NODES),
                "PET_NPROC_PER_NODE": "1",
                "PET_NODE_RANK": str(number),
                "PET_MASTER_ADDR": "127.0.0.1",
                "PET_MASTER_PORT": str(port),
                "OMP_NUM_THREADS": "1",
                "TERMINATION_MESSAGE_PATH": str(folder / f"pod-{number}.termination"),
            },
            folder / f"pod-{number}.log",
        )
        for number in range(NODES)
    ]
    started = time.monotonic()
    try:
        for pod in pods:
            pod.start()
        while not all(pod.succeeded for pod in pods):
            time.sleep(0.1)
            meddle(time.monotonic() - started, pods)
            for pod in pods:
                pod.look()
    finally:
        for pod in pods:
            pod.kill()
            if pod.process is not None:
                pod.process.wait()
    return pods


def run_ranks(command: Sequence[str], world: int) -> None:
    """Run a command in so many processes that torchrun's variables number, to the end of all. Raises if one fails."""
    port = str(free_port())
    together = {"WORLD_SIZE": str(world), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen(command, env={**os.environ, **together, "RANK": str(rank), "LOCAL_RANK": str(rank)})
        for rank in range(world)
    ]
    try:
        codes = [process.wait() for process in processes]
    finally:
        for process in processes:
            process.kill()
    if any(codes):
        raise subprocess.CalledProcessError(max(codes, key=abs), list(command))
