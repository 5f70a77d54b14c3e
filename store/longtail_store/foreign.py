"""Files that others wrote, under any name: listed and read by range, never written. A user's tables are such.

Errors are the store's own, told apart by what the file system or the server answered, so that whoever reads knows who
must act, whatever the files are called.
"""

import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from longtail_api.addresses import StoreUri
from longtail_api.run_config import StoreAddress
from longtail_store.credentials import credentials_in_environment
from longtail_store.errors import AccessDenied, InvalidAddress, ObjectMissing, StoreUnreachable

if TYPE_CHECKING:
    from longtail_store.s3_store import S3Store


@dataclass(frozen=True)
class ForeignFile:
    """A file at or below a place."""

    path: str
    """Below the place, segments divided by `/`; empty where the place is the file itself. A folder's marker ends in
    `/`."""
    size: int
    """Bytes."""


class Place(Protocol):
    """One file, or a folder with all that is below it. Safe to share between threads.

    Every call may raise `StoreUnreachable` (retry) and `StoreRefused` (the user must act).
    """

    def files(self) -> Iterator[ForeignFile]:
        """The file, or every file of the folder, in no order. Raises `ObjectMissing`."""
        ...

    def read(self, path: str, start: int, stop: int) -> bytes:
        """Bytes [start, stop) of a file; fewer where it ends before. Raises `ObjectMissing`."""
        ...


def open_place(uri: str, address: StoreAddress) -> Place:
    """What stands at `uri`, s3:// or file://, reached as `address` says. Asks nothing yet. Raises `InvalidAddress`."""
    try:
        place = StoreUri.parse(uri)
    except ValueError as error:
        raise InvalidAddress(f"the table's uri {error}") from None
    if not place.is_s3:
        return LocalPlace(Path(place.path))
    # Here, so that file:// does without boto3's half second of imports.
    from longtail_store.s3_store import S3Store

    store = S3Store(
        place.bucket,
        "",
        endpoint=address.endpoint,
        region=address.region,
        path_style=address.path_style,
        ca_bundle_file=address.ca_bundle_file,
        credentials=credentials_in_environment(),
    )
    return BucketPlace(store, place.path)


class LocalPlace:
    """A file or folder of the file system. Links are followed; of a folder reached twice, once."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def files(self) -> Iterator[ForeignFile]:
        with _local_errors(self._root):
            if not self._root.is_dir():
                yield ForeignFile("", self._root.stat().st_size)
                return
            seen = {self._root.resolve()}
            for parent, folders, names in os.walk(self._root, followlinks=True, onerror=_raised):
                entered: list[str] = []
                for name in sorted(folders):
                    target = (Path(parent) / name).resolve()
                    if target not in seen:
                        seen.add(target)
                        entered.append(name)
                folders[:] = entered
                for name in names:
                    path = Path(parent) / name
                    size = path.stat().st_size if path.is_file() else 0  # a dangling link, a pipe: nothing to read
                    yield ForeignFile(path.relative_to(self._root).as_posix(), size)

    def read(self, path: str, start: int, stop: int) -> bytes:
        whole = self._root / path if path else self._root
        with _local_errors(whole), whole.open("rb") as file:
            file.seek(start)
            return file.read(stop - start)


class BucketPlace:
    """A key of a bucket, or all keys below it."""

    def __init__(self, store: "S3Store", key: str) -> None:
        self._store = store
        self._key = key

    def files(self) -> Iterator[ForeignFile]:
        if self._key and not self._key.endswith("/"):
            try:
                yield ForeignFile("", self._store.size(self._key))
                return
            except ObjectMissing:
                pass  # a folder, then
        prefix = self._key if self._key.endswith("/") or not self._key else f"{self._key}/"
        for found in self._store.list(prefix):
            yield ForeignFile(found.key.removeprefix(prefix) or "/", found.size)

    def read(self, path: str, start: int, stop: int) -> bytes:
        key = f"{self._key.removesuffix('/')}/{path}" if path else self._key
        return self._store.read_range(key.removeprefix("/"), start, stop)


def _raised(error: OSError) -> None:
    raise error


@contextmanager
def _local_errors(path: Path) -> Generator[None]:
    try:
        yield
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        raise ObjectMissing(f"there is no {path}") from error
    except PermissionError as error:
        raise AccessDenied(f"{path}: {error.strerror}; let the process' user read it") from error
    except OSError as error:
        raise StoreUnreachable(f"{path}: {error}") from error
