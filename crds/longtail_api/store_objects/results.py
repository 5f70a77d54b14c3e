"""What steps leave: results, termination messages, and what searches found."""

from typing import Any, Literal

from longtail_api.architecture import Architecture, Training
from longtail_api.base import ApiModel, Sha256, StoreObject
from longtail_api.store_objects.families import AltLight, LightArchitecture, of_family


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
    result_version: int = 1
    """The result's schemaVersion."""
    outputs: dict[str, Any] = {}
    """Copy of the result's outputs."""
    metrics: dict[str, dict[str, Metric]] = {}
    flops: int | None = None
    pictures: dict[str, str] = {}
    """Copy of the result's pictures."""


class SearchResult(StoreObject):
    """`runs/<scenario>/<run>/search/architecture.json`."""

    schema_version: int = 2
    found: AltLight
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
