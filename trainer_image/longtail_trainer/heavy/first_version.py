"""The first version of a generation: found in the chain, or committed to it."""

import hashlib
from collections.abc import Callable
from pathlib import Path

from longtail_api.store_objects import Checkpoint, Version
from longtail_store import Chain, Committed, file_sha256


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
    identity: str,
    generation: int,
    weights: Path,
    record: Callable[[int, str, Checkpoint, Version | None], Version],
) -> Version:
    """Commit a generation's first version after the head, whatever the head is by then; the version that stands.

    `record(number, nonce, checkpoint, version before)` makes the record. Where another attempt at this generation
    commits first, its version is returned. The nonce follows from the step's identity and the weights, so a repeated
    attempt with the same weights recognizes its own checkpoint and its own record.
    """
    nonce = hashlib.sha256(f"{identity}:{file_sha256(weights)}".encode()).hexdigest()[:16]
    while True:
        existing = first_of_generation(chain, generation)
        if existing is not None:
            return existing
        before = chain.head()
        number = before.number + 1 if before is not None else 1
        checkpoint = chain.write_checkpoint(number, nonce, weights)
        outcome = chain.commit(record(number, nonce, checkpoint, before))
        if isinstance(outcome, Committed):
            return outcome.version
        # A fold of the generation before, or another attempt, took the number: look again.
