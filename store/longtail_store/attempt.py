"""How long one attempt at a version may take: half of the time after which its checkpoint is taken for an orphan.

The clock that counts is monotonic and the attempt's own; the age of objects is read off the server's.
"""

import time
from collections.abc import Callable

from longtail_store.errors import StoreError


class AttemptExpired(StoreError):
    """The attempt took too long: its checkpoint may soon be taken for an orphan. Retry, with a new nonce."""


def in_time(orphans_seconds: float, monotonic: Callable[[], float] = time.monotonic) -> Callable[[], None]:
    """Begin an attempt; what is returned raises `AttemptExpired` once half of `orphans_seconds` has passed.

    Begin it before the checkpoint is written, and hand it to `Chain.commit`.
    """
    started = monotonic()

    def check() -> None:
        if monotonic() - started > orphans_seconds / 2:
            raise AttemptExpired(
                f"more than {orphans_seconds / 2:.0f} s have passed between the checkpoint and its version; start again"
            )

    return check
