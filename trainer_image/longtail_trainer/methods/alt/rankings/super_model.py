"""A light model in whose behavior encoders every architecture of the space is present."""

from collections.abc import Sequence

from longtail_api.light_model_search import SearchSpace
from longtail_api.store_objects import Features, LightArchitecture
from longtail_trainer.models.alt_light.model import LightModel
from longtail_trainer.search.evaluators.gdas import SuperModel
from longtail_trainer.search.evaluators.super_cell import SuperCell
from longtail_trainer.search.spaces.alt_cell import CellSpace, any_architecture, space_of


def light_super_model(
    features: Features, spec: SearchSpace, names: Sequence[str] = (), seed: int = 0, space: CellSpace | None = None
) -> SuperModel[LightArchitecture, LightModel]:
    """names: the features it may read (see `light_columns`). space: its own, where it has more."""
    searched = space or space_of(features, spec, names)
    any_of_it = any_architecture(
        searched.width, searched.layers, searched.heads, spec.operations[0], searched.target_attention
    )
    return SuperModel(
        searched,
        lambda current: LightModel(features, any_of_it, names, lambda length: SuperCell(searched, length, current)),
        seed,
    )
