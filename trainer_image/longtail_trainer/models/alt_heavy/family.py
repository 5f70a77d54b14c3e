"""ALT's heavy models, as a family."""

from collections.abc import Sequence
from typing import Protocol

from longtail_api.architecture import Architecture
from longtail_api.store_objects import Features, LightArchitecture
from longtail_trainer.models.alt_heavy.model import HeavyModel
from longtail_trainer.models.family import Family
from longtail_trainer.running.errors import ConfigInvalid


class AltHeavySpec(Protocol):
    """What the store says of a heavy model."""

    @property
    def encoder(self) -> str: ...

    @property
    def architecture(self) -> Architecture: ...

    @property
    def cell(self) -> LightArchitecture | None: ...


class AltHeavyFamily(Family[AltHeavySpec]):
    """They read every feature of the schema."""

    name = "alt-heavy"

    def build(self, spec: AltHeavySpec, features: Features, names: Sequence[str] = ()) -> HeavyModel:
        if names:
            raise ConfigInvalid(f"features: {self.name} models read all of them; leave the list empty")
        return HeavyModel(features, spec.encoder, spec.architecture, spec.cell)
