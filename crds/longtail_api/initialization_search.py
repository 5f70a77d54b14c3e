"""How the first agnostic model is searched for (ALT III-B, Fig. 3 and 4), and what is recorded of it."""

from decimal import Decimal
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from longtail_api.base import ApiModel
from longtail_api.light_model_search import DifferentiableParameters, OperationName
from longtail_api.rules import Rule
from longtail_api.values import Distinct, Number

Widths = Annotated[list[Annotated[int, Field(ge=1, le=4096)]], Field(min_length=1, max_length=8)]
"""Of the layers of an encoder or module, first layer first."""
Way = Literal["Hyperparameters", "Architecture"]
"""Hyperparameters: tuning of the pre-designed architecture. Architecture: search of the behavior encoder's layers."""


def _no_twin(field: str) -> Rule:
    return Rule(
        f"self.{field}.all(one, self.{field}.exists_one(other, other == one))",
        "has a value twice; remove one",
        field,
    )


class HyperparameterSpace(ApiModel):
    """Values that are tried. The defaults are the example of ALT, Fig. 3."""

    rules: ClassVar = tuple(
        _no_twin(field) for field in ("learningRate", "profileLayers", "behaviorLayers", "predictionLayers")
    )

    learning_rate: Annotated[list[Annotated[Decimal, Number(gt="0", le="1")]], Field(min_length=1, max_length=16)] = [
        Decimal("0.001"),
        Decimal("0.0001"),
    ]
    """Of training.learningRate."""
    profile_layers: Annotated[list[Widths], Field(min_length=1, max_length=16)] = [[128, 32], [64, 16]]
    """Of architecture.profileLayers (`deep_layers_dim`)."""
    behavior_layers: Annotated[list[Annotated[int, Field(ge=1, le=24)]], Field(min_length=1, max_length=16)] = [2, 3, 4]
    """Of architecture.behaviorLayers (`num_encoder_in_transformer`), of either kind of encoder."""
    prediction_layers: Annotated[list[Widths], Field(min_length=1, max_length=16)] = [[64, 8], [128, 16], [256, 16]]
    """Of architecture.predictionLayers (`prediction_module_dim`)."""

    @model_validator(mode="after")
    def _values_differ(self) -> Self:
        for name in type(self).model_fields:
            values: list[object] = getattr(self, name)
            if any(value in values[:number] for number, value in enumerate(values)):
                raise ValueError(f"{name} has a value twice; remove one")
        return self


class HyperparameterSearch(ApiModel):
    """Tuning of the pre-designed architecture (ALT III-B, IV-C)."""

    rules: ClassVar = (
        Rule(
            "self.trialDeadlineSeconds <= self.deadlineSeconds",
            "is above deadlineSeconds, so that one trial could outlast the search; lower it",
            "trialDeadlineSeconds",
        ),
    )

    algorithm: Literal["racos", "tpe", "gp", "cmaes", "evolution", "random"] = "racos"
    """How the next trial is chosen; racos is ALT's default."""
    max_trials: Annotated[int, Field(ge=1, le=10_000)] = 20
    """Trials at most."""
    trial_deadline_seconds: Annotated[int, Field(ge=1, le=604_800)] = 1_800
    """Longest time of one trial; one over it is pruned, which is recorded, and the search goes on."""
    deadline_seconds: Annotated[int, Field(ge=1, le=604_800)] = 5_400
    """Longest time of all trials together; the best of the complete ones counts."""
    early_stopping: Literal["Median", "Never"] = "Median"
    """Median: a trial ends whose best figure is worse after an epoch than the median of earlier trials' was."""
    space: HyperparameterSpace = HyperparameterSpace()
    """Values that are tried."""

    @model_validator(mode="after")
    def _a_trial_fits_the_search(self) -> Self:
        if self.trial_deadline_seconds > self.deadline_seconds:
            raise ValueError("trialDeadlineSeconds is above deadlineSeconds; lower it")
        return self


class EncoderSearch(ApiModel):
    """Search of the behavior encoder's layers, at the width and heads of the architecture, without a FLOPs budget.

    The space is that of a light model's encoder (ALT III-D), at heavy size; the rest of the model, its training too,
    is as the spec says.
    """

    layers: Annotated[int, Field(ge=1, le=12)] = 6
    """Layers of the encoder: those of ALT's heavy models (V-A)."""
    operations: Annotated[list[OperationName], Field(min_length=1, max_length=16), Distinct()] = [
        "conv1", "conv3", "conv5", "dilated3", "dilated5", "average_pool3", "max_pool3", "lstm", "attention",
    ]  # fmt: skip
    """Candidate operations of a layer."""
    gdas: DifferentiableParameters = DifferentiableParameters()
    """Parameters of the differentiable search."""
    deadline_seconds: Annotated[int, Field(ge=1, le=604_800)] = 5_400
    """Longest time of search and training; over it, this way is recorded as failed, and the other one counts."""


class InitializationSearch(ApiModel):
    """Search for the first version's model; the better one on validation rows becomes it (ALT III-B, Fig. 4)."""

    ways: Annotated[list[Way], Field(min_length=1, max_length=2), Distinct()] = ["Hyperparameters", "Architecture"]
    """Which of the two are gone; "not necessarily required in practice, the engineers can choose one of them"."""
    hyperparameters: HyperparameterSearch = HyperparameterSearch()
    """Tuning of the pre-designed architecture."""
    architecture: EncoderSearch = EncoderSearch()
    """Search of the behavior encoder's layers."""

    def deadline_seconds(self) -> int:
        """Longest time of all ways that are gone."""
        limits: dict[Way, int] = {
            "Hyperparameters": self.hyperparameters.deadline_seconds,
            "Architecture": self.architecture.deadline_seconds,
        }
        return sum(limits[way] for way in self.ways)


class WayOutcome(ApiModel):
    """What one way came to."""

    way: Way
    value: float | None = None
    """The figure on validation rows; none where the way failed."""
    flops: int | None = None
    ended: str | None = None
    """Why it ended, such as MaxTrialsReached; where it failed, the error."""
    trials: dict[str, int] = {}
    """Trials by their end: complete, pruned, failed."""
    details_key: str | None = None
    """Object in the store that has every trial, or the architecture."""


class InitializationOutcome(ApiModel):
    """Which way won a generation's first version. Every later version of the generation carries it on."""

    metric: Literal["auc", "rmse"]
    """The figure, averaged over the scenarios of the pool: `auc`, or `rmse`, of which less is better."""
    won: Way
    ways: list[WayOutcome]


class InitializationSearchStatus(ApiModel):
    """The search behind the generation's first version."""

    won: Way
    """The way whose model became it."""
    metric: Literal["auc", "rmse"]
    """What was compared, on validation rows, averaged over the scenarios of the pool."""
    hyperparameters: Annotated[str, Field(max_length=24)] | None = None
    """Figure of the best trial of the pre-designed architecture; absent where that way wasn't gone, or failed."""
    architecture: Annotated[str, Field(max_length=24)] | None = None
    """Figure of the searched architecture; absent where that way wasn't gone, or failed."""
