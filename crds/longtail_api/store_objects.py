"""Every JSON object in the store, one model per kind, and the metadata of feedback and checkpoints."""

from datetime import datetime
from typing import Annotated, Any, Literal, cast

from pydantic import BeforeValidator, ConfigDict, Field

from longtail_api.architecture import Architecture, Training
from longtail_api.base import ApiModel, Sha256, StoreObject
from longtail_api.data_schema import DataSchema
from longtail_api.initialization_search import InitializationOutcome
from longtail_api.model_families import HeavyFamily, LightArchitecture, LightFamily, of_family

Split = Literal["support", "query", "validation", "test"]
SPLITS: tuple[Split, ...] = ("support", "query", "validation", "test")
TRAINING_SPLITS: tuple[Split, ...] = ("support", "query")
"""Rows that statistics may be fitted on."""


def _without_attributes(content: dict[str, Any]) -> dict[str, Any]:
    """A schema once held attributes of scenarios, which nothing read."""
    schema = content.get("schema")
    if not isinstance(schema, dict):
        return content
    known = cast("dict[str, Any]", schema)
    return content | {"schema": {name: value for name, value in known.items() if name != "scenarioAttributes"}}


class DataPart(ApiModel):
    """One Parquet file of prepared samples."""

    key: str
    split: Split
    rows: int
    sha256: Sha256
    bytes: int


class Manifest(StoreObject):
    """`data/<scenario>/<version>/manifest.json`: written last, so its presence means the version is whole.

    A part's columns: `entity`, `time`, `weight`, each label (float, null = not observed), `context.<name>`,
    `profile.<name>`, and `behaviors.<sequence>.<name>` (lists, oldest first, all of one sequence equally
    long) and `behaviors.<sequence>.length` (int). Raw typed values: strings for categorical, floats for numeric.
    """

    schema_version: int = 2
    scenario: str
    version: str
    source_key: str
    """Value of the scenario column in the samples table."""
    data_schema: Annotated[DataSchema, Field(alias="schema")]
    parts: list[DataPart]
    rows: dict[str, int]
    """Rows by split."""
    positives: dict[str, dict[str, int]]
    """Rows with value 1, by split and binary label."""
    statistics_sha256: Sha256
    one_class: list[str] = []
    """Binary labels of which the training rows hold one class: nothing is to be learned about them here."""
    shared_entities: int = 0
    """Entities with rows for training and for test: what is remembered of them helps in the test, and nowhere else."""
    sampled_columns: dict[str, float] = {}
    """Categorical columns with more values than are counted, and the share of rows that were counted instead."""
    first_time: datetime | None = None
    last_time: datetime | None = None

    @classmethod
    def from_previous(cls, content: dict[str, Any]) -> dict[str, Any]:
        return _without_attributes(content)


def _halved(rows: Any) -> Any:
    """A single count as schemaVersion 1 has it, as one by leading zeros: each list has half of what is left."""
    if not isinstance(rows, int):
        return rows
    by_zeros: list[int] = []
    while rows:
        by_zeros.append(rows - rows // 2)
        rows //= 2
    return by_zeros


class Moments(ApiModel):
    """Exact sums of one column: each is that of its list, whose numbers are the sum rounded to float64, what is left of
    it rounded, and so on. So sums merge to the same bits in any order.
    """

    values: list[float]
    """Of the values as float32."""
    squares: list[float]


class NumericStatistics(ApiModel):
    """Mergeable statistics of one numeric column: counts, moments and a bounded quantile sketch."""

    count: int = 0
    nulls: int = 0
    minimum: float | None = None
    maximum: float | None = None
    moments: Moments | None = None
    """None without a value, and where some of the values come from a schemaVersion that had no moments."""
    sample: list[float] = []
    """The values with the smallest hashes (bottom-k of row identity): mergeable, unbiased, at most 8,192."""
    sample_keys: list[int] = []
    """Hash of each sampled value's row, ascending."""


class CategoricalStatistics(ApiModel):
    """Mergeable statistics of one categorical column: exact counts, or, beyond 65,536 values, those of a share of rows.

    Where there are more values, only rows whose hash (63 bits) begins with `halvings` zeros are counted, for the
    least number of halvings that leaves 65,536 values at most: a value stays the likelier, the more frequent it is.
    """

    count: int = 0
    """Rows with a value, counted or not."""
    nulls: int = 0
    halvings: int = 0
    """Each halves the share of rows that are counted: about 2^−halvings of them. 0: all are."""
    counts: dict[str, Annotated[list[int], BeforeValidator(_halved)]] = {}
    """Counted rows by value, those of a value by the zeros that their hash begins with, from `halvings` zeros on: what
    is left after another halving is the list without its first number. The last number isn't 0."""

    def estimates(self) -> dict[str, int]:
        """Rows by value: exact without halvings, else estimated, without bias."""
        return {value: sum(by_zeros) << self.halvings for value, by_zeros in self.counts.items()}


class Statistics(StoreObject):
    """`statistics.json`: of the training rows (support and query) of one data version.

    schemaVersion 1 had no moments, and one count a value: of the most frequent 65,536.
    """

    schema_version: int = 2

    rows: int = 0
    numeric: dict[str, NumericStatistics] = {}
    """By column, named as in the parts: `profile.age`, `behaviors.clicks.price`."""
    categorical: dict[str, CategoricalStatistics] = {}
    labels: dict[str, NumericStatistics] = {}


class Features(StoreObject):
    """`agnostic/features/<sha256>.json`: how raw values become numbers, for every model of a generation.

    Index 0 of a vocabulary is the unknown category and stands for null too; `vocabulary[i]` has index i + 1.
    A numeric value v becomes (clip(v, low, high) − center) / scale, and a null becomes 0 beside an
    indicator of 1.
    """

    schema_version: int = 2
    data_schema: Annotated[DataSchema, Field(alias="schema")]
    vocabularies: dict[str, list[str]]
    numeric: dict[str, "NumericEncoding"]
    labels: dict[str, "NumericEncoding"] = {}
    """Of regression labels: models predict (v − center) / scale, unclipped."""

    @classmethod
    def from_previous(cls, content: dict[str, Any]) -> dict[str, Any]:
        return _without_attributes(content)


class NumericEncoding(ApiModel):
    """Normalization of one numeric column, from quantiles of the pool's training rows."""

    low: float
    high: float
    center: float
    scale: Annotated[float, Field(gt=0)]
    edges: list[float] = []
    """Of the bins that models cut the normalized values into, ascending; none where the values have no spread."""


class Checkpoint(ApiModel):
    """A named checkpoint."""

    key: str
    sha256: Sha256
    bytes: int


class FoldedFeedback(ApiModel):
    """One feedback that a version contains."""

    scenario: str
    run: int
    sha256: Sha256
    base_version: int
    staleness: int
    """τ: versions committed between the run's base and this fold."""
    weight: float
    """w = 1/(1+τ)^exponent."""
    clip_scale: float
    """Factor that brought the gradient to the clip norm; 1 where it was below."""
    examples: int
    loss: float


RejectionReason = Literal[
    "NotFinite", "WrongShape", "WrongHash", "WrongTensors", "OldGeneration", "UnknownBase", "Unreadable"
]


class RejectedFeedback(ApiModel):
    """One feedback that will never be folded."""

    scenario: str
    run: int
    reason: RejectionReason
    message: str


class MetaUpdateParameters(ApiModel):
    """The parameters a fold was made with, so that a replay can repeat it."""

    learning_rate: float
    staleness_exponent: float
    clip_norm: float


class Version(StoreObject):
    """`agnostic/versions/<number>.json`: a link of the chain. Committed once, never changed."""

    schema_version: int = 2
    number: Annotated[int, Field(ge=1)]
    kind: Literal["initial", "fold", "meta-training", "rollback"]
    generation: Annotated[int, Field(ge=1)]
    checkpoint: Checkpoint
    features_sha256: Sha256
    model: HeavyFamily
    initialization: InitializationOutcome | None = None
    """How the generation's first version was searched for, where it was."""
    schema_hash: str
    """Hash of schema, encoder and architecture: one per generation."""
    pool: list[str] = []
    """Manifest keys of what it was trained on: the initial pool (kind initial), or all data (kind meta-training)."""
    folded: list[FoldedFeedback] = []
    rejected: list[RejectedFeedback] = []
    settled: dict[str, list[tuple[int, int]]] = {}
    """Runs folded or rejected in this or any earlier version: inclusive ranges by scenario, ascending."""
    folded_count: int = 0
    """Feedback folded in this or any earlier version."""
    rejected_count: int = 0
    """Feedback rejected in this or any earlier version."""
    parameters: MetaUpdateParameters | None = None
    metrics: dict[str, float] = {}
    flops: int | None = None
    epoch: int = 0
    """Counts the writers: raised by one each time a process takes up the chain."""
    nonce: str
    """Random; tells one's own lost response from another's commit."""
    created: datetime

    @classmethod
    def from_previous(cls, content: dict[str, Any]) -> dict[str, Any]:
        flat = {name: content[name] for name in ("encoder", "architecture", "cell") if name in content}
        return content | {"model": of_family("alt-heavy", flat)}


class FeedbackMetadata(StoreObject):
    """String metadata of a feedback file (safetensors `__metadata__`, one key `longtail` holding this as JSON).

    Tensors are named as in the checkpoint, float32. An embedding's gradient may be row-sparse: `<name>#rows`
    (int64, distinct, ascending) and `<name>#values` (len(rows), width) in place of `<name>`.
    """

    # A loss that is NaN must reach the ledger, to be rejected there with its reason.
    model_config = ConfigDict(ser_json_inf_nan="strings")

    scenario: str
    run: int
    base_version: int
    generation: int
    examples: int
    loss: float
    payload_sha256: Sha256
    """Of the tensors' bytes (little-endian, C order) in the order of their names, each preceded by the line
    `<name>\t<safetensors type>\t<sizes, comma-separated>\n` in UTF-8."""
    nonce: str


class Metric(ApiModel):
    """One figure; `value` is missing where it can't be estimated."""

    value: float | None = None
    low: float | None = None
    high: float | None = None
    rows: int | None = None
    reason: str | None = None
    """MetricNotEstimable where the rows hold one class."""


class Member(ApiModel):
    """One Scenario's part of what a step came to that works for many."""

    manifest: str
    """Manifest key of the data that went in."""
    result_key: str
    """Key of a `StepResult` of the Scenario's own."""
    result_sha256: Sha256


class StepResult(StoreObject):
    """`result.json` of a step. It exists exactly when the step is done."""

    step: str
    identity: str
    scenario: str | None = None
    run: int
    outputs: dict[str, Any] = {}
    """What later steps need: keys, hashes, versions. Small."""
    metrics: dict[str, dict[str, Metric]] = {}
    """By split or model, then metric name: `{"test": {"auc": …}}`."""
    flops: int | None = None
    pictures: dict[str, str] = {}
    """Keys of SVGs in the step's folder, by name: `{"learning-curves": …}`. Advisory."""
    members: dict[str, Member] = {}
    """Of a step of the HeavyModel that works for many Scenarios: what each of them has of it, by scenario key."""
    seconds: float = 0.0
    seed: int = 0


class Termination(ApiModel):
    """The container's termination message (≤ 4,096 bytes of JSON): what the operator reads instead of polling."""

    status: Literal["Succeeded", "Failed"]
    reason: str = ""
    """CamelCase, where it failed."""
    message: str = ""
    """For a person: what, where, and what to do. At most 1,000 characters."""
    result_key: str | None = None
    result_sha256: Sha256 | None = None
    outputs: dict[str, Any] = {}
    """Copy of the result's outputs."""
    metrics: dict[str, dict[str, Metric]] = {}
    flops: int | None = None
    pictures: dict[str, str] = {}
    """Copy of the result's pictures."""


class SearchResult(StoreObject):
    """`runs/<scenario>/<run>/search/architecture.json`."""

    schema_version: int = 2
    found: LightFamily
    flops: int
    smallest_flops: int
    """FLOPs of the cheapest architecture of the space."""
    max_flops: int | None = None
    log_probability: float | None = None
    validation: dict[str, Metric] = {}

    @classmethod
    def from_previous(cls, content: dict[str, Any]) -> dict[str, Any]:
        return content | {"found": of_family("alt-light", content.get("architecture"))}


class Trial(ApiModel):
    """One trial of the tuning of the pre-designed architecture."""

    number: int
    parameters: dict[str, Any]
    state: Literal["complete", "pruned", "failed"]
    value: float | None = None
    """Of a complete trial its figure, of a pruned one the last that it reported."""
    seconds: float
    reason: str | None = None
    """Why it was pruned, or the error by which it failed."""


class HyperparameterSearchResult(StoreObject):
    """`runs/agnostic/<run>/initialize/hyperparameters.json`: every trial, and what the best one trained."""

    ended: str
    value: float
    architecture: Architecture
    training: Training
    trials: list[Trial]


class EncoderSearchResult(StoreObject):
    """`runs/agnostic/<run>/initialize/architecture.json`: the layers that were found for the behavior encoders."""

    architecture: LightArchitecture
    log_probability: float
    value: float


class TensorSpec(ApiModel):
    """One input or output of a served model. Shape: −1 is the batch, −2 the length of a sequence."""

    name: str
    datatype: Literal["BYTES", "FP32", "INT64"]
    shape: list[int]


class ModelCard(StoreObject):
    """`models/<scenario>/<version>/model.json`."""

    schema_version: int = 2
    scenario: str
    version: str
    sha256: Sha256
    """Of `model.onnx`."""
    bytes: int
    inputs: list[TensorSpec]
    outputs: list[TensorSpec]
    max_lengths: dict[str, int] = {}
    """Most events by sequence (`behaviors.<name>`); longer ones are refused. None named: no limit."""
    labels: list[str]
    """Outputs are one per label, named as the label: a probability, or a value for a regression."""
    data_version: str
    agnostic_version: int | None = None
    """The version of the shared model that it comes from, where the method has one."""
    model: LightFamily
    flops: int
    heavy_flops: int | None = None
    """Of the scenario-specific heavy model, where there is one."""
    metrics: dict[str, dict[str, Metric]] = {}
    p50_milliseconds: float | None = None
    p99_milliseconds: float | None = None
    parity: float | None = None
    """Largest difference between torch and ONNX Runtime over the parity gate's inputs."""
    requests_key: str
    """Validation rows as requests; the checker answers them."""

    @classmethod
    def from_previous(cls, content: dict[str, Any]) -> dict[str, Any]:
        return content | {"model": of_family("alt-light", content.get("architecture"))}


class InferenceTensor(ApiModel):
    """A tensor of the Open Inference Protocol v2."""

    name: str
    shape: list[int]
    datatype: str
    data: list[Any]


class RecordedRequest(ApiModel):
    """A line of `requests.jsonl`: one validation row as an inference request, with its labels.

    Inputs: `context.<name>`, `profile.<name>` of shape [1]; `behaviors.<sequence>.<name>` of shape [1, length]
    and `behaviors.<sequence>.length` (INT64, [1]), oldest event first. BYTES for categorical
    features ("" is null), FP32 for numeric ones (null is sent as null in JSON and read as NaN).
    """

    inputs: list[InferenceTensor]
    labels: dict[str, float | None]


class CheckReport(StoreObject):
    """What `longtail-serving check` found. Also its termination message."""

    verdict: Literal["Passed", "Failed", "Inconclusive"]
    reason: str
    message: str
    candidate: str
    stable: str | None = None
    requests: int = 0
    errors: int = 0
    p50_milliseconds: float | None = None
    p99_milliseconds: float | None = None
    label: str | None = None
    """The label that the figures below are of: of several, the one whose figure fell most."""
    candidate_auc: float | None = None
    stable_auc: float | None = None
    candidate_rmse: float | None = None
    """In place of AUC where the label is a regression; the same rows for both sides."""
    stable_rmse: float | None = None
