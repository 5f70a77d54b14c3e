"""Does this store let exactly one of several racing writers win? Correctness of the version chain rests on it."""

import secrets
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass

from longtail_store.errors import ObjectMissing
from longtail_store.store import Store

PROBE_PREFIX = "probe/"


@dataclass(frozen=True)
class ProbeResult:
    """What the races showed."""

    atomic: bool
    """Every race had exactly one winner, whose bytes are what stands."""
    message: str
    """For a condition: what was seen, and what to do."""


def race_conditional_puts(store: Store, racers: int = 8, races: int = 16) -> ProbeResult:
    """Let `racers` threads, each on a connection of its own, put different bytes under one key at once; `races` times.

    A late put follows each race: it must lose too (a server that ignores the condition lets everybody win). Works
    below `probe/<random>/` and cleans up. Raises `StoreUnreachable` or `StoreRefused` where the store does not answer;
    of the latter `StoreNotAtomic` where it says itself that it knows no conditions.
    """
    prefix = f"{PROBE_PREFIX}{secrets.token_hex(8)}/"
    faults: list[str] = []
    with ThreadPoolExecutor(racers) as pool:
        for race in range(races):
            key = f"{prefix}{race}"
            try:
                fault = _race(store, key, pool, racers)
            finally:
                store.delete(key)
            if fault:
                faults.append(fault)
    if faults:
        return ProbeResult(
            False,
            f"{store!r} does not honour conditional writes (If-None-Match: *): in {len(faults)} of {races} races "
            f"{faults[0]}. Use a store that does, or update the S3 server",
        )
    return ProbeResult(True, f"{races} races of {racers} conditional writes had one winner each")


def _race(store: Store, key: str, pool: ThreadPoolExecutor, racers: int) -> str | None:
    """What went wrong in one race; None where nothing did."""
    start = threading.Barrier(racers)

    def run(racer: int) -> bool:
        start.wait(timeout=60)
        return store.put_if_absent(key, str(racer).encode())

    attempts = [pool.submit(run, racer) for racer in range(racers)]
    wait(attempts)  # all of them, lest one writes after the clean-up
    wins = [racer for racer, attempt in enumerate(attempts) if attempt.result()]
    if len(wins) != 1:
        return f"{len(wins)} writers won"
    try:
        standing = store.get(key)
    except ObjectMissing:
        return f"writer {wins[0]} won, but nothing stands"
    if standing != str(wins[0]).encode():
        return f"writer {wins[0]} won, but what stands is not what it wrote"
    if store.put_if_absent(key, b"late"):
        return "a write won over an object that was there"
    return None
