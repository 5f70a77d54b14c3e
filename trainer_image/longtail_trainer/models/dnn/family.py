"""Perceptrons, as a family."""

from collections.abc import Sequence

from longtail_api.store_objects import Dnn, Features
from longtail_trainer.models.dnn.model import DnnModel
from longtail_trainer.models.flat import FlatFamily


class DnnFamily(FlatFamily[Dnn]):
    """Told apart by the widths of their layers."""

    name = "dnn"

    def build(self, spec: Dnn, features: Features, names: Sequence[str] = ()) -> DnnModel:
        return DnnModel(features, spec, names)

    def words(self, spec: Dnn) -> str:
        return f"embeddings of {spec.embedding_size}, layers of {', '.join(map(str, spec.layers))}"
