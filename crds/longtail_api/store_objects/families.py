"""What a stored record says of the model it names: one class a family, told apart by `family`.

A new family is one class, and one line in the union of where it may stand.
"""

from operator import not_
from typing import Annotated, Literal, Self, cast

from pydantic import Field, model_validator

from longtail_api.architecture import Architecture
from longtail_api.base import ApiModel


class Layer(ApiModel):
    """One layer of a searched behavior encoder (ALT III-D)."""

    input: int
    """0: the original input; i: output of layer i (1-based), always an earlier one."""
    operation: str
    residuals: list[int] = []
    """Earlier outputs added to this layer's, numbered as inputs are."""


class LightArchitecture(ApiModel):
    """The architecture that a search finds: of a light model, or of a heavy model's behavior encoders."""

    width: int
    layers: list[Layer]
    attention_heads: int = 1
    target_attention: Annotated[bool, Field(exclude_if=not_)] = False
    """Of a light model: whether it attends from the candidate to its history. A heavy one's `architecture` says so."""


class AltHeavy(ApiModel):
    """ALT's heavy model (III-B, Fig. 3)."""

    family: Literal["alt-heavy"] = "alt-heavy"
    encoder: Literal["LSTM", "Transformer", "Searched"]
    """Searched: the layers of `cell`."""
    architecture: Architecture
    cell: LightArchitecture | None = None
    """Layers of every behavior encoder, where an architecture search has found them."""

    @model_validator(mode="after")
    def _the_architecture_says_what_the_candidate_attends_to(self) -> Self:
        if self.cell is not None and self.cell.target_attention:
            raise ValueError("cell.targetAttention: is of light models; set architecture.targetAttention in its place")
        return self


class AltLight(LightArchitecture):
    """ALT's light model (III-D, Fig. 6): what its search finds, and what is served."""

    family: Literal["alt-light"] = "alt-light"

    @classmethod
    def of(cls, architecture: LightArchitecture) -> Self:
        """The light model of this architecture."""
        return cls(**{name: getattr(architecture, name) for name in LightArchitecture.model_fields})


Widths = Annotated[list[Annotated[int, Field(ge=1, le=4096)]], Field(min_length=1, max_length=16)]
"""Of the layers of a perceptron, the first one's first."""
EmbeddingSize = Annotated[int, Field(ge=1, le=256)]
"""Width to which each feature is brought."""


class Dnn(ApiModel):
    """Embedded features, side by side, and a perceptron."""

    family: Literal["dnn"] = "dnn"
    embedding_size: EmbeddingSize = 16
    layers: Widths = [64, 8]


class Dcn(ApiModel):
    """A cross network beside a perceptron (Wang et al., *Deep & Cross Network for Ad Click Predictions*, 2017)."""

    family: Literal["dcn"] = "dcn"
    embedding_size: EmbeddingSize = 16
    cross_layers: Annotated[int, Field(ge=1, le=16)] = 2
    layers: Widths = [64, 8]


class Mmoe(ApiModel):
    """Experts that all labels share, a gate and a tower for each label (Ma et al., *Modeling Task Relationships in
    Multi-task Learning with Multi-gate Mixture-of-Experts*, 2018)."""

    family: Literal["mmoe"] = "mmoe"
    embedding_size: EmbeddingSize = 16
    experts: Annotated[int, Field(ge=1, le=64)] = 4
    expert_layers: Widths = [64]
    tower_layers: Widths = [16]


HeavyFamily = AltHeavy
"""A version's model."""
LightFamily = Annotated[AltLight | Dnn | Dcn | Mmoe, Field(discriminator="family")]
"""What a light version is."""


def of_family(family: str, fields: object) -> object:
    """Fields of a model from a time when there was one family, with the family's name; anything else as it is."""
    return {**cast("dict[str, object]", fields), "family": family} if isinstance(fields, dict) else fields
