"""The store's interface: immutable blobs with put-if-absent. All of the package stands on these eight calls."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from longtail_store.errors import InvalidKey

_KEY = re.compile(r"[A-Za-z0-9_=@+~-][A-Za-z0-9._=@+~-]*(/[A-Za-z0-9_=@+~-][A-Za-z0-9._=@+~-]*)*")
_LONGEST_KEY = 900  # S3 allows 1,024 bytes, of which the store's own prefix takes some


@dataclass(frozen=True)
class ObjectInfo:
    """An object in a listing."""

    key: str
    size: int
    """Bytes."""
    modified: datetime
    """By the server's clock; to compare with `Store.now()`, never with one's own."""


class Store(Protocol):
    """Blobs under keys. Safe to share between threads.

    Every call may raise `StoreUnreachable` (retry) and `StoreRefused` (the user must act). A write that raised
    `StoreUnreachable` may nevertheless have happened, or may still happen.
    """

    def get(self, key: str) -> bytes:
        """The whole object, in memory. Raises `ObjectMissing`."""
        ...

    def download(self, key: str, path: Path) -> None:
        """Stream the object into a file, which appears whole or not at all. Raises `ObjectMissing`."""
        ...

    def put_if_absent(self, key: str, data: bytes | Path) -> bool:
        """Write the object unless there is one: True where this call wrote it, False where one stands there.

        At most one call per key returns True, whoever calls from wherever. False can also mean one's own earlier
        write whose response was lost: whoever cares reads back and compares. A `Path` is streamed, up to 5 GB.
        """
        ...

    def put_advisory(self, key: str, data: bytes | Path) -> None:
        """Write or overwrite. Only for advisory keys, by which nothing is decided."""
        ...

    def exists(self, key: str) -> bool: ...

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Every object whose key starts with `prefix`, in the order of their keys."""
        ...

    def delete(self, *keys: str) -> None:
        """Remove the objects, in as few requests as the store can; one that is not there is fine."""
        ...

    def now(self) -> datetime:
        """The server's own date, for the age of objects. Resolution: a second."""
        ...


def checked_key(key: str) -> str:
    """`key`, where it is one: segments of letters, digits and ._=@+~-, none empty or starting with a dot."""
    if len(key) > _LONGEST_KEY or not _KEY.fullmatch(key):
        raise InvalidKey(f"{key[:200]!r} is no key of the store")
    return key
