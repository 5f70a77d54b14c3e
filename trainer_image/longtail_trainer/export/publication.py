"""A light model into the store: `model.onnx`, then `model.json`. Whoever sees the second finds the first."""

import hashlib
from dataclasses import dataclass

from longtail_api.store_layout import model_card_key, model_key
from longtail_api.store_objects import ModelCard
from longtail_store import ObjectMissing, Store, read_object, write_object_if_absent
from longtail_trainer.export.parity import check_parity
from longtail_trainer.models.contract import ServedModel


@dataclass(frozen=True)
class PublishedGraph:
    """The graph as the store has it. parity: its largest difference from the trained model."""

    key: str
    content: bytes
    sha256: str
    parity: float


def publish_graph(
    store: Store, scenario: str, version: str, model: ServedModel, content: bytes, tolerance: float
) -> PublishedGraph:
    """Put the exported graph, after the parity gate. One that an earlier attempt put stands, and is gated instead.

    Raises `ParityFailed`; then nothing was written.
    """
    key = model_key(scenario, version)
    parity = check_parity(model, content, tolerance)
    if not store.put_if_absent(key, content):
        stored = store.get(key)
        if stored != content:
            # Another build of the exporter. The weights are those saved with the run, so the answers must agree.
            content, parity = stored, check_parity(model, stored, tolerance)
    return PublishedGraph(key, content, hashlib.sha256(content).hexdigest(), parity)


def publish_card(store: Store, card: ModelCard) -> ModelCard:
    """Put the card; the one an earlier attempt put stands and is returned."""
    key = model_card_key(card.scenario, card.version)
    return card if write_object_if_absent(store, key, card) else read_object(store, key, ModelCard)


def published_card(store: Store, scenario: str, version: str) -> ModelCard | None:
    """The card of this version; None where it is not published."""
    try:
        return read_object(store, model_card_key(scenario, version), ModelCard)
    except ObjectMissing:
        return None
