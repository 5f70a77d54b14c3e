"""A store that fails on command, with a clock that can be moved: every call asks first how it shall go."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from enum import Enum, auto
from pathlib import Path
from typing import TypeVar

from longtail_store import ObjectInfo, Store, StoreUnreachable

T = TypeVar("T")


class Fault(Enum):
    """How one call to the store goes."""

    NONE = auto()
    CRASH_BEFORE = auto()
    """The process dies before the call has an effect."""
    CRASH_AFTER = auto()
    """The process dies after it."""
    UNREACHABLE = auto()
    """No effect, and the caller is told `StoreUnreachable`."""
    LOST_RESPONSE = auto()
    """The effect happens, and the caller is told `StoreUnreachable`."""
    OWN_RETRY = auto()
    """The effect happens, the response is lost, and the client library repeats the request by itself."""
    LATE = auto()
    """The caller is told `StoreUnreachable`; the effect happens some time later."""


class Crash(BaseException):
    """Stands for SIGKILL: nothing in the code under test may catch it."""


class World:
    """What the processes of one test share: the real store, the time that passed, and writes still on their way."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.elapsed = timedelta()
        self.in_flight: list[Callable[[], object]] = []
        self._written_at: dict[str, timedelta] = {}
        self.won: dict[str, object] = {}
        """By key, the process whose put-if-absent won."""

    def monotonic(self) -> float:
        return self.elapsed.total_seconds()

    def now(self) -> datetime:
        return self.store.now() + self.elapsed

    def put_if_absent(self, key: str, data: bytes | Path, began: timedelta, writer: object) -> bool:
        won = self.store.put_if_absent(key, data)
        if won:
            self._written_at[key] = began
            self.won[key] = writer
        return won

    def put_advisory(self, key: str, data: bytes | Path) -> None:
        self.store.put_advisory(key, data)
        self._written_at[key] = self.elapsed

    def list(self, prefix: str) -> list[ObjectInfo]:
        return [
            ObjectInfo(found.key, found.size, found.modified + self._written_at.get(found.key, timedelta()))
            for found in self.store.list(prefix)
        ]


class FaultyStore:
    """One process' view of the world. `decide(call, key)` says how each call goes, and may block until it knows."""

    def __init__(self, world: World, decide: Callable[[str, str], Fault]) -> None:
        self.world = world
        self.decide = decide

    def get(self, key: str) -> bytes:
        return self._read("get", key, lambda: self.world.store.get(key))

    def download(self, key: str, path: Path) -> None:
        self._read("download", key, lambda: self.world.store.download(key, path))

    def exists(self, key: str) -> bool:
        return self._read("exists", key, lambda: self.world.store.exists(key))

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        return iter(self._read("list", prefix, lambda: self.world.list(prefix)))

    def now(self) -> datetime:
        return self._read("now", "", self.world.now)

    def put_if_absent(self, key: str, data: bytes | Path) -> bool:
        content = data.read_bytes() if isinstance(data, Path) else data  # a late write outlives the writer's files
        began = self.world.elapsed  # S3 dates an object by the start of its upload
        return self._write("put_if_absent", key, lambda: self.world.put_if_absent(key, content, began, self))

    def put_advisory(self, key: str, data: bytes | Path) -> None:
        content = data.read_bytes() if isinstance(data, Path) else data
        self._write("put_advisory", key, lambda: self.world.put_advisory(key, content))

    def delete(self, *keys: str) -> None:
        self._write("delete", keys[0] if keys else "", lambda: self.world.store.delete(*keys))

    def _read(self, call: str, key: str, action: Callable[[], T]) -> T:
        fault = self.decide(call, key)
        if fault in (Fault.CRASH_BEFORE, Fault.CRASH_AFTER):
            raise Crash
        if fault in (Fault.UNREACHABLE, Fault.LOST_RESPONSE, Fault.LATE):
            raise StoreUnreachable(f"{call} {key}: injected")
        return action()

    def _write(self, call: str, key: str, action: Callable[[], T]) -> T:
        fault = self.decide(call, key)
        if fault is Fault.CRASH_BEFORE:
            raise Crash
        if fault is Fault.UNREACHABLE:
            raise StoreUnreachable(f"{call} {key}: injected, without effect")
        if fault is Fault.LATE:
            self.world.in_flight.append(action)
            raise StoreUnreachable(f"{call} {key}: injected, on its way")
        result = action()
        if fault is Fault.CRASH_AFTER:
            raise Crash
        if fault is Fault.LOST_RESPONSE:
            raise StoreUnreachable(f"{call} {key}: injected, with effect")
        return action() if fault is Fault.OWN_RETRY else result
