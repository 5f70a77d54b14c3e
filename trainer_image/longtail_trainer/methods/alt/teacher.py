"""Heavy models out of the store."""

import tempfile
from pathlib import Path

from longtail_api.store_objects import StepResult, Version
from longtail_store import Chain, Store, read_object
from longtail_trainer.data.loading import checked_content, load_features
from longtail_trainer.models.contract import RankingModel
from longtail_trainer.models.registry import family
from longtail_trainer.models.weights import set_weights


def load_version(store: Store, version: Version) -> RankingModel:
    """The agnostic model of a committed version, in evaluation mode."""
    model = model_of(store, version)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "checkpoint.safetensors")
        Chain(store).load_checkpoint(version.checkpoint, path)
        set_weights(model, path.read_bytes())
    return model.eval()


def load_heavy(store: Store, result_key: str) -> RankingModel:
    """The scenario-specific heavy model that an adapt step left, by the key of its result; in evaluation mode.

    Its features, encoded splits and FLOPs follow from it: `model.features`, `model.flops()`.
    """
    outputs = read_object(store, result_key, StepResult).outputs
    model = model_of(store, Chain(store).version(int(outputs["agnosticVersion"])))
    content = checked_content(store, outputs["heavyKey"], outputs["heavySha256"], "start a new run of the scenario")
    set_weights(model, content)
    return model.eval()


def model_of(store: Store, version: Version) -> RankingModel:
    """A model of the version's architecture and features, with fresh weights."""
    return family(version.model.family).build(version.model, load_features(store, version.features_sha256))
