"""Where random choices come from: an epoch's follow from a seed and its number alone, so it can be repeated."""

import hashlib
from collections.abc import Generator
from contextlib import contextmanager

import torch


def epoch_seed(seed: int, epoch: int | str) -> int:
    """Seeds of neighboring epochs and runs must not be alike, so they are hashed."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{epoch}".encode()).digest()[:7])


@contextmanager
def seeded(seed: int) -> Generator[None]:
    """Torch's own random numbers (dropout, fresh weights) follow from the seed; afterwards they go on as before."""
    # The device in use alone: torch would fork every one of them.
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(seed)
        yield
