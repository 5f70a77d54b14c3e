"""What a family of models says of itself, so that nothing else has to know it by name."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from longtail_api.store_objects import Features
from longtail_trainer.data.encoded import EncodedSplit
from longtail_trainer.models.contract import RankingModel, ServedModel

Spec = TypeVar("Spec")
"""What the store keeps of a family's models, weights aside: a member of its unions."""


class Family(ABC, Generic[Spec]):
    """Models of one kind, that differ by their specs.

    name: as `longtail_api.store_objects.families` tells them apart.
    """

    name: str

    @abstractmethod
    def build(self, spec: Spec, features: Features, names: Sequence[str] = ()) -> RankingModel:
        """A model with fresh weights of torch's random state.

        names: the features it may read (see `light_columns`), all where there is none. Raises `ConfigInvalid` for a
        spec that can't be built, and for names that the family can't heed.
        """


@dataclass(frozen=True)
class LayerFigures:
    """What a picture tells of a model's layers.

    flops: of each layer; fixed: of everything else. weights: how much each layer counts, by sequence, as means over
    samples; empty where nothing was asked.
    """

    flops: list[int]
    fixed: int
    weights: dict[str, list[float]]


class ServedFamily(Family[Spec]):
    """A family whose models are served, and described to those who look at them."""

    @abstractmethod
    def build(self, spec: Spec, features: Features, names: Sequence[str] = ()) -> ServedModel: ...

    @abstractmethod
    def words(self, spec: Spec) -> str:
        """The spec in one line."""

    @abstractmethod
    def layer_figures(self, model: ServedModel, split: EncodedSplit | None = None) -> LayerFigures:
        """Of a model that this family built; weights over the samples of `split`, where it is given."""
