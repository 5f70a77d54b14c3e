"""Questions to one store, asked apart from whoever wants to know: a store that hangs keeps nobody else waiting."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Hashable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from longtail_operator.kubernetes.objects import Key

THREADS = 2
"""So many calls of one store at once; each has a thread for as long as the store keeps it."""
GRACE_SECONDS = 0.5
"""So long an asker waits for an answer on the spot: a store in good health has given it by then."""
PATIENCE_SECONDS = 30.0
"""A store that has not answered for so long is told to be away. What was asked goes on: the answer may still come."""
_KEPT_SECONDS = 300.0
"""An answer that nobody fetches is forgotten after this time."""

T = TypeVar("T")


async def in_thread(call: Callable[..., T], *arguments: object) -> T:
    """What `call` returns or raises, in a thread of its own.

    Not in one of a pool: stores that hang would use up those that others need. And a daemon, so that one that hangs
    does not keep the process from ending.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[T] = loop.create_future()

    def settle(set_it: Callable[[Any], None], outcome: object) -> None:
        if not answer.done():
            set_it(outcome)

    def work() -> None:
        try:
            done = partial(settle, answer.set_result, call(*arguments))
        except BaseException as error:
            done = partial(settle, answer.set_exception, error)
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(done)

    threading.Thread(target=work, name="store", daemon=True).start()
    return await answer


@dataclass(frozen=True)
class NotYet:
    """There is no answer yet."""

    seconds: float
    """For how long it has been waited for."""


@dataclass
class _Asked:
    task: asyncio.Task[Any]
    since: float
    askers: set[Key] = field(default_factory=set[Key])
    alarm: asyncio.TimerHandle | None = None


class Questions:
    """What one store is asked. `wake`: is told who has something to fetch, or may stop hoping."""

    def __init__(
        self,
        wake: Callable[[Key], None] = lambda key: None,
        grace_seconds: float = GRACE_SECONDS,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self._wake = wake
        self._grace = grace_seconds
        self.patience_seconds = patience_seconds
        self._free = asyncio.Semaphore(THREADS)
        self._asked: dict[Hashable, _Asked] = {}
        self._slow = False
        """The newest answer took longer than that, or is still awaited: nobody waits for the next on the spot."""

    async def ask(self, name: Hashable, asker: Key, question: Callable[[], Awaitable[T]]) -> T | NotYet:
        """The answer, or that there is none yet; then `asker` is woken when it is there, to ask again.

        A question of this `name` that is under way is not asked a second time. An answer is given once. Raises what
        `question` raises.
        """
        loop = asyncio.get_running_loop()
        asked = self._asked.get(name)
        if asked is None:
            asked = self._asked[name] = _Asked(asyncio.create_task(_awaited(question)), loop.time())
            asked.task.add_done_callback(lambda _: self._answered(name, asked))
        if not self._slow:
            await asyncio.wait([asked.task], timeout=self._grace)
        if asked.task.done():
            self._forget(name, asked)
            return asked.task.result()
        self._slow = True
        waited = loop.time() - asked.since
        asked.askers.add(asker)
        if asked.alarm is None and waited < self.patience_seconds:
            asked.alarm = loop.call_later(self.patience_seconds - waited + 0.1, self._call, asked)
        return NotYet(waited)

    async def call(self, call: Callable[..., T], *arguments: object) -> T:
        """One call of the store, as a part of a question."""
        async with self._free:
            return await in_thread(call, *arguments)

    def is_asked(self, name: Hashable) -> bool:
        """Is such a question under way, or its answer not fetched yet?"""
        return name in self._asked

    def is_open(self, name: Hashable) -> bool:
        """Is such a question under way?"""
        asked = self._asked.get(name)
        return asked is not None and not asked.task.done()

    def _answered(self, name: Hashable, asked: _Asked) -> None:
        if asked.alarm is not None:
            asked.alarm.cancel()
        if asked.task.cancelled():
            return
        asked.task.exception()  # whoever asked may not fetch it
        self._slow = asyncio.get_running_loop().time() - asked.since > self._grace
        if asked.askers:
            self._call(asked)
            asyncio.get_running_loop().call_later(_KEPT_SECONDS, self._forget, name, asked)

    def _call(self, asked: _Asked) -> None:
        for asker in asked.askers:
            self._wake(asker)

    def _forget(self, name: Hashable, asked: _Asked) -> None:
        if self._asked.get(name) is asked:
            del self._asked[name]


async def _awaited(question: Callable[[], Awaitable[T]]) -> T:
    return await question()
