"""Processes that take turns: each stops before every store call, until the test says how that call goes.

The processes are threads, of which one runs at a time, so that every interleaving is repeatable.
"""

import threading
from collections.abc import Callable
from queue import SimpleQueue

from longtail_store import Store
from tests.store.faults import Crash, Fault, FaultyStore, World

PATIENCE_SECONDS = 60  # only a bug of the test waits that long


class Process:
    """`body(store)`, stopped before each store call."""

    def __init__(self, world: World, name: str, body: Callable[[Store], object]) -> None:
        self.name = name
        self.call: tuple[str, str] | None = None
        """The store call it stands before, and its key; None once it is over."""
        self.called_at = world.elapsed
        self.result: object = None
        self.error: BaseException | None = None
        self.store = FaultyStore(world, self._decide)
        self._world = world
        self._reports: SimpleQueue[tuple[str, str] | None] = SimpleQueue()
        self._orders: SimpleQueue[Fault] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, args=(body,), daemon=True)
        self._thread.start()
        self._await_report()

    @property
    def is_over(self) -> bool:
        return self.call is None

    def step(self, fault: Fault = Fault.NONE) -> None:
        """Let the call it stands before go this way, and the process on until its next one."""
        assert self.call is not None, f"{self.name} is over"
        self._orders.put(fault)
        self._await_report()

    def finish(self) -> None:
        while not self.is_over:
            self.step()

    def kill(self) -> None:
        while not self.is_over:
            self.step(Fault.CRASH_BEFORE)

    def _await_report(self) -> None:
        self.call = self._reports.get(timeout=PATIENCE_SECONDS)
        self.called_at = self._world.elapsed
        if self.call is None:
            self._thread.join(PATIENCE_SECONDS)

    def _decide(self, call: str, key: str) -> Fault:
        self._reports.put((call, key))
        return self._orders.get(timeout=PATIENCE_SECONDS)

    def _run(self, body: Callable[[Store], object]) -> None:
        try:
            self.result = body(self.store)
        except (Exception, Crash) as error:
            self.error = error
        finally:
            self._reports.put(None)
