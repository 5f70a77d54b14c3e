"""Deep & cross networks, as a family."""

from collections.abc import Sequence

from longtail_api.store_objects import Dcn, Features
from longtail_trainer.models.dcn.model import DcnModel
from longtail_trainer.models.flat import FlatFamily


class DcnFamily(FlatFamily[Dcn]):
    """Told apart by the number of their cross layers and the widths of the others."""

    name = "dcn"

    def build(self, spec: Dcn, features: Features, names: Sequence[str] = ()) -> DcnModel:
        return DcnModel(features, spec, names)

    def words(self, spec: Dcn) -> str:
        layers = ", ".join(map(str, spec.layers))
        return f"embeddings of {spec.embedding_size}, cross layers: {spec.cross_layers}, layers of {layers}"
