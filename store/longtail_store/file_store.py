"""A folder as a store: for laptops, tests, and clusters with a shared volume. Semantics as of S3."""

import errno
import os
import secrets
import shutil
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from longtail_store.errors import AccessDenied, BucketMissing, ObjectMissing, StoreUnreachable
from longtail_store.store import ObjectInfo, checked_key

_DRAFTS = ".drafts"  # no key starts with a dot


class FileStore:
    """Objects are files below `root`. A write is drafted beside, synced, and linked or renamed into place.

    `link` fails where the name exists (as O_EXCL does, on NFS too), which makes put-if-absent atomic; a reader never
    sees half an object.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def __repr__(self) -> str:
        return f"file://{self.root}"

    def get(self, key: str) -> bytes:
        with self._errors(key):
            return self._path(key).read_bytes()

    def download(self, key: str, path: Path) -> None:
        draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        with self._errors(key):
            try:
                shutil.copyfile(self._path(key), draft)
                draft.replace(path)
            finally:
                draft.unlink(missing_ok=True)

    def put_if_absent(self, key: str, data: bytes | Path) -> bool:
        target = self._path(key)
        with self._errors(key):
            if target.exists():
                return False
            with self._draft(data) as draft:
                target.parent.mkdir(parents=True, exist_ok=True)
                try:
                    os.link(draft, target)
                except FileExistsError:
                    return False
                _sync_folder(target.parent)
                return True

    def put_advisory(self, key: str, data: bytes | Path) -> None:
        target = self._path(key)
        with self._errors(key), self._draft(data) as draft:
            target.parent.mkdir(parents=True, exist_ok=True)
            draft.replace(target)

    def exists(self, key: str) -> bool:
        with self._errors(key):
            return self._path(key).is_file()

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        folder = self.root / prefix.rpartition("/")[0]
        keys: list[str] = []
        with self._errors(prefix):
            for parent, folders, names in os.walk(folder):
                folders[:] = [name for name in folders if name != _DRAFTS]
                keys += [(Path(parent) / name).relative_to(self.root).as_posix() for name in names]
        keys.sort()
        for key in keys:
            if key.startswith(prefix):
                try:
                    found = (self.root / key).stat()
                except FileNotFoundError:  # deleted since the walk
                    continue
                yield ObjectInfo(key, found.st_size, datetime.fromtimestamp(found.st_mtime, UTC))

    def delete(self, *keys: str) -> None:
        for key in keys:
            with self._errors(key):
                self._path(key).unlink(missing_ok=True)

    def now(self) -> datetime:
        """The date the folder's file system gives a new file (a file server has its own clock)."""
        with self._errors(_DRAFTS), self._draft(b"") as draft:
            return datetime.fromtimestamp(draft.stat().st_mtime, UTC)

    def _path(self, key: str) -> Path:
        return self.root / checked_key(key)

    @contextmanager
    def _draft(self, data: bytes | Path) -> Generator[Path]:
        """A synced file with `data` on the store's own file system, removed afterwards where it is still there."""
        folder = self.root / _DRAFTS
        folder.mkdir(parents=True, exist_ok=True)
        draft = folder / secrets.token_hex(12)
        try:
            with draft.open("xb") as file:
                if isinstance(data, Path):
                    with data.open("rb") as source:
                        shutil.copyfileobj(source, file, 1 << 20)
                else:
                    file.write(data)
                file.flush()
                os.fsync(file.fileno())
            yield draft
        finally:
            draft.unlink(missing_ok=True)

    @contextmanager
    def _errors(self, key: str) -> Generator[None]:
        try:
            yield
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
            raise ObjectMissing(f"{self!r}: there is no {key}") from error
        except PermissionError as error:
            raise AccessDenied(
                f"{self!r}: {key}: {error.strerror}; let the process' user read and write there"
            ) from error
        except OSError as error:
            if error.errno == errno.EROFS:
                raise BucketMissing(f"{self!r}: the folder is read-only; mount it writable") from error
            raise StoreUnreachable(f"{self!r}: {key}: {error}") from error


def _sync_folder(folder: Path) -> None:
    """Make a new name in `folder` survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
