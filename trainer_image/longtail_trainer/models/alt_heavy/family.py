"""ALT's heavy models, as a family."""

from collections.abc import Sequence

from longtail_api.store_objects import AltHeavy, Features
from longtail_trainer.models.alt_heavy.model import HeavyModel
from longtail_trainer.models.family import Family
from longtail_trainer.running.errors import ConfigInvalid


class AltHeavyFamily(Family[AltHeavy]):
    """They read every feature of the schema."""

    name = "alt-heavy"

    def build(self, spec: AltHeavy, features: Features, names: Sequence[str] = ()) -> HeavyModel:
        if names:
            raise ConfigInvalid(f"features: {self.name} models read all of them; leave the list empty")
        return HeavyModel(features, spec.encoder, spec.architecture, spec.cell)
