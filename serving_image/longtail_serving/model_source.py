"""From the store to this machine: the pinned model, verified."""

from pathlib import Path

from longtail_api.store_layout import model_card_key, model_key
from longtail_api.store_objects import ModelCard
from longtail_serving.errors import ModelInvalid
from longtail_store import Store, file_sha256, read_object


def fetch_model(store: Store, scenario: str, version: str, sha256: str, path: Path) -> ModelCard:
    """Download `model.onnx` of that version to `path` and give its card.

    Raises `ModelInvalid` where the file or the card is not the pinned one (both hashes are named), and the store's
    own errors: `ObjectMissing`, `Corrupt`, `StoreUnreachable`, `StoreRefused`.
    """
    card = read_object(store, model_card_key(scenario, version), ModelCard)
    key = model_key(scenario, version)
    store.download(key, path)
    found = file_sha256(path)
    if found != sha256:
        raise ModelInvalid(
            f"{store!r}: {key} has sha256 {found}, but {sha256} is pinned; the object was changed or the wrong version "
            "is pinned: restore the object, or train the scenario anew"
        )
    if card.sha256 != sha256:
        raise ModelInvalid(
            f"{store!r}: {model_card_key(scenario, version)} describes a model with sha256 {card.sha256}, but {sha256} "
            "is pinned; restore model.json, or train the scenario anew"
        )
    return card
