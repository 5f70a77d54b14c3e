"""HeavyModel: the shared, scenario-agnostic model and how it is kept up to date."""

from decimal import Decimal
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from longtail_api.architecture import Architecture, Training
from longtail_api.base import ApiModel, Cron, NamespaceName, Sha256, TimeZone
from longtail_api.conditions import Conditions
from longtail_api.data_schema import DataSchema
from longtail_api.initialization_search import InitializationSearch, InitializationSearchStatus
from longtail_api.methods import METHODS, MethodName
from longtail_api.pictures import Pictures
from longtail_api.pod_template import MOUNT
from longtail_api.refusals import refused
from longtail_api.rules import Rule, immutable
from longtail_api.shared_specs import DataLocation, Storage, Trainer
from longtail_api.values import Distinct, Number

MODEL_REVISION = 2
"""Of what the trainer builds from an `Architecture`. Weights of another revision don't fit, so with a new one the next
generation begins, as with a change of the architecture itself. 2: bins of numbers, a way round each LSTM layer."""

NOTHING_TO_ATTEND_TO = (
    "no context feature shares a vocabulary with a behavior sequence; name one in schema.sharedVocabularies, "
    "or set it to false"
)


class ScenarioSelector(ApiModel):
    """Which Scenarios form the initial pool."""

    match_labels: Annotated[
        dict[Annotated[str, Field(max_length=317)], Annotated[str, Field(max_length=63)]], Field(max_length=16)
    ] = {}
    """Labels a Scenario of this HeavyModel must have; none selects all of them."""


class Initialization(ApiModel):
    """How version 1 comes about. The pool is frozen in it."""

    scenario_selector: ScenarioSelector = ScenarioSelector()
    """Which Scenarios form the initial pool."""
    min_scenarios: Annotated[int, Field(ge=1, le=10_000)] = 1
    """Initialization waits until this many of them have prepared data."""
    wait_seconds: Annotated[int, Field(ge=0, le=604_800)] = 3600
    """As soon as so many have it, the others that are still at work are waited for, but for so long at most. Who is
    suspended, has failed, or can't go on before a person acts, is not waited for."""
    search: InitializationSearch | None = None
    """Search for the first version's model; without it, the architecture is trained as it is given. A change counts
    from the next generation on."""


class MetaUpdate(ApiModel):
    """How feedback is folded into the agnostic model (ALT Eq. 2–3)."""

    mode: Literal["Async", "Synchronous"] = "Async"
    """Async: fold what has arrived. Synchronous: in rounds; fold all runs that started from one version at once, when
    the last of them has given its feedback. Runs that come meanwhile start from the version that this makes."""
    learning_rate: Annotated[Decimal, Number(gt="0", le="1")] = Decimal("0.01")
    """η of ALT Eq. 2, set conservatively."""
    buffer_size: Annotated[int, Field(ge=1, le=10_000)] = 8
    """Feedbacks that are folded at once, where mode is Async; episodes of one step of meta-training."""
    flush_interval_seconds: Annotated[int, Field(ge=1, le=604_800)] = 60
    """Fewer are folded after this time, where mode is Async."""
    staleness_exponent: Annotated[Decimal, Number(ge="0", le="10")] = Decimal("0.5")
    """A feedback τ versions old weighs 1/(1+τ)^exponent."""
    clip_norm: Annotated[Decimal, Number(gt="0", le="1000000")] = Decimal("1")
    """Each feedback's gradient is scaled down to this L2 norm."""


class MetaTraining(ApiModel):
    """Periodic training on all stored data (ALT III-C, last paragraph). Folding pauses meanwhile."""

    schedule: Cron
    """When, as a cron expression."""
    time_zone: TimeZone = "UTC"
    """Time zone of the schedule."""


class Retention(ApiModel):
    """What of the store's history is kept."""

    versions: Annotated[int, Field(ge=2, le=100_000)] = 20
    """Checkpoints of the agnostic model kept; version records are kept for ever."""
    orphans_seconds: Annotated[int, Field(ge=600, le=31_536_000)] = 86_400
    """A checkpoint that no version names is removed after this time."""
    data_versions: Annotated[int, Field(ge=1, le=100_000)] = 5
    """Newest data versions kept of each Scenario. Those that a generation began with stay beside them, as does whatever
    a current run or what serves was made of."""
    runs: Annotated[int, Field(ge=1, le=100_000)] = 5
    """Newest results kept of each step of each Scenario: heavy models, searches with their journals, pictures."""
    light_versions: Annotated[int, Field(ge=1, le=100_000)] = 20
    """Newest light versions kept of each Scenario, beside those that serve, are checked or are pinned."""


class HeavyModelSpec(ApiModel):
    """What the shared model is and how it is kept up to date."""

    rules: ClassVar = (
        immutable("method", "for another method create another HeavyModel"),
        # What an escape stands for is not known here; the operator decodes it, and says the same.
        Rule(
            "!self.storage.uri.startsWith('file://') || self.storage.uri.contains('%') || "
            "self.trainer.podTemplate.volumeMounts.exists(one, (self.storage.uri.substring(7) + '/')"
            ".startsWith(one.mountPath.endsWith('/') ? one.mountPath : one.mountPath + '/'))",
            f"is a folder where trainer.podTemplate mounts no volume; {MOUNT}",
            "storage.uri",
        ),
        Rule(
            "!has(self.initialization.search) || "
            "('Hyperparameters' in self.initialization.search.ways ? "
            "self.initialization.search.hyperparameters.deadlineSeconds : 0) + "
            "('Architecture' in self.initialization.search.ways ? "
            "self.initialization.search.architecture.deadlineSeconds : 0) < self.trainer.deadlineSeconds",
            "is not above the deadlines of initialization.search together: the Job would end before the search; "
            "raise it or lower them",
            "trainer.deadlineSeconds",
        ),
        Rule(
            "!self.architecture.targetAttention || self.schema.sharedVocabularies.exists(name, "
            "self.schema.sharedVocabularies[name].exists(column, column.startsWith('context.')) && "
            "self.schema.sharedVocabularies[name].exists(column, column.startsWith('behaviors.')))",
            f"has nothing to compare: {NOTHING_TO_ATTEND_TO}",
            "architecture.targetAttention",
        ),
    )

    method: MethodName = "ALT"
    """How scenarios share the model."""
    data_schema: Annotated[DataSchema, Field(alias="schema")]
    """Labels, features and split of the tables. A change starts the next generation."""
    encoder: Literal["LSTM", "Transformer"] = "LSTM"
    """Behavior encoder of the heavy model. A change starts the next generation."""
    architecture: Architecture = Architecture()
    """Sizes of the heavy model. A change starts the next generation."""
    training: Training = Training()
    """How the heavy model is trained and fine-tuned."""
    data: DataLocation = DataLocation()
    """Where the three tables are, for every Scenario that does not say otherwise."""
    initialization: Initialization = Initialization()
    """How version 1 comes about."""
    meta_update: MetaUpdate = MetaUpdate()
    """How feedback is folded in."""
    meta_training: MetaTraining | None = None
    """Periodic training on all stored data."""
    storage: Storage
    """The store of this HeavyModel."""
    trainer: Trainer = Trainer()
    """The training pods."""
    allowed_namespaces: Annotated[list[NamespaceName], Field(max_length=256), Distinct()] = []
    """Other namespaces whose Scenarios may refer to this HeavyModel."""
    share_rows: Literal["Namespace", "AllowedNamespaces", "None"] = "Namespace"
    """Whose prepared training rows a Scenario's light model may also be distilled on (`teacher.transferRows`): those of
    the pool's Scenarios in its own namespace; in any namespace that may refer to this HeavyModel; or nobody else's."""
    retention: Retention = Retention()
    """What of the store's history is kept."""
    deletion_policy: Literal["Retain", "Delete"] = "Retain"
    """Delete: when the HeavyModel is deleted, no Scenario refers to it any more and nothing serves from its store, the
    objects that Longtail made below storage.uri go. What else lies there stays."""

    @model_validator(mode="after")
    def _every_field_means_something(self) -> Self:
        words = refused(self, METHODS[self.method])
        if words is not None:
            raise ValueError(words)
        return self

    @model_validator(mode="after")
    def _the_candidate_has_something_to_attend_to(self) -> Self:
        if self.architecture.target_attention and not self.data_schema.relates_candidate_and_history():
            raise ValueError(f"architecture.targetAttention has nothing to compare: {NOTHING_TO_ATTEND_TO}")
        return self

    @model_validator(mode="after")
    def _the_search_fits_its_job(self) -> Self:
        search = self.initialization.search
        if search is not None and search.deadline_seconds() >= self.trainer.deadline_seconds:
            raise ValueError(
                "trainer.deadlineSeconds is not above the deadlines of initialization.search together; "
                "raise it or lower them"
            )
        return self


class CommittedVersion(ApiModel):
    """The newest committed version of the agnostic model."""

    number: Annotated[int, Field(ge=1)]
    """Number of the version."""
    generation: Annotated[int, Field(ge=1)]
    """Generation: versions of one schema and architecture."""
    sha256: Sha256
    """Hash of its checkpoint."""


class FeedbackCounts(ApiModel):
    """Feedback of all scenarios so far."""

    folded: Annotated[int, Field(ge=0)] = 0
    """Folded into a committed version."""
    pending: Annotated[int, Field(ge=0)] = 0
    """Waiting."""
    rejected: Annotated[int, Field(ge=0)] = 0
    """Recorded as rejected, with the reason."""


class InitializationStatus(ApiModel):
    """The newest initialization."""

    generation: Annotated[int, Field(ge=1)]
    """Generation whose first version it makes."""
    identity: Annotated[str, Field(max_length=64)]
    """Hash of its inputs; it names the Job."""
    result: Annotated[str, Field(max_length=64)] | None = None
    """sha256 of its result, once it is done."""
    failed: bool = False
    """Whether it is over without success; other data, another spec or another value of the annotation
    longtail.dev/run starts it again."""
    annotation: Annotated[str, Field(max_length=256)] | None = None
    """Value of the annotation longtail.dev/run when it started."""
    attempt: Annotated[int, Field(ge=0)] = 0
    """How often its Job was made anew because the store, a node or the like had failed it."""
    made_of: Annotated[str, Field(max_length=64)] | None = None
    """Hash of what its Job was made of: image, resources and the like."""


class MetaTrainingStatus(ApiModel):
    """The newest meta-training."""

    handled: Annotated[str, Field(max_length=32)]
    """Newest scheduled time that is over, started or skipped (RFC 3339)."""
    identity: Annotated[str, Field(max_length=64)] | None = None
    """Hash of its inputs; it names the Job."""
    outcome: Literal["Succeeded", "Failed", "Cancelled"] | None = None
    """How it ended. None: it is under way, or there was none yet."""
    base_version: Annotated[int, Field(ge=1)] | None = None
    """Version it started from."""
    version: Annotated[int, Field(ge=1)] | None = None
    """Version that stood at its end: its own, or the one it started from where it was no better."""
    attempt: Annotated[int, Field(ge=0)] = 0
    """How often its Job was made anew because the store, a node or the like had failed it."""
    made_of: Annotated[str, Field(max_length=64)] | None = None
    """Hash of what its Job was made of: image, resources and the like."""


class GroupStepStatus(ApiModel):
    """The newest Job of a step that works for many Scenarios at once."""

    step: Annotated[str, Field(max_length=32)]
    """Name of the step."""
    run: Annotated[int, Field(ge=1)]
    """Number of its run, below which its result is."""
    identity: Annotated[str, Field(max_length=64)]
    """Hash of its inputs; it names the Job."""
    result: Annotated[str, Field(max_length=64)] | None = None
    """sha256 of its result, which lists each Scenario's, once it is done."""
    outcome: Literal["Succeeded", "Failed"] | None = None
    """How it ended. None: it is under way."""
    message: Annotated[str, Field(max_length=1024)] | None = None
    """Why it failed or, while it is under way, what holds it up."""
    reason: Annotated[str, Field(max_length=63)] | None = None
    """Of the message, for machines."""
    attempt: Annotated[int, Field(ge=0)] = 0
    """How often its Job was made anew because the store, a node or the like had failed it."""
    made_of: Annotated[str, Field(max_length=64)] | None = None
    """Hash of what its Job was made of: image, resources and the like."""


class HeavyModelStatus(ApiModel):
    """What the operator observed."""

    observed_generation: Annotated[int, Field(ge=0)] = 0
    """metadata.generation this status is about."""
    conditions: Conditions = []
    """StoreReady, PoolPrepared, Initialized, MetaTrained, Ready."""
    store_claimed: bool = False
    """Whether the store is this HeavyModel's. Until then storage.uri and storage.endpoint may be corrected."""
    version: CommittedVersion | None = None
    """The newest committed version."""
    schema_hash: Annotated[str, Field(max_length=64)] | None = None
    """Hash of schema, encoder and architecture of the generation."""
    feedback: FeedbackCounts = FeedbackCounts()
    """Counts of feedback."""
    search: InitializationSearchStatus | None = None
    """The search behind the generation's first version, where there was one."""
    initialization: InitializationStatus | None = None
    """The newest initialization."""
    pool_since: Annotated[str, Field(max_length=32)] | None = None
    """Since when enough of the pool's Scenarios are prepared for the next initialization (RFC 3339)."""
    meta_training: MetaTrainingStatus | None = None
    """The newest meta-training."""
    groups: Annotated[
        list[GroupStepStatus],
        Field(
            max_length=4,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["step"]},
        ),
    ] = []
    """Steps that work for many Scenarios at once, where the method has any."""
    scenarios: Annotated[int, Field(ge=0)] = 0
    """Scenarios that refer to this HeavyModel."""
    pool: Annotated[list[Annotated[str, Field(max_length=320)]], Field(max_length=64)] = []
    """Namespace and name of Scenarios in the initial pool (the first 64)."""
    flops: Annotated[int, Field(ge=0)] | None = None
    """FLOPs of one prediction of the agnostic model."""
    auc: Annotated[str, Field(max_length=12)] | None = None
    """Validation AUC of the newest version, where known."""
    pictures: Pictures = []
    """Pictures of the newest initialization: learning curves."""
