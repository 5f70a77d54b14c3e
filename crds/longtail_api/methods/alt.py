"""ALT: run configs of its steps."""

from typing import Annotated, Literal

from pydantic import Field

from longtail_api.architecture import Architecture, Training
from longtail_api.base import ApiModel
from longtail_api.data_schema import DataSchema
from longtail_api.initialization_search import InitializationSearch
from longtail_api.light_model_search import Algorithm, EarlyStopping, Objective, SearchSpace, Teacher
from longtail_api.methods.method import MethodApi
from longtail_api.run_config import StepConfig
from longtail_api.store_objects import LightArchitecture, MetaUpdateParameters


class InitializeConfig(StepConfig):
    """initialize: the pool's data in, version 1 (or the first of the next generation) out."""

    step: Literal["initialize"] = "initialize"
    data_schema: Annotated[DataSchema, Field(alias="schema")]
    schema_hash: str
    encoder: Literal["LSTM", "Transformer"] = "LSTM"
    architecture: Architecture = Architecture()
    training: Training = Training()
    search: InitializationSearch | None = None
    """Without it, the architecture is trained as it is given."""
    generation: Annotated[int, Field(ge=1)] = 1
    pool: Annotated[list[str], Field(min_length=1)]
    """Manifest keys."""
    orphans_seconds: Annotated[int, Field(ge=600)] = 86_400
    """`retention.orphansSeconds`: the commit gives up after half of it."""


AdaptReason = Literal["NoSupportRows", "NoLabels", "OneClass", "NoValidationRows", "NotBetter"]
"""Why a scenario's heavy model is the agnostic model itself."""


class AdaptConfig(StepConfig):
    """adapt: fine-tune the agnostic model on one scenario's support set, give feedback from its query set."""

    step: Literal["adapt"] = "adapt"
    manifest: str
    """Manifest key of the scenario's data."""
    base_version: Annotated[int, Field(ge=1)]
    training: Training = Training()
    feedback: bool = True
    """Whether the query rows may teach the agnostic model. Not where it has learned them already."""


class MetaTrainConfig(StepConfig):
    """meta-train: all stored data of the generation in, one more version of the agnostic model out, where it is better.

    Not in the identity: the data and the head of the chain, which are what they are when the step starts.
    """

    step: Literal["meta-train"] = "meta-train"
    generation: Annotated[int, Field(ge=1)]
    base_version: Annotated[int, Field(ge=1)]
    """A version of that generation, committed before the step was planned. Training starts from the head."""
    manifests: Annotated[list[str], Field(min_length=1)]
    """Manifest keys: the current data of every contributing scenario."""
    training: Training = Training()
    parameters: MetaUpdateParameters
    """η and the clip norm of each scenario's query gradient, as a fold has them. Nothing is stale here."""
    scenarios_per_step: Annotated[int, Field(ge=1)] = 8
    """U of ALT Eq. 3: episodes whose query gradients are summed in one step."""
    rounds: Annotated[int, Field(ge=1, le=10_000)] = 20
    """Times that every scenario gives an episode, at most; validation loss may end it earlier."""
    episode_epochs: Annotated[int, Field(ge=1, le=1000)] = 3
    """Passes over a scenario's support rows in one episode (ALT Eq. 1)."""
    patience: Annotated[int, Field(ge=1)] = 4
    """Rounds without a better result, after which training ends."""
    orphans_seconds: Annotated[int, Field(ge=600)] = 86_400
    """`retention.orphansSeconds`: the commit gives up after half of it."""


class LightTraining(ApiModel):
    """How a light model is trained from fresh weights: it is small, its scenario too, so it takes more and larger steps
    than the heavy model."""

    epochs: Annotated[int, Field(ge=1, le=10_000)] = 60
    """Passes over the training rows, at most; validation loss may end it earlier."""
    batch_size: Annotated[int, Field(ge=1)] = 256
    """Samples of one gradient step, at most: fewer where an epoch would have too few steps."""
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 0.005
    """Learning rate at the start."""
    patience: Annotated[int, Field(ge=1)] = 10
    """Epochs without a better validation loss, after which training ends."""


class SearchConfig(StepConfig):
    """search: a light architecture inside the budget."""

    step: Literal["search"] = "search"
    manifest: str
    base_version: Annotated[int, Field(ge=1)]
    heavy_result: str
    """Key of the adapt step's result."""
    algorithm: Algorithm = Algorithm()
    search_space: SearchSpace = SearchSpace()
    objective: Objective = Objective()
    teacher: Teacher = Teacher()
    transfer_from: list[str] | None = None
    """Beginnings of the keys of scenarios whose rows the teacher may label, such as `shop.`. None: any of the pool."""
    early_stopping: EarlyStopping = EarlyStopping()
    features: list[str] = []
    max_flops: Annotated[int, Field(ge=1)] | None = None
    max_trials: Annotated[int, Field(ge=1)] | None = None
    trial_deadline_seconds: Annotated[int, Field(ge=1)] | None = None
    """Longest time of one trial of an algorithm that has trials; one over it is pruned."""
    max_latency_milliseconds: float | None = None
    batch_size: Annotated[int, Field(ge=1)] = 256


class TrainLightConfig(StepConfig):
    """train-light: the architecture trained from fresh weights with the teacher, exported to ONNX."""

    step: Literal["train-light"] = "train-light"
    manifest: str
    base_version: Annotated[int, Field(ge=1)]
    heavy_result: str
    architecture: LightArchitecture | None = None
    """Given inline, or read from `searchResult`."""
    search_result: str | None = None
    """Key of the search step's architecture.json."""
    light_version: str
    teacher: Teacher = Teacher()
    transfer_from: list[str] | None = None
    """As in the search's config."""
    training: Training = Training()
    """The heavy model's; its seed is used."""
    light_training: LightTraining = LightTraining()
    features: list[str] = []
    max_flops: Annotated[int, Field(ge=1)] | None = None
    max_latency_milliseconds: float | None = None
    parity_tolerance: Annotated[float, Field(gt=0)] = 1e-4


ALT = MethodApi(
    name="ALT",
    configs={
        "initialize": InitializeConfig,
        "adapt": AdaptConfig,
        "search": SearchConfig,
        "train-light": TrainLightConfig,
        "meta-train": MetaTrainConfig,
    },
    distributed=frozenset({"initialize", "meta-train"}),
)
