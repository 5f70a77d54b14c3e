"""How late the checker itself is: the time in which it could not run is no latency of the server it asks."""

import asyncio
from pathlib import Path
from types import TracebackType

CPU_STAT = Path("/sys/fs/cgroup/cpu.stat")
_INTERVAL_SECONDS = 0.005
"""Of the clock's ticks. Shorter delays are not seen, and are none that a verdict turns on."""


class Lateness:
    """Seconds by which this event loop was late, summed up: without CPU, throttled, or busy with other answers.

    A tick that comes late says by how much. What a tick that is still due is late by counts at once, so that an answer
    that is handled before it is not taken for a slow one.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._late = 0.0
        self._due = self._loop.time() + _INTERVAL_SECONDS
        self._ticking: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Lateness":
        self._due = self._loop.time() + _INTERVAL_SECONDS
        self._ticking = asyncio.create_task(self._tick())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if self._ticking is not None:
            self._ticking.cancel()

    def seconds(self) -> float:
        """So far; never less than before."""
        return self._late + max(0.0, self._loop.time() - self._due)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(max(0.0, self._due - self._loop.time()))
            now = self._loop.time()
            self._late += max(0.0, now - self._due)
            self._due = now + _INTERVAL_SECONDS


def throttled_seconds(cpu_stat: Path = CPU_STAT) -> float:
    """How long the container has been kept from running by its CPU limit; 0 where the kernel doesn't say."""
    try:
        fields = dict(line.split(maxsplit=1) for line in cpu_stat.read_text().splitlines() if " " in line)
        return int(fields.get("throttled_usec", "0")) / 1e6
    except (OSError, ValueError):
        return 0.0
