"""A sample's identity as 63 bits: it decides split, order and statistics, the same on every machine and version."""

import hashlib

import numpy as np
import polars as pl
from numpy.typing import NDArray

from longtail_api.data_schema import ENTITY, TIME
from longtail_trainer.data.entities import KEY_MASK, Keys

KEY_RANGE = 2.0**63


def mixed(keys: Keys, salt: int | Keys) -> Keys:
    """Other keys, as good as independent of the given ones (the finalizer of SplitMix64, Steele et al. 2014)."""
    with np.errstate(over="ignore"):
        z = keys + (np.asarray(salt, dtype=np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return (z ^ (z >> np.uint64(31))) & KEY_MASK


def row_keys(samples: pl.DataFrame, source_key: str) -> Keys:
    """Hash of (scenario, entity, time) of each row: rows that share all three share the key.

    Not polars' own hash, which may change from version to version and with it every split.
    """
    seed = hashlib.blake2b(source_key.encode(), digest_size=32).digest()
    entities = samples[ENTITY].to_list()
    times = samples[TIME].to_physical().to_list()
    digests = b"".join(
        hashlib.blake2b(f"{time}\x00{entity}".encode(), digest_size=8, key=seed).digest()
        for entity, time in zip(entities, times, strict=True)
    )
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64) & KEY_MASK


def shares(keys: Keys) -> NDArray[np.float64]:
    """Each key as a number in [0, 1)."""
    return keys.astype(np.float64) / KEY_RANGE


def occurrences(keys: Keys) -> NDArray[np.int64]:
    """How many rows before this one have the same key: 0 for the first."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    first = np.ones(len(keys), dtype=bool)
    first[1:] = ordered[1:] != ordered[:-1]
    position = np.arange(len(keys))
    result = np.empty(len(keys), dtype=np.int64)
    result[order] = position - np.maximum.accumulate(np.where(first, position, 0))
    return result
