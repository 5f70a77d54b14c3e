"""A data version into the store: parts, statistics and requests first, the manifest last."""

import hashlib
import io
from pathlib import Path

import polars as pl

from longtail_api.run_config import PrepareConfig
from longtail_api.store_layout import manifest_key, part_key
from longtail_api.store_objects import DataPart, Manifest
from longtail_store import ObjectMissing, Store, read_object
from longtail_trainer.data.prepare.parts import LocalPart
from longtail_trainer.running.errors import ConfigInvalid, DataInvalid


def published(store: Store, config: PrepareConfig) -> Manifest | None:
    """The manifest of this data version where an earlier attempt finished it: then nothing is left to do.

    Raises `ConfigInvalid` where the version was made of another schema or scenario.
    """
    key = manifest_key(config.owner, config.data_version)
    try:
        manifest = read_object(store, key, Manifest)
    except ObjectMissing:
        return None
    if manifest.data_schema != config.data_schema or manifest.source_key != config.source_key:
        raise ConfigInvalid(
            f"{key} was made of another schema or scenario key; prepare under a new dataVersion: versions never change",
            reason="DataVersionConflict",
        )
    return manifest


def publish_part(store: Store, config: PrepareConfig, part: LocalPart) -> DataPart:
    """Put one part into the store, or adopt the one that an earlier attempt put there, where its rows are the same."""
    key = part_key(config.owner, config.data_version, part.split, part.number)
    if store.put_if_absent(key, part.path):
        return DataPart(key=key, split=part.split, rows=part.rows, sha256=part.sha256, bytes=part.bytes)
    stored = store.get(key)
    sha256 = hashlib.sha256(stored).hexdigest()
    # Another version of the Parquet writer makes other bytes of the same rows.
    if sha256 != part.sha256 and not pl.read_parquet(io.BytesIO(stored)).equals(pl.read_parquet(part.path)):
        raise changed(key)
    return DataPart(key=key, split=part.split, rows=part.rows, sha256=sha256, bytes=len(stored))


def publish_whole(store: Store, key: str, content: bytes | Path) -> None:
    """Put an object with one rightful content into the store; finding that same content there is fine."""
    if not store.put_if_absent(key, content):
        wanted = content if isinstance(content, bytes) else content.read_bytes()
        if store.get(key) != wanted:
            raise changed(key)


def changed(key: str) -> DataInvalid:
    return DataInvalid(
        f"{key} holds other rows than the tables do now: they changed while an earlier attempt wrote this data "
        "version; start a new run, which prepares a version of its own",
        reason="DataChanged",
    )
