"""Rows of other scenarios for the teacher to label: a small scenario has too few of its own to pass its knowledge on.

ALT (III-D) distills on the scenario's own samples. A teacher can label any row, and the initial pool has many: the
student then learns the teacher's function where the scenario has no sample. Only training rows of the pool are taken,
and none of their own labels.
"""

import logging
from collections.abc import Iterator, Sequence
from itertools import chain

import torch

from longtail_api.store_layout import manifest_key, manifest_scenario
from longtail_api.store_objects import TRAINING_SPLITS, Features, Manifest
from longtail_store import Chain, Store
from longtail_trainer.data.encoded import EncodedSplit, concatenate
from longtail_trainer.data.loading import empty_split, encoded_parts, load_manifest
from longtail_trainer.data.rows import subset, without_labels
from longtail_trainer.methods.alt.first_version import first_of_generation
from longtail_trainer.running.errors import DataInvalid

log = logging.getLogger(__name__)


def transfer_rows(
    store: Store,
    base_version: int,
    features: Features,
    own_scenario: str,
    limit: int,
    seed: int,
    transfer_from: Sequence[str] | None = None,
) -> EncodedSplit:
    """At most about `limit` training rows of the pool's other scenarios, drawn at random, without labels.

    transfer_from: beginnings of the keys of the scenarios whose rows may be read; of others nothing is. None: any.

    The pool is that of the first version of the base version's generation. Each scenario gives the same share of its
    rows. One part of one scenario is in memory at a time, beside what is drawn.
    """
    pool = pool_of(store, base_version) if limit else []
    # A Scenario that was deleted together with its rows gives none.
    there = [key for key in pool if _may_be_read(key, transfer_from) and store.exists(key)]
    manifests = [load_manifest(store, key) for key in there]
    others = [manifest for manifest in manifests if manifest.scenario != own_scenario]
    total = sum(manifest.rows.get(split, 0) for manifest in others for split in TRAINING_SPLITS)
    share = min(1.0, limit / total) if total else 0.0
    generator = torch.Generator().manual_seed(seed)
    result = concatenate(chain([empty_split(features)], _drawn(store, others, features, share, generator)))
    log.info("the teacher labels %d rows of %d other scenarios, too", len(result), len(others))
    return without_labels(result)


def nothing_to_label(key: str) -> DataInvalid:
    """That a scenario (its manifest's key) has no training row, and no other's may be taken for it."""
    return DataInvalid(
        f"{key}: the scenario has no training row, and there is no row of another one that its teacher could label; "
        "add samples, lower the test share, or let it learn from others (teacher.transferRows above 0, and shareRows "
        "of the HeavyModel not None)"
    )


def _may_be_read(key: str, transfer_from: Sequence[str] | None) -> bool:
    return transfer_from is None or manifest_scenario(key).startswith(tuple(transfer_from))


def _drawn(
    store: Store, manifests: list[Manifest], features: Features, share: float, generator: torch.Generator
) -> Iterator[EncodedSplit]:
    """Of each part the rows that are drawn."""
    for manifest in manifests:
        rows = sum(manifest.rows.get(split, 0) for split in TRAINING_SPLITS)
        chosen = torch.rand(rows, generator=generator) < share
        try:
            for part in encoded_parts(store, [manifest], TRAINING_SPLITS, features):
                yield subset(part, chosen[: len(part)].nonzero().flatten())
                chosen = chosen[len(part) :]
        except DataInvalid:
            # Its manifest goes before its rows do.
            if store.exists(manifest_key(manifest.scenario, manifest.version)):
                raise
            log.info("%s was deleted meanwhile, and its rows with it", manifest.scenario)


def pool_of(store: Store, number: int) -> list[str]:
    """Manifest keys of the pool that this version's generation began with, as its first version names them.

    Meta-training names what it was trained on, which is another thing.
    """
    chain = Chain(store)
    first = first_of_generation(chain, chain.version(number).generation)
    assert first is not None, "the generation of a committed version has a first one"
    return first.pool
