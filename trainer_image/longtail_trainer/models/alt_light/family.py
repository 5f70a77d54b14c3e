"""ALT's light models, as a family."""

from collections.abc import Sequence

from longtail_api.store_objects import Features, LightArchitecture
from longtail_trainer.data.encoded import EncodedSplit
from longtail_trainer.models.alt_light.layer_figures import layer_flops, layer_weights
from longtail_trainer.models.alt_light.model import LightModel
from longtail_trainer.models.blocks.cell import one_line
from longtail_trainer.models.contract import ServedModel
from longtail_trainer.models.family import LayerFigures, ServedFamily


class AltLightFamily(ServedFamily[LightArchitecture]):
    """What a search of cells finds, or a person draws."""

    name = "alt-light"

    def build(self, spec: LightArchitecture, features: Features, names: Sequence[str] = ()) -> LightModel:
        return LightModel(features, spec, names)

    def words(self, spec: LightArchitecture) -> str:
        return one_line(spec)

    def layer_figures(self, model: ServedModel, split: EncodedSplit | None = None) -> LayerFigures:
        assert isinstance(model, LightModel), "a model of this family"
        weights = {} if split is None else layer_weights(model, split)
        return LayerFigures(layer_flops(model), model.fixed_flops(), weights)
