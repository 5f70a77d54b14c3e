"""One step, several processes: what they agree on, and whose word counts.

All ranks run the same step on the same rows, so whatever follows from the data and the seed is alike on all of them.
What doesn't (a clock, a signal, what a store holds by now, a nonce) is found out by rank 0, for all: `of_first`. It
alone writes. A rank that is lost ends the others: each raises `Retryable` at the next thing they do together.
"""

import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn, Protocol, TypeVar

from longtail_store import Store
from longtail_trainer.running.errors import Terminated
from longtail_trainer.running.resume import ResumePoint
from longtail_trainer.running.stop import Stop

RANK_LOST = "RankLost"
PROCESSES = "LONGTAIL_PROCESSES"
"""How many processes are to carry out the step; the command starts this node's by torchrun, as PET_* say."""
WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE = "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"
"""Set by torchrun for each process it starts."""
Result = TypeVar("Result")


class Ranks(Protocol):
    """The processes that carry out a step together; `rank` is this one's number among `world`, from 0."""

    @property
    def rank(self) -> int: ...

    @property
    def world(self) -> int: ...

    def of_first(self, make: Callable[[], Result]) -> Result:
        """What `make` gives, or raises, on rank 0; nobody else calls it. Every rank must come here, and waits."""
        ...

    def any(self, told: bool) -> bool:
        """Whether this is told by any rank. Every rank must come here, and waits."""
        ...


class Alone:
    """A step that one process carries out."""

    rank = 0
    world = 1

    def of_first(self, make: Callable[[], Result]) -> Result:
        """What `make` gives."""
        return make()

    def any(self, told: bool) -> bool:
        """What is told."""
        return told


ALONE = Alone()


class AgreedStop:
    """A stop signal that reaches all ranks at once, whichever of them it was sent to."""

    def __init__(self, own: Stop, ranks: Ranks) -> None:
        self._own = own
        self._ranks = ranks

    def raise_if_requested(self) -> None:
        """Raises this rank's own reason; `Terminated` where it was another's."""
        reason: Exception | None = None
        try:
            self._own.raise_if_requested()
        except Exception as raised:
            reason = raised
        if self._ranks.any(reason is not None):
            raise reason or Terminated("another process of the step was stopped; the next attempt resumes")


class SharedResume:
    """Resume points of all ranks: rank 0 reads and writes them."""

    def __init__(self, own: ResumePoint, ranks: Ranks) -> None:
        self._own = own
        self._ranks = ranks

    def save(self, name: str, payload: bytes) -> None:
        """Save rank 0's."""
        self._ranks.of_first(lambda: self._own.save(name, payload))

    def load(self, name: str) -> bytes | None:
        """What rank 0 finds."""
        return self._ranks.of_first(lambda: self._own.load(name))


class ReadOnly:
    """The store of a rank that isn't the first: a write would come once too often, and is a bug."""

    def __init__(self, store: Store) -> None:
        self.get = store.get
        self.download = store.download
        self.exists = store.exists
        self.list = store.list
        self.now = store.now

    def put_if_absent(self, key: str, data: bytes | Path) -> bool:
        """Never."""
        self._refuse(key)

    def put_advisory(self, key: str, data: bytes | Path) -> None:
        """Never."""
        self._refuse(key)

    def delete(self, *keys: str) -> None:
        """Never."""
        self._refuse(", ".join(keys))

    def _refuse(self, key: str) -> NoReturn:
        raise AssertionError(f"{key}: only rank 0 writes; the step must do it in Ranks.of_first")


@contextmanager
def joined_ranks() -> Generator[Ranks]:
    """The ranks that this process was started to be one of, as torchrun's variables say; left in the end.

    Raises `Retryable` (RankLost) where not all of them come.
    """
    if int(os.environ.get(WORLD_SIZE, "1")) == 1:
        yield ALONE
        return
    # Loads torch, which most steps of a single process do without for a while, and prepare does altogether.
    from longtail_trainer.running.process_group import joined

    with joined() as ranks:
        yield ranks
