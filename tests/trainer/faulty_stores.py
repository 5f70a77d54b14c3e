"""Stores that fail on purpose, around a real one."""

import os
import signal
from pathlib import Path
from typing import Any

from longtail_store import Store, StoreUnreachable


class LosesResponses:
    """Every write happens, and then looks as if it hadn't: the response is lost."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def put_if_absent(self, key: str, data: bytes | Path) -> bool:
        self._store.put_if_absent(key, data)
        return False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


class Unreachable:
    """Answers nothing."""

    def __getattr__(self, name: str) -> Any:
        def fail(*arguments: Any) -> Any:
            raise StoreUnreachable(f"{name}: no answer")

        return fail


class FailsAfter:
    """Lets so many immutable writes happen; the next one and all later ones fail."""

    def __init__(self, store: Store, writes: int) -> None:
        self._store = store
        self._left = writes

    def put_if_absent(self, key: str, data: bytes | Path) -> bool:
        if self._left == 0:
            self.fail(key)
        self._left -= 1
        return self._store.put_if_absent(key, data)

    def fail(self, key: str) -> None:
        raise StoreUnreachable(f"{key}: no answer")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


class KillsItself(FailsAfter):
    """Lets so many immutable writes happen, then kills this process the way a node failure does."""

    def fail(self, key: str) -> None:
        os.kill(os.getpid(), signal.SIGKILL)
