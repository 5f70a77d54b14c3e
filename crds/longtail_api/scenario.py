"""Scenario: one long-tail scenario, from its rows to a light model that serves."""

from decimal import Decimal
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from longtail_api.base import ApiModel, ColumnName, Cron, TimeZone
from longtail_api.conditions import MESSAGE_LIMIT, Conditions
from longtail_api.light_model_search import Algorithm, SearchSpace, Teacher
from longtail_api.pictures import Pictures
from longtail_api.pod_template import PodTemplate
from longtail_api.rules import Rule, comparing, immutable
from longtail_api.shared_specs import (
    DataLocation,
    HeavyModelReference,
    Milliseconds,
    Resources,
    SecretReference,
    Share,
    TrainerOverrides,
)
from longtail_api.values import Distinct, Number, Text

VersionName = Annotated[
    str, Text(r"^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$", "the name of a light version, as the status shows it", 63)
]


class StorageOverrides(ApiModel):
    """What a Scenario may set for reaching the HeavyModel's store."""

    credentials_secret_ref: SecretReference | None = None
    """Credentials for the store and the tables in this namespace, in place of the HeavyModel's."""


class ScenarioData(DataLocation):
    """Which rows are this scenario's."""

    rules: ClassVar = (immutable("scenarioKey", "for other rows create another Scenario", optional=True),)

    scenario_key: Annotated[str, Field(min_length=1, max_length=253)] | None = None
    """Value of the column `scenario`; by default the Scenario's own name."""


class Refresh(ApiModel):
    """When data and model are made anew. No schedule: only on a change of the spec."""

    data: Cron | None = None
    """When profile and behavior data are read again, as a cron expression."""
    model: Cron | None = None
    """When a new run makes a new light model, as a cron expression."""
    time_zone: TimeZone = "UTC"
    """Time zone of the schedules."""
    starting_deadline_seconds: Annotated[int, Field(ge=1, le=604_800)] = 3600
    """A start missed by more than this is skipped."""
    jitter_seconds: Annotated[int, Field(ge=0, le=86_400)] = 0
    """A start is moved by a part of this that depends on the Scenario's name alone."""


class Budget(ApiModel):
    """What one prediction may cost. The search looks for the best light architecture inside it; of two limits the
    stricter one wins, and without any the search is free."""

    max_flops: Annotated[Decimal, Number(gt="0", le="1000G", quantity=True, unit="FLOPs")] | None = None
    """Floating-point operations of one prediction (a multiply-add is two) with behavior sequences at their maxLength
    and batch 1, such as 250k. Where no architecture of the search space is that cheap, the search ends with
    BudgetUnreachable."""
    max_latency_milliseconds: Milliseconds | None = None
    """99th percentile of the time of one prediction, such as 5, as the search measures it in its own container: on one
    thread, one row of the greatest length. What serves has other resources and a network before it: see serving.slo."""


class Light(ApiModel):
    """The light model."""

    features: Annotated[list[ColumnName], Field(max_length=1024), Distinct()] = []
    """Features it may read; none given means all."""
    algorithm: Algorithm = Algorithm()
    """How its architecture is searched."""
    search_space: SearchSpace = SearchSpace()
    """What it may consist of."""
    teacher: Teacher | None = None
    """How it is distilled from the heavy model, in the search and in its training; without it as a LightModelSearch's
    default says."""
    search: Literal["Once", "OnSchemaChange", "Always"] = "OnSchemaChange"
    """When the architecture is searched again."""


class Slo(ApiModel):
    """What serving promises."""

    p99_milliseconds: Milliseconds
    """99th percentile of the time of one request, seen by the checker."""
    max_error_rate: Share = Decimal("0.001")
    """Share of requests that may fail."""


class Rollout(ApiModel):
    """How a candidate replaces the stable version."""

    check_seconds: Annotated[int, Field(ge=1, le=3600)] = 10
    """How long the candidate is checked under load."""
    check_concurrency: Annotated[int, Field(ge=1, le=256)] = 2
    """Requests under way at the same time during the check."""


MEASURED_BY = "busy is told by the CPU they request; give serving.resources.requests.cpu, or make the two the same"


class Serving(ApiModel):
    """How the light model is served: by a Deployment of its own."""

    rules: ClassVar = (
        Rule(
            "self.maxReplicas >= self.minReplicas",
            "is below minReplicas; raise maxReplicas or lower minReplicas",
            "maxReplicas",
        ),
        Rule(
            "self.maxReplicas == self.minReplicas || "
            "'cpu' in self.resources.requests || 'cpu' in self.resources.limits",
            f"is above minReplicas, so that there are more pods while they are busy: {MEASURED_BY}",
            "maxReplicas",
        ),
    )

    min_replicas: Annotated[int, Field(ge=1, le=1000)] = 1
    """Replicas to begin with, and at least with an autoscaler. A Deployment that a person or another autoscaler has
    scaled since is left as it is until this changes."""
    max_replicas: Annotated[int, Field(ge=1, le=1000)] = 1
    """Replicas at most. Above minReplicas, a HorizontalPodAutoscaler adds some while the pods use more than 80 % of the
    CPU they request; it needs a metrics server in the cluster."""
    resources: Resources = Resources()
    """Resources of a serving container."""
    pod_template: PodTemplate = PodTemplate()
    """What is added to the pods that serve, and to those of the check."""
    slo: Slo | None = None
    """Service level objective, checked before a candidate takes traffic."""
    rollout: Rollout = Rollout()
    """How a candidate replaces the stable version."""
    max_regression: Share = Decimal("0.02")
    """How much lower the AUC of any label may be than the stable version's, on the same rows; of a regression, by what
    share higher its error."""
    pinned_version: VersionName | None = None
    """Serve this light version whatever is newer."""

    @model_validator(mode="after")
    def _replicas_are_a_range(self) -> Self:
        if self.max_replicas < self.min_replicas:
            raise ValueError("maxReplicas is below minReplicas; raise maxReplicas or lower minReplicas")
        if self.max_replicas > self.min_replicas and "cpu" not in {**self.resources.requests, **self.resources.limits}:
            raise ValueError(
                f"maxReplicas is above minReplicas, so that there are more pods while they are busy: {MEASURED_BY}"
            )
        return self


class ScenarioSpec(ApiModel):
    """One scenario: its rows, its budget, how it is served."""

    rules: ClassVar = (
        immutable("heavyModelRef", "for another shared model create another Scenario"),
        Rule(
            "!has(self.budget.maxLatencyMilliseconds) || has(self.serving)",
            "is a latency of serving, and there is none; add spec.serving, or give budget.maxFlops instead",
            "budget.maxLatencyMilliseconds",
        ),
        Rule(
            "!has(self.serving) || !has(self.serving.slo) || !has(self.budget.maxLatencyMilliseconds) || "
            + comparing(
                "!{p99Milliseconds}.isLessThan({maxLatencyMilliseconds})",
                "serving.slo.p99Milliseconds",
                "budget.maxLatencyMilliseconds",
            ),
            "is below budget.maxLatencyMilliseconds, so that a model inside the budget could break it; "
            "raise p99Milliseconds or lower the budget",
            "serving.slo.p99Milliseconds",
        ),
    )

    heavy_model_ref: HeavyModelReference
    """The shared model it starts from and gives feedback to. Immutable."""
    data: ScenarioData = ScenarioData()
    """Which rows are this scenario's."""
    refresh: Refresh = Refresh()
    """When data and model are made anew."""
    storage: StorageOverrides = StorageOverrides()
    """How this Scenario reaches the HeavyModel's store."""
    budget: Budget = Budget()
    """What one prediction may cost."""
    light: Light = Light()
    """The light model."""
    serving: Serving | None = None
    """How the light model is served. Without it the Scenario only contributes data and feedback."""
    trainer: TrainerOverrides = TrainerOverrides()
    """Overrides for its training pods."""
    suspend: bool = False
    """Stop new work; what serves goes on serving."""
    deletion_policy: Literal["Retain", "Delete"] = "Retain"
    """Delete: when the Scenario is deleted, its prepared rows, the results of its runs and its light models go from the
    store, once nothing works with them or serves from them. What the shared model has learned of it stays."""

    @model_validator(mode="after")
    def _latencies_agree(self) -> Self:
        latency = self.budget.max_latency_milliseconds
        if latency is None:
            return self
        if self.serving is None:
            raise ValueError(
                "budget.maxLatencyMilliseconds is a latency of serving, and there is none; "
                "add spec.serving, or give budget.maxFlops instead"
            )
        if self.serving.slo is not None and self.serving.slo.p99_milliseconds < latency:
            raise ValueError(
                "serving.slo.p99Milliseconds is below budget.maxLatencyMilliseconds, so that a model inside the "
                "budget could break it; raise p99Milliseconds or lower the budget"
            )
        return self


LABELS_SHOWN = 8
"""A resource stays small; all labels' figures are in the results of the steps."""


class LabelMetrics(ApiModel):
    """Figures of one label on test rows. Numbers as decimal strings."""

    name: ColumnName
    """The label."""
    auc: Annotated[str, Field(max_length=24)] | None = None
    """AUC of a binary label; MetricNotEstimable where its rows hold one class."""
    log_loss: Annotated[str, Field(max_length=24)] | None = None
    """Log loss of a binary label."""
    rmse: Annotated[str, Field(max_length=24)] | None = None
    """Root of the mean squared error of a regression, in its own unit."""


class ModelMetrics(ApiModel):
    """Measured figures of one model. Numbers as decimal strings."""

    auc: Annotated[str, Field(max_length=24)] | None = None
    """AUC of the primary label on test rows; MetricNotEstimable where they hold one class."""
    auc_low: Annotated[str, Field(max_length=24)] | None = None
    """Lower end of its 95 % interval."""
    auc_high: Annotated[str, Field(max_length=24)] | None = None
    """Upper end of its 95 % interval."""
    log_loss: Annotated[str, Field(max_length=24)] | None = None
    """Log loss of the primary label on test rows."""
    calibration_error: Annotated[str, Field(max_length=24)] | None = None
    """Expected calibration error on test rows: mean distance of predicted and seen share, over ten bins."""
    rmse: Annotated[str, Field(max_length=24)] | None = None
    """Root of the mean squared error on test rows, where the primary label is a regression."""
    labels: Annotated[
        list[LabelMetrics],
        Field(
            max_length=LABELS_SHOWN,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        ),
    ] = []
    """Where there are several labels, each one's figures, the primary label's first; the first 8."""
    flops: Annotated[int, Field(ge=0)] | None = None
    """Floating-point operations of one prediction."""
    p99_milliseconds: Annotated[str, Field(max_length=24)] | None = None
    """99th percentile of one prediction."""


class Lineage(ApiModel):
    """What the serving light model was made of."""

    data_version: Annotated[str, Field(max_length=63)] | None = None
    """Version of the prepared data."""
    agnostic_version: Annotated[int, Field(ge=1)] | None = None
    """Version of the agnostic model the run started from."""
    search: Annotated[str, Field(max_length=253)] | None = None
    """LightModelSearch that found the architecture."""
    light_version: Annotated[str, Field(max_length=63)] | None = None
    """Version of the light model."""


class StepStatus(ApiModel):
    """One step of the current run."""

    name: Annotated[str, Field(max_length=32)]
    """Name of the step."""
    identity: Annotated[str, Field(max_length=64)]
    """Hash of the step's inputs; it names the Job."""
    attempt: Annotated[int, Field(ge=0)] = 0
    """How often its Job was made anew because the store, a node or the like had failed it."""
    made_of: Annotated[str, Field(max_length=64)] | None = None
    """Hash of what its Job was made of: image, resources and the like."""
    result: Annotated[str, Field(max_length=64)] | None = None
    """sha256 of its result, once it is done."""
    result_key: Annotated[str, Field(max_length=512)] | None = None
    """Key of its result in the store, where a later step is told it."""
    note: Annotated[str, Field(max_length=256)] | None = None
    """What a person should know of its result; the condition's message has it too."""


class RunStatus(ApiModel):
    """The current run."""

    number: Annotated[int, Field(ge=1)]
    """Number of the run; persisted before its first Job exists."""
    trigger: Annotated[str, Field(max_length=63)] = "Created"
    """Why it started: Created, SpecChanged, Schedule (a new light model), DataSchedule (new data alone), Annotation."""
    annotation: Annotated[str, Field(max_length=256)] | None = None
    """Value of the annotation longtail.dev/run when it started."""
    spec_hash: Annotated[str, Field(max_length=64)] = ""
    """Hash of the spec fields that start a run."""
    base_version: Annotated[int, Field(ge=1)] | None = None
    """Version of the agnostic model pinned at its start."""
    data_version: Annotated[str, Field(max_length=63)] | None = None
    """Version of the prepared data it works on."""
    step: Annotated[str, Field(max_length=32)] | None = None
    """Step under way."""
    steps: Annotated[list[StepStatus], Field(max_length=16)] = []
    """Steps so far."""
    started: Annotated[str, Field(max_length=32)] | None = None
    """When it started (RFC 3339)."""
    finished: Annotated[str, Field(max_length=32)] | None = None
    """When its last step ended (RFC 3339)."""
    outcome: Literal["Succeeded", "Failed"] | None = None
    """How it ended."""
    no_feedback: Annotated[str, Field(max_length=63)] | None = None
    """Why it hands in no feedback, such as EmptyQuerySet."""
    light_sha256: Annotated[str, Field(max_length=64)] | None = None
    """Hash of the light model file it made."""


class PreparedData(ApiModel):
    """The newest prepared data of the Scenario."""

    version: Annotated[str, Field(max_length=63)]
    """Version of the prepared data."""
    run: Annotated[int, Field(ge=1)]
    """Run that prepared it."""
    source_hash: Annotated[str, Field(max_length=64)]
    """Hash of the addresses and the schema it was prepared with."""
    fingerprint: Annotated[str, Field(max_length=64)] | None = None
    """Hash of its training rows: a refresh of tables that have not changed has the same."""
    taught_generation: Annotated[int, Field(ge=1)] | None = None
    """Generation of the agnostic model that has learned these rows, from its pool or by feedback: it gets none from
    them again, whichever run prepared them."""


class Refusal(ApiModel):
    """A candidate that is not checked again for now, and why."""

    refused: Annotated[str, Field(max_length=63)] | None = None
    """The last light version whose check failed."""
    refused_check: Annotated[str, Field(max_length=64)] | None = None
    """Hash of what it was checked against; other demands have it checked again."""
    refused_until: Annotated[str, Field(max_length=32)] | None = None
    """When it is checked again (RFC 3339), because its check measured nothing; null where a figure refused it."""
    refused_reason: Annotated[str, Field(max_length=63)] | None = None
    """The reason that RolledOut gives for it."""
    refused_message: Annotated[str, Field(max_length=MESSAGE_LIMIT)] | None = None
    """What RolledOut says of it."""
    unmeasured_checks: Annotated[int, Field(ge=0)] = 0
    """How many checks of it in a row have measured nothing."""


class ServingStatus(Refusal):
    """What serves."""

    stable: Annotated[str, Field(max_length=63)] | None = None
    """Light version that takes the traffic."""
    stable_sha256: Annotated[str, Field(max_length=64)] | None = None
    """Hash of its model file."""
    revision: Annotated[str, Field(max_length=63)] | None = None
    """Label longtail.dev/version of its pods: the version or, of one that changed its form since, with a hash of it."""
    candidate: Annotated[str, Field(max_length=63)] | None = None
    """Light version under check; of the stable version in another form, with the hash of that."""
    candidate_since: Annotated[str, Field(max_length=32)] | None = None
    """When the candidate, or the last one, was brought up (RFC 3339)."""
    promoted: Annotated[str, Field(max_length=32)] | None = None
    """When the stable version took the traffic (RFC 3339)."""
    p99_milliseconds: Annotated[str, Field(max_length=24)] | None = None
    """99th percentile of a request, as the check of the stable version saw it under load."""
    form: Refusal = Refusal()
    """The same of the stable version in another form: with other resources, another image or another podTemplate."""
    tried_image: Annotated[str, Field(max_length=512)] | None = None
    """New serving image that the stable version is tried with, or was refused with."""
    url: Annotated[str, Field(max_length=512)] | None = None
    """Endpoint inside the cluster."""


class ScenarioMetrics(ApiModel):
    """Figures of the last finished run."""

    heavy: ModelMetrics | None = None
    """The scenario-specific heavy model."""
    light: ModelMetrics | None = None
    """The light model."""


class ScenarioStatus(ApiModel):
    """What the operator observed."""

    observed_generation: Annotated[int, Field(ge=0)] = 0
    """metadata.generation this status is about."""
    conditions: Conditions = []
    """DataPrepared, Adapted, Searched, Trained, RolledOut, Ready."""
    run: RunStatus | None = None
    """The current run."""
    data: PreparedData | None = None
    """The newest prepared data."""
    lineage: Lineage = Lineage()
    """What the serving light model was made of."""
    metrics: ScenarioMetrics = ScenarioMetrics()
    """Figures of the last finished run."""
    pictures: Pictures = []
    """Pictures of its newest steps: learning curves, the searched cell, quality against FLOPs."""
    serving: ServingStatus = ServingStatus()
    """What serves."""
    schedule: Annotated[
        dict[Annotated[str, Field(max_length=16)], Annotated[str, Field(max_length=32)]], Field(max_length=4)
    ] = {}
    """Last handled start of each schedule (RFC 3339)."""


SCENARIO_NAME_LIMIT = 40
"""Longest name of a Scenario: child names add a suffix and must stay below 63 characters."""
