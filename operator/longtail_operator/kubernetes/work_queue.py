"""Keys to reconcile: each at most once in the queue and at most once under way, with its own back-off."""

import asyncio
import heapq
import itertools
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)

FIRST_DELAY = 0.25
"""Seconds before the first retry of a key; each further one waits twice as long."""
LONGEST_DELAY = 120.0
_VOID_TIMERS = 1024


class WorkQueue(Generic[K]):
    """De-duplicating queue for several workers in one event loop.

    A key that is added while it is worked on runs once more afterwards. `add_after` keeps the earliest time asked
    for. `clock` is the loop's monotonic time.
    """

    def __init__(self) -> None:
        self._ready: asyncio.Queue[K] = asyncio.Queue()
        self._queued: set[K] = set()
        self._working: set[K] = set()
        self._again: set[K] = set()
        self._due: dict[K, float] = {}
        self._timers: list[tuple[float, int, K]] = []
        self._order = itertools.count()
        self._failures: dict[K, int] = {}
        self._moved = 0.0
        self._alarm: asyncio.TimerHandle | None = None

    def add(self, key: K) -> None:
        """Have `key` worked on as soon as a worker is free."""
        self._due.pop(key, None)
        if key in self._working:
            self._again.add(key)
        elif key not in self._queued:
            if not self._queued:
                self._moved = asyncio.get_running_loop().time()
            self._queued.add(key)
            self._ready.put_nowait(key)

    def add_after(self, key: K, seconds: float) -> None:
        """Have `key` worked on after a time, unless it is asked for earlier."""
        if seconds <= 0:
            self.add(key)
            return
        when = asyncio.get_running_loop().time() + seconds
        if key in self._queued or when >= self._due.get(key, float("inf")):
            return
        self._due[key] = when
        heapq.heappush(self._timers, (when, next(self._order), key))
        if len(self._timers) > 2 * len(self._due) + _VOID_TIMERS:
            # A schedule of once a month would keep the void timers of a month.
            self._timers = [(moment, next(self._order), one) for one, moment in self._due.items()]
            heapq.heapify(self._timers)
        self._set_alarm()

    async def get(self) -> K:
        """The next key; `done` must follow."""
        key = await self._ready.get()
        self._moved = asyncio.get_running_loop().time()
        self._queued.discard(key)
        self._working.add(key)
        return key

    def done(self, key: K) -> None:
        """The worker has finished with `key`."""
        self._working.discard(key)
        if key in self._again:
            self._again.discard(key)
            self.add(key)

    def succeeded(self, key: K) -> None:
        """Forget earlier failures of `key`."""
        self._failures.pop(key, None)

    def failed(self, key: K) -> float:
        """Have `key` tried again; returns after how many seconds."""
        count = self._failures.get(key, 0)
        self._failures[key] = count + 1
        delay = min(FIRST_DELAY * 2.0 ** min(count, 30), LONGEST_DELAY)
        self.add_after(key, delay)
        return delay

    def stalled_since(self) -> float | None:
        """When the queue last moved, by the loop's clock, while keys wait; None where none does."""
        return self._moved if self._queued else None

    def __len__(self) -> int:
        return len(self._queued)

    def _set_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if self._timers:
            self._alarm = asyncio.get_running_loop().call_at(self._timers[0][0], self._ring)

    def _ring(self) -> None:
        now = asyncio.get_running_loop().time()
        while self._timers and self._timers[0][0] <= now:
            when, _, key = heapq.heappop(self._timers)
            # A timer that was overtaken by an earlier one, or by `add`, is void.
            if self._due.get(key) == when:
                self.add(key)
        self._set_alarm()
