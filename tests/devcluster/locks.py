"""Sessions that want the same thing at once: the second one waits."""

import fcntl
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def alone(lock: Path) -> Generator[None]:
    """Be the only process inside for this file, which is made, with its folder, where it is absent, and stays."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
