"""A light version: its card, the requests recorded for it, and the report of its check."""

from typing import Any, Literal

from longtail_api.base import ApiModel, Sha256, StoreObject
from longtail_api.store_objects.families import LightFamily, of_family
from longtail_api.store_objects.results import Metric


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
    """Test rows as requests; the checker asks them."""

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
    """A line of `requests.jsonl`: one test row as an inference request, with its labels.

    Where the data version has no test row: a validation row, without labels.

    Inputs: `context.<name>`, `profile.<name>` of shape [1]; `behaviors.<sequence>.<name>` of shape [1, length]
    and `behaviors.<sequence>:length` (INT64, [1]), oldest event first. BYTES for categorical
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
