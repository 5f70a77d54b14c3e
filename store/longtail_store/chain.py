"""The version chain of the agnostic model: `agnostic/versions/<n>.json`, n = 1, 2, 3, … without a gap.

A version is committed by putting its record under the next number with put-if-absent: of several writers, one
wins, and the others see its record. Records are kept for ever. `agnostic/HEAD` is a hint that saves requests.
"""

import hashlib
import logging
import secrets
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from longtail_api.store_layout import HEAD_KEY, VERSION_DIGITS, checkpoint_key, version_key
from longtail_api.store_objects import Checkpoint, Version
from longtail_store.errors import Conflict, Corrupt, ObjectMissing, StoreError, StoreUnreachable
from longtail_store.store import Store
from longtail_store.typed_objects import read_object, write_object_if_absent

log = logging.getLogger(__name__)
_LAST_NUMBER = 10**VERSION_DIGITS - 1


@dataclass(frozen=True)
class Committed:
    """The version is in the chain, by this writer."""

    version: Version


@dataclass(frozen=True)
class Lost:
    """Another writer committed this number first. Its version stands; read the head and start over."""

    winner: Version


def new_nonce() -> str:
    """Random; marks one attempt's version record and checkpoint."""
    return secrets.token_hex(8)


class Chain:
    """The chain in one store."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def version(self, number: int) -> Version:
        """Raises `ObjectMissing`, `Corrupt`, `SchemaVersionUnsupported`."""
        return read_object(self.store, version_key(number), Version)

    def first_of_generation(self, version: Version) -> Version:
        """The version that began the generation of a committed one. Generations ascend along the chain."""
        low, high = 1, version.number
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if self.version(middle).generation == version.generation else (middle + 1, high)
        return version if low == version.number else self.version(low)

    def head(self) -> Version | None:
        """The newest version; None where nothing is committed yet."""
        number = self.head_number()
        return self.version(number) if number else None

    def head_number(self) -> int:
        """Number of the newest version, 0 where there is none.

        Existence falls once from true to false along the numbers, so from any hint, right or wrong, doubling steps
        and then halving ones find the place. A right hint costs one request beside its own.
        """
        exists = self._exists
        known, step = self._hint(), 1
        if known and not exists(known):
            known, absent = 0, known
        else:
            absent = known + 1
            while exists(absent):
                known, step = absent, 2 * step
                absent = min(known + step, _LAST_NUMBER + 1)
        while absent - known > 1:
            middle = (known + absent) // 2
            known, absent = (middle, absent) if exists(middle) else (known, middle)
        return known

    def commit(self, version: Version, in_time: Callable[[], None] = lambda: None) -> Committed | Lost:
        """Put `version` at the end of the chain, once and for all.

        `in_time` is called right before the record is put: raise there where it has become too late for that.

        A lost response is resolved by reading back: the record with one's own nonce and checkpoint is one's own. Where
        that can't be told either, `StoreUnreachable` is raised, and the version may be committed or not.
        Raises `Conflict` where the number before is not committed.
        """
        if version.number > 1 and not self._exists(version.number - 1):
            raise Conflict(
                f"{self.store!r}: version {version.number - 1} is not committed, so {version.number} can't be"
            )
        in_time()
        try:
            won = write_object_if_absent(self.store, version_key(version.number), version)
        except StoreUnreachable:
            try:
                found = self.version(version.number)
            except ObjectMissing:
                found = None
            if found is None:
                raise
        else:
            found = version if won else self.version(version.number)
        if not _same_attempt(found, version):
            return Lost(found)
        self._advance_hint(version.number)
        return Committed(found)

    def write_checkpoint(self, number: int, nonce: str, path: Path) -> Checkpoint:
        """Store the file as a checkpoint meant for version `number`. Raises `Conflict` (the nonce was used before)."""
        key = checkpoint_key(number, nonce)
        checkpoint = Checkpoint(key=key, sha256=file_sha256(path), bytes=path.stat().st_size)
        if not self.store.put_if_absent(key, path):
            with tempfile.TemporaryDirectory(dir=path.parent) as folder:
                stored = Path(folder, "stored")
                self.store.download(key, stored)
                if file_sha256(stored) != checkpoint.sha256:
                    raise Conflict(f"{self.store!r}: {key} already holds another checkpoint; draw a new nonce")
        return checkpoint

    def load_checkpoint(self, checkpoint: Checkpoint, path: Path) -> None:
        """Download the checkpoint into a file. Raises `ObjectMissing`, and `Corrupt` where the hash differs."""
        self.store.download(checkpoint.key, path)
        found = file_sha256(path)
        if found != checkpoint.sha256:
            path.unlink()
            raise Corrupt(f"{self.store!r}: {checkpoint.key} has sha256 {found}, its version says {checkpoint.sha256}")

    def _exists(self, number: int) -> bool:
        return 0 < number <= _LAST_NUMBER and self.store.exists(version_key(number))

    def _hint(self) -> int:
        try:
            text = self.store.get(HEAD_KEY)[: VERSION_DIGITS + 1]
        except ObjectMissing:
            return 0
        return int(text) if text.isdigit() and len(text) <= VERSION_DIGITS else 0

    def _advance_hint(self, number: int) -> None:
        try:
            self.store.put_advisory(HEAD_KEY, str(number).encode())
        except StoreError as error:
            # The version stands; without the hint its readers take a few requests more.
            log.warning("HEAD was not advanced to %d: %s", number, error)


def _same_attempt(found: Version, own: Version) -> bool:
    return found.nonce == own.nonce and found.checkpoint.sha256 == own.checkpoint.sha256


def file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
