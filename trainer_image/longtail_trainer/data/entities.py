"""Whom a sample is about, as a number: the same on every machine, in every scenario and version."""

import hashlib

import numpy as np
import polars as pl
from numpy.typing import NDArray

Keys = NDArray[np.uint64]
"""Uniform over 0 … 2⁶³ − 1, so that they also fit a signed integer."""

KEY_MASK = np.uint64(2**63 - 1)


def entity_hashes(entities: pl.Series) -> Keys:
    """Hash of each entity's text. Two of a million entities share one with a probability of 1 in 20 million.

    Not polars' own hash, which may change from version to version and with it every split by entity.
    """
    texts = entities.cast(pl.String)
    distinct = texts.unique()
    digests = b"".join(hashlib.blake2b(text.encode(), digest_size=8).digest() for text in distinct.to_list())
    hashes = np.frombuffer(digests, dtype="<u8").astype(np.uint64) & KEY_MASK
    found = pl.DataFrame({"entity": texts}).join(
        pl.DataFrame({"entity": distinct, "hash": hashes}), on="entity", how="left", maintain_order="left"
    )
    return found["hash"].to_numpy()
