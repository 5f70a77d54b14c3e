"""LightModelSearch: one search for a light architecture inside a budget."""

from decimal import Decimal
from operator import not_
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from longtail_api.base import ApiModel, ColumnName, ObjectName
from longtail_api.conditions import Conditions
from longtail_api.data_schema import DataSchema
from longtail_api.pictures import Pictures
from longtail_api.rules import Rule, comparing, immutable
from longtail_api.shared_specs import Metric
from longtail_api.values import Distinct, Number

OPERATION_NAMES = (
    "conv1", "conv3", "conv5", "conv7", "conv9",
    "dilated3", "dilated5", "dilated7", "dilated9",
    "average_pool3", "max_pool3", "lstm", "attention", "transformer_block",
)  # fmt: skip
OperationName = Literal[
    "conv1", "conv3", "conv5", "conv7", "conv9",
    "dilated3", "dilated5", "dilated7", "dilated9",
    "average_pool3", "max_pool3", "lstm", "attention", "transformer_block",
]  # fmt: skip


class DifferentiableParameters(ApiModel):
    """Parameters of a differentiable search without a budget (ALT III-D, Eq. 6 to 8)."""

    rules: ClassVar = (
        Rule(
            comparing("!{temperatureStart}.isLessThan({temperatureEnd})", "temperatureStart", "temperatureEnd"),
            "is above temperatureStart; the temperature falls, so give an end that is not above the start",
            "temperatureEnd",
        ),
    )

    epochs: Annotated[int, Field(ge=1, le=1000)] = 30
    """Passes over the training rows."""
    warm_up: Annotated[Decimal, Number(ge="0", lt="1")] = Decimal("0.6")
    """Share of the epochs that train weights alone, on architectures drawn uniformly. Without it pooling, which has
    nothing to learn, wins before a convolution or an LSTM is of any use."""
    learning_rate: Annotated[Decimal, Number(gt="0", le="1")] = Decimal("0.006")
    """β of ALT Eq. 6, for the weights."""
    architecture_learning_rate: Annotated[Decimal, Number(gt="0", le="1")] = Decimal("0.03")
    """Learning rate of the architecture distributions."""
    temperature_start: Annotated[Decimal, Number(gt="0", le="100")] = Decimal("5")
    """τ of ALT Eq. 7 at the start."""
    temperature_end: Annotated[Decimal, Number(gt="0", le="100")] = Decimal("0.5")
    """τ of ALT Eq. 7 at the end."""

    @model_validator(mode="after")
    def _the_temperature_falls(self) -> Self:
        if self.temperature_end > self.temperature_start:
            raise ValueError("temperatureEnd is above temperatureStart; give an end that is not above the start")
        return self


class GdasParameters(DifferentiableParameters):
    """Parameters of the differentiable search (ALT III-D)."""

    flops_weight: Annotated[Decimal, Number(ge="0", le="100")] = Decimal("0.001")
    """λ of ALT Eq. 4. The budget is kept whatever it is; more prefers what is cheaper still."""


class Algorithm(ApiModel):
    """The search algorithm and its parameters."""

    name: Literal["gdas", "random"] = "gdas"
    """gdas: differentiable, with the FLOPs in its loss (ALT III-D). random: architectures drawn inside the budget."""
    gdas: GdasParameters = GdasParameters()
    """Parameters of gdas."""


class SearchSpace(ApiModel):
    """What a light behavior encoder may consist of (ALT III-D, Fig. 6)."""

    layers: Annotated[int, Field(ge=1, le=12)] = 3
    """Layers of the encoder."""
    operations: Annotated[list[OperationName], Field(min_length=1, max_length=16), Distinct()] = [
        "conv1", "conv3", "conv5", "dilated3", "dilated5", "average_pool3", "max_pool3", "lstm", "attention",
    ]  # fmt: skip
    """Candidate operations of a layer."""
    width: Annotated[int, Field(ge=1, le=512)] = 16
    """Width of every layer."""
    # Left out where it is off: hashes of spaces from before there was any stay as they are.
    target_attention: Annotated[bool, Field(exclude_if=not_)] = False
    """Attention from the candidate to its history beside the encoders, as in the heavy model's
    architecture.targetAttention; its FLOPs count against the budget."""


class Objective(ApiModel):
    """What the search optimizes, on validation rows."""

    rules: ClassVar = (
        Rule(
            "self.metric != 'auc' || !has(self.goal) || " + comparing("!{goal}.isGreaterThan(quantity('1'))", "goal"),
            "no auc is above 1; give a goal of at most 1",
            "goal",
        ),
    )

    metric: Metric = "auc"
    """The figure: auc is maximized, logLoss and rmse are minimized."""
    label: ColumnName | None = None
    """The label; by default the primary one."""
    goal: Annotated[Decimal, Number(ge="0", le="1000000")] | None = None
    """The search ends once this is reached."""

    @model_validator(mode="after")
    def _the_goal_fits_the_metric(self) -> Self:
        if self.metric == "auc" and self.goal is not None and self.goal > 1:
            raise ValueError("goal: no auc is above 1; give a goal of at most 1")
        return self

    def figure(self, schema: DataSchema) -> str:
        """Its name among a result's metrics: `auc`, or `purchase.rmse` of a label other than the primary one.

        An objective that asks for the AUC of a regression, as the default one does, means its error. Raises
        `ValueError` where the schema has no such label, or the label no such figure.
        """
        by_name = {label.name: label for label in schema.labels}
        primary = schema.labels[0].name
        name = primary if self.label is None else self.label
        if name not in by_name:
            raise ValueError(f"objective.label: the schema has no label {name!r}; one of {', '.join(by_name)}")
        if by_name[name].type == "regression":
            known, metric = self.metric != "logLoss", "rmse"
        else:
            known, metric = self.metric != "rmse", self.metric
        if not known:
            instead = "auc" if by_name[name].type == "binary" else "rmse"
            raise ValueError(f"objective.metric: label {name!r} has no {self.metric}; choose {instead}")
        return metric if name == primary else f"{name}.{metric}"


class Teacher(ApiModel):
    """Distillation (ALT Eq. 5)."""

    temperature: Annotated[Decimal, Number(gt="0", le="100")] = Decimal("1")
    """Temperature of the soft labels."""
    weight: Annotated[Decimal, Number(ge="0", le="100")] = Decimal("1")
    """δ of ALT Eq. 5."""
    transfer_rows: Annotated[int, Field(ge=0, le=10_000_000)] = 20_000
    """Training rows of the pool's other scenarios that the teacher labels beside the scenario's own. Of which ones, the
    HeavyModel's shareRows says."""


class SearchBudget(ApiModel):
    """What the search may spend, and what its result may cost."""

    rules: ClassVar = (
        Rule(
            "!has(self.trialDeadlineSeconds) || self.trialDeadlineSeconds <= self.activeDeadlineSeconds",
            "is above activeDeadlineSeconds, so that one trial could outlast the search; lower it",
            "trialDeadlineSeconds",
        ),
    )

    max_flops: Annotated[Decimal, Number(gt="0", le="1000G", quantity=True, unit="FLOPs")] | None = None
    """Floating-point operations of one prediction of the result, such as 250k."""
    max_trials: Annotated[int, Field(ge=1, le=100_000)] | None = None
    """Trials at most, of an algorithm that has trials: random, not gdas."""
    trial_deadline_seconds: Annotated[int, Field(ge=1, le=604_800)] | None = None
    """Longest time of one trial, of an algorithm that has trials; one over it is pruned, and the search goes on."""
    active_deadline_seconds: Annotated[int, Field(ge=60, le=604_800)] = 14_400
    """Longest time of the whole search."""

    @model_validator(mode="after")
    def _trials_fit_the_search(self) -> Self:
        if self.trial_deadline_seconds is not None and self.trial_deadline_seconds > self.active_deadline_seconds:
            raise ValueError("trialDeadlineSeconds is above activeDeadlineSeconds; lower it")
        return self


PATIENCE = 3
TRIALS = 8
"""Of a search whose budget names none."""


class EarlyStopping(ApiModel):
    """When a hopeless trial ends, of an algorithm that has trials: random, not gdas."""

    patience: Annotated[int, Field(ge=1, le=100)] = PATIENCE
    """Epochs without an improvement on validation rows."""


class TargetReference(ApiModel):
    """What the search is for."""

    kind: Literal["Scenario"] = "Scenario"
    """Kind of the target."""
    name: ObjectName
    """Name of the target, in this namespace."""


class LightModelSearchSpec(ApiModel):
    """One search. Everything but suspend is immutable."""

    rules: ClassVar = (
        *(
            immutable(field, "only suspend may change; for another search create another LightModelSearch")
            for field in ("targetRef", "algorithm", "searchSpace", "objective", "teacher", "budget", "earlyStopping")
        ),
        *(
            Rule(
                f"self.algorithm.name != 'gdas' || !has(self.budget.{field})",
                "gdas has no trials: its epochs are algorithm.gdas.epochs; remove it, or set algorithm.name to random",
                f"budget.{field}",
            )
            for field in ("maxTrials", "trialDeadlineSeconds")
        ),
        # The API server fills in the default before it looks: what is the default is as good as not given.
        Rule(
            f"self.algorithm.name != 'gdas' || self.earlyStopping.patience == {PATIENCE}",
            "gdas has no trials that could end early; remove it, or set algorithm.name to random",
            "earlyStopping.patience",
        ),
    )

    target_ref: TargetReference
    """What the search is for."""
    algorithm: Algorithm = Algorithm()
    """How it searches."""
    search_space: SearchSpace = SearchSpace()
    """What it may choose from."""
    objective: Objective = Objective()
    """What it optimizes."""
    teacher: Teacher = Teacher()
    """Distillation from the heavy model."""
    budget: SearchBudget = SearchBudget()
    """What it may spend, and what its result may cost."""
    early_stopping: EarlyStopping = EarlyStopping()
    """When a hopeless trial ends."""
    suspend: bool = False
    """Stop; a later false resumes from the last checkpoint."""

    @model_validator(mode="after")
    def _gdas_has_no_trials(self) -> Self:
        for field, value in (
            ("maxTrials", self.budget.max_trials), ("trialDeadlineSeconds", self.budget.trial_deadline_seconds),
        ):  # fmt: skip
            if value is not None and self.algorithm.name == "gdas":
                raise ValueError(f"budget.{field}: gdas has no trials; remove it, or set algorithm.name to random")
        if self.early_stopping.patience != PATIENCE and self.algorithm.name == "gdas":
            raise ValueError(
                "earlyStopping.patience: gdas has no trials that could end early; remove it, or set algorithm.name to "
                "random"
            )
        return self


class TrialCounts(ApiModel):
    """Trials (for gdas: epochs) so far."""

    planned: Annotated[int, Field(ge=0)] = 0
    """Planned in all."""
    completed: Annotated[int, Field(ge=0)] = 0
    """Completed."""
    failed: Annotated[int, Field(ge=0)] = 0
    """Failed."""


class BestTrial(ApiModel):
    """The best architecture so far."""

    architecture: Annotated[str, Field(max_length=4096)]
    """The architecture, one line."""
    metric: Annotated[str, Field(max_length=24)] | None = None
    """Its figure on validation rows, by the objective."""
    figure: Annotated[str, Field(max_length=72)] | None = None
    """Which figure that is: auc, or purchase.rmse of a label other than the primary one."""
    flops: Annotated[int, Field(ge=0)]
    """Floating-point operations of one prediction."""


class LightModelSearchStatus(ApiModel):
    """What the operator observed."""

    observed_generation: Annotated[int, Field(ge=0)] = 0
    """metadata.generation this status is about."""
    conditions: Conditions = []
    """Suspended, Complete or Failed, Ready."""
    trials: TrialCounts = TrialCounts()
    """Counts of trials."""
    best: BestTrial | None = None
    """The best architecture so far."""
    result_key: Annotated[str, Field(max_length=512)] | None = None
    """Key of the result in the store."""
    result_sha256: Annotated[str, Field(max_length=64)] | None = None
    """Hash of the result."""
    pictures: Pictures = []
    """Pictures of the search: the cell, its probabilities, learning curves."""
    attempt: Annotated[int, Field(ge=0)] = 0
    """How often its Job was made anew because the store, a node or the like had failed it."""
    made_of: Annotated[str, Field(max_length=64)] | None = None
    """Hash of what its Job was made of: image, resources and the like."""
