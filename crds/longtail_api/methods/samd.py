"""SAMD: run configs of its step."""

from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from longtail_api.base import ApiModel
from longtail_api.methods.method import MethodApi
from longtail_api.run_config import StepConfig
from longtail_api.store_objects import Dnn, LightFamily
from longtail_api.values import Number

TransferWeights = Literal["StudentLayers", "AllPairs"]
LayerForm = Literal["BatchGram", "AttentionMap"]
LayerDistance = Literal["L1", "L2", "Mmd"]


class Swing(ApiModel):
    """Similarity of scenarios by shared entities (Eq. 3)."""

    smoothing: Annotated[Decimal, Number(gt="0", le="1000")] = Decimal(1)
    """α, which the paper doesn't tell."""
    distinct_entities: bool = False
    """Whether only pairs of two different entities count. As printed, each entity also counts with itself."""
    normalization: Literal["None", "BySize"] = "None"
    """BySize: divided by the square of the other scenario's number of entities. As printed, it isn't, and large
    scenarios come first, alike or not."""


class Representation(ApiModel):
    """What a scenario is like, as one vector (4.2)."""

    width: Annotated[int, Field(ge=1, le=256)] = 16
    embedding_size: Annotated[int, Field(ge=1, le=256)] = 16
    """Of one attribute."""
    neighbors: Annotated[int, Field(ge=1, le=1000)] = 10
    """G: most similar scenarios whose attributes speak for one."""
    swing: Swing = Swing()
    epochs: Annotated[int, Field(ge=1, le=1000)] = 3
    """Passes over all scenarios' training rows, by which it is learned."""
    learning_rate: Annotated[Decimal, Number(gt="0", le="1")] = Decimal("0.001")


class Distillation(ApiModel):
    """How sub-models learn from the layers of the general model (4.3)."""

    clusters: Annotated[int, Field(ge=1, le=1000)] = 15
    """K."""
    transfer_weights: TransferWeights = "StudentLayers"
    """Of which layers the weights sum to the same, whatever the meta network says: of a sub-model's, as printed, or of
    all pairs."""
    plug_in: Literal["Depth", "Scenario"] = "Depth"
    """Who shares a W_d of Eq. 9: sub-models of as many layers, or nobody."""
    form: LayerForm = "BatchGram"
    """Φ of Eq. 10."""
    distance: LayerDistance = "L2"
    rows: Annotated[int, Field(ge=2, le=65_536)] = 128
    """Samples of a batch whose layers are compared, at most."""

    @model_validator(mode="after")
    def _an_attention_map_is_one_row(self) -> Self:
        if self.form == "AttentionMap" and self.distance == "Mmd":
            raise ValueError("distance: Mmd compares sets of rows, and an AttentionMap is one row; choose L1 or L2")
        return self


class SamdTraining(ApiModel):
    """How the general model and the sub-models are trained, each by Adam (5.1.3)."""

    learning_rate: Annotated[Decimal, Number(gt="0", le="1")] = Decimal("0.0001")
    batch_size: Annotated[int, Field(ge=2, le=65_536)] = 512
    general_epochs: Annotated[int, Field(ge=1, le=10_000)] = 50
    """Passes of the general model over its rows, at most."""
    rounds: Annotated[int, Field(ge=1, le=10_000)] = 50
    """Batches of each scenario between two judgements by its validation rows."""
    epochs: Annotated[int, Field(ge=1, le=10_000)] = 100
    """Judgements, at most."""
    patience: Annotated[int, Field(ge=1)] = 5
    """Judgements without a better validation loss, after which a model's training ends."""


class SamdMember(ApiModel):
    """One scenario of the group."""

    manifest: str
    """Manifest key of its data."""
    light_version: str
    model: LightFamily = Dnn()
    features: list[str] = []
    """Those that its sub-model reads; all by default. The general model reads all."""
    attributes: dict[str, str] = {}
    max_flops: Annotated[int, Field(ge=1)] | None = None
    max_latency_milliseconds: float | None = None


class SamdConfig(StepConfig):
    """samd: a general model on the super scenario, and sub-models of all others distilled from it."""

    step: Literal["samd"] = "samd"
    super_scenario: str
    """Manifest key of its data."""
    members: Annotated[list[SamdMember], Field(min_length=1)]
    general_rows: Literal["SuperScenario", "Pooled"] = "SuperScenario"
    """What the general model is trained on: the super scenario's rows alone, or those of all scenarios."""
    general: Dnn = Dnn(layers=[256, 128, 64, 16])
    representation: Representation = Representation()
    distillation: Distillation = Distillation()
    training: SamdTraining = SamdTraining()
    parity_tolerance: Annotated[float, Field(gt=0)] = 1e-4


SAMD = MethodApi(name="SAMD", configs={"samd": SamdConfig})
