"""The first version of a generation: found in the chain, or committed to it."""

import time
from collections.abc import Callable
from pathlib import Path

from longtail_api.store_objects import Checkpoint, Version
from longtail_store import Chain, Committed, in_time, new_nonce


def first_of_generation(chain: Chain, generation: int) -> Version | None:
    """The version a generation began with; None where it hasn't begun. Generations never fall along the chain."""
    head = chain.head_number()
    low, high = 1, head + 1
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if chain.version(middle).generation >= generation else (middle + 1, high)
    version = chain.version(low) if low <= head else None
    return version if version is not None and version.generation == generation else None


def commit_first(
    chain: Chain,
    generation: int,
    weights: Path,
    record: Callable[[int, str, Checkpoint, Version | None], Version],
    *,
    orphans_seconds: float,
    monotonic: Callable[[], float] = time.monotonic,
) -> Version:
    """Commit a generation's first version after the head, whatever the head is by then; the version that stands.

    `record(number, nonce, checkpoint, version before)` makes the record. Where another attempt at this generation
    commits first, its version is returned. Every attempt draws a nonce of its own: a checkpoint that an earlier one
    left behind may be removed as an orphan at any moment, so none is ever taken up. An attempt gives up after half of
    `orphans_seconds`. Raises `AttemptExpired`, and what the store raises.
    """
    while True:
        existing = first_of_generation(chain, generation)
        if existing is not None:
            return existing
        before = chain.head()
        number = before.number + 1 if before is not None else 1
        deadline = in_time(orphans_seconds, monotonic)
        nonce = new_nonce()
        checkpoint = chain.write_checkpoint(number, nonce, weights)
        outcome = chain.commit(record(number, nonce, checkpoint, before), deadline)
        if isinstance(outcome, Committed):
            return outcome.version
        # A fold of the generation before, or another attempt, took the number: look again.
