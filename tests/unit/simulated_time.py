"""An event loop in which nothing waits: instead, its time passes. Work for threads is done where it is asked for."""

import asyncio
import selectors
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any


class _NoWaiting(selectors.DefaultSelector):
    """Instead of waiting, time passes."""

    passed = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        found = super().select(0)
        if not found:
            assert timeout is not None, "everything waits, and nothing will ever happen"
            self.passed += max(timeout, 0.0)
        return found


class SimulatedTime(asyncio.SelectorEventLoop):
    """Its clock stands still while anything can be done."""

    def __init__(self) -> None:
        self._waits = _NoWaiting()
        super().__init__(self._waits)
        self.set_default_executor(_AtOnce())

    def time(self) -> float:
        return self._waits.passed


class _AtOnce(ThreadPoolExecutor):
    """A thread's work is done where it is asked for."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except BaseException as error:
            future.set_exception(error)
        return future
