"""A version that replaces the head by other weights: meta-training.

Folding and replacing never lose each other's work, whoever runs at the same time: a record carries on what the version
right before it has settled, and put-if-absent lets it follow that version or none. Who finds the number taken starts
over from the new head.
"""

import hashlib
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from longtail_api.store_objects import MetaUpdateParameters, Version
from longtail_store.attempt import in_time
from longtail_store.chain import Chain, Committed, Lost, new_nonce


def committed_by(chain: Chain, identity: str, after: int) -> Version | None:
    """The version that an attempt at the step of this identity has committed, with a number above `after`.

    Ask after the base was read: then no other attempt's version can be overlooked and followed by a second one.
    """
    own = _mark(identity)
    for number in range(after + 1, chain.head_number() + 1):
        version = chain.version(number)
        if version.nonce.startswith(own):
            return version
    return None


def replace(
    chain: Chain,
    identity: str,
    base: Version,
    weights: Path,
    *,
    pool: list[str],
    parameters: MetaUpdateParameters,
    metrics: dict[str, float],
    orphans_seconds: float,
    monotonic: Callable[[], float] = time.monotonic,
) -> Committed | Lost:
    """Commit `weights` as the version right after `base`, which they were trained from.

    Lost: `base` is the head no longer. The checkpoint written is then an orphan. Its name is drawn anew for each
    attempt, so that one that was left behind long ago, and may be removed at any moment, is never taken up.
    It gives up after half of `orphans_seconds`. Raises `AttemptExpired`, and what the store raises.
    """
    deadline = in_time(orphans_seconds, monotonic)
    number, nonce = base.number + 1, _mark(identity) + new_nonce()
    checkpoint = chain.write_checkpoint(number, nonce, weights)
    version = base.model_copy(
        update={
            "number": number,
            "kind": "meta-training",
            "checkpoint": checkpoint,
            "pool": pool,
            "folded": [],
            "rejected": [],
            "parameters": parameters,
            "metrics": metrics,
            "nonce": nonce,
            "created": datetime.now(UTC),
        }
    )
    return chain.commit(version, deadline)


def _mark(identity: str) -> str:
    """What the nonces of all attempts at one step begin with."""
    return hashlib.sha256(identity.encode()).hexdigest()[:16]
