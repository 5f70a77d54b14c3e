"""Whom a sample is about, as a number: the same on every machine, in every scenario and version."""

import hashlib
from collections.abc import Sequence

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


def shared_between_scenarios(training: Sequence[Keys], test: Sequence[Keys]) -> int:
    """How many entities have test rows in one scenario and training rows in another; both lists are by scenario.

    What a pooled model remembers of such an entity helps it in a test of the other scenario; a model of one scenario
    alone has no such help. Beside the hashes, each once per scenario, a count of the scenarios of each is in memory.
    """
    own = [np.unique(keys) for keys in training]
    known, scenarios = np.unique(np.concatenate([np.zeros(0, dtype=np.uint64), *own]), return_counts=True)
    if not len(known):
        return 0
    shared = [np.zeros(0, dtype=np.uint64)]
    for of_training, keys in zip(own, test, strict=True):
        tested = np.unique(keys)
        place = np.minimum(np.searchsorted(known, tested), len(known) - 1)
        others = np.where(known[place] == tested, scenarios[place], 0) - np.isin(tested, of_training)
        shared.append(tested[others > 0])
    return len(np.unique(np.concatenate(shared)))
