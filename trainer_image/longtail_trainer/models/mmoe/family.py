"""Multi-gate mixtures of experts, as a family."""

from collections.abc import Sequence

from longtail_api.store_objects import Features, Mmoe
from longtail_trainer.models.flat import FlatFamily
from longtail_trainer.models.mmoe.model import MmoeModel


class MmoeFamily(FlatFamily[Mmoe]):
    """Told apart by the number of their experts and the widths of all layers."""

    name = "mmoe"

    def build(self, spec: Mmoe, features: Features, names: Sequence[str] = ()) -> MmoeModel:
        return MmoeModel(features, spec, names)

    def words(self, spec: Mmoe) -> str:
        experts, towers = (", ".join(map(str, widths)) for widths in (spec.expert_layers, spec.tower_layers))
        return f"embeddings of {spec.embedding_size}, {spec.experts} experts of {experts}, towers of {towers}"
