"""Reading ahead, in the table's order: a store answers slowly, and many at once."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from longtail_store import ForeignFile, Place
from longtail_trainer.data.tables.agreement import TableFile

Item = TypeVar("Item")
SMALL_BYTES = 8 << 20
"""A file up to this size is fetched whole, in one request."""
_FILES_AHEAD = 8


class FetchedFile:
    """One file of a place, held in memory."""

    def __init__(self, file: ForeignFile, content: bytes) -> None:
        self._file = file
        self._content = content

    def files(self) -> Iterator[ForeignFile]:
        yield self._file

    def read(self, path: str, start: int, stop: int) -> bytes:
        return self._content[start:stop]


def places(place: Place, files: Sequence[TableFile]) -> Iterator[tuple[TableFile, Place]]:
    """Each file, and where to read it: of small ones, a few are fetched before they are asked for."""

    def fetched(file: ForeignFile) -> Place:
        small = file.size <= SMALL_BYTES
        return FetchedFile(file, place.read(file.path, 0, file.size)) if small else place

    waiting: deque[tuple[TableFile, Future[Place]]] = deque()
    with ThreadPoolExecutor(_FILES_AHEAD) as pool:
        for file in files:
            waiting.append((file, pool.submit(fetched, file.file)))
            if len(waiting) > _FILES_AHEAD:
                first, found = waiting.popleft()
                yield first, found.result()
        for first, found in waiting:
            yield first, found.result()


def one_ahead(items: Iterator[Item]) -> Iterator[Item]:
    """The same items; while one is used, the next is being made."""
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(next, items, None)
        while (item := waiting.result()) is not None:
            waiting = pool.submit(next, items, None)
            yield item
