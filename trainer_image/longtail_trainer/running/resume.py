"""Resume points: what a step saves so that its next attempt needn't start over. Advisory objects.

A resume point that is truncated, corrupted or of other inputs is ignored with a line of log: the step then
starts over, and ends with the same result.
"""

import hashlib
import json
import logging
from typing import Protocol

from longtail_api.store_layout import resume_key
from longtail_store import ObjectMissing, Store

log = logging.getLogger(__name__)


class ResumePoint(Protocol):
    """Where states are kept by name; `ResumePoints` is one."""

    def save(self, name: str, payload: bytes) -> None: ...

    def load(self, name: str) -> bytes | None: ...


class NamedPart:
    """A part of a step's work that has resume points of its own, called `<part>-<name>`."""

    def __init__(self, whole: ResumePoint, part: str) -> None:
        self._whole = whole
        self._part = part

    def save(self, name: str, payload: bytes) -> None:
        self._whole.save(f"{self._part}-{name}", payload)

    def load(self, name: str) -> bytes | None:
        return self._whole.load(f"{self._part}-{name}")


class ResumePoints:
    """The resume points of one step of one run.

    Layout of an object: one line of JSON with the step's identity and the payload's SHA-256, a newline, the payload.
    """

    def __init__(self, store: Store, prefix: str, identity: str) -> None:
        self._store = store
        self._prefix = prefix
        self._identity = identity

    def save(self, name: str, payload: bytes) -> None:
        """Overwrite the resume point `name`."""
        header = {"identity": self._identity, "sha256": hashlib.sha256(payload).hexdigest()}
        self._store.put_advisory(resume_key(self._prefix, name), json.dumps(header).encode() + b"\n" + payload)

    def load(self, name: str) -> bytes | None:
        """The payload saved last under `name`; None where there is none that can be used."""
        key = resume_key(self._prefix, name)
        try:
            blob = self._store.get(key)
        except ObjectMissing:
            return None
        flaw = self._flaw(blob)
        if flaw is not None:
            log.warning("resume point %s is ignored: %s; starting over", key, flaw)
            return None
        return blob.partition(b"\n")[2]

    def _flaw(self, blob: bytes) -> str | None:
        line, _, payload = blob.partition(b"\n")
        try:
            header = json.loads(line)
            identity, sha256 = header["identity"], header["sha256"]
        except (ValueError, KeyError, TypeError):
            return "its header can't be read"
        if identity != self._identity:
            return "it was saved with other inputs"
        if sha256 != hashlib.sha256(payload).hexdigest():
            return "its content doesn't match its hash"
        return None
