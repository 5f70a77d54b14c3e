"""The agnostic model: its versions, and the metadata of the feedback that is folded into them."""

from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field

from longtail_api.base import ApiModel, Sha256, StoreObject
from longtail_api.initialization_search import InitializationOutcome
from longtail_api.store_objects.families import HeavyFamily, of_family


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


class SettledSegment(StoreObject):
    """`agnostic/settled/<segment>/<number>-<nonce>.json`: the settled runs of the scenarios that fall to the segment.

    Written by the attempt of that nonce at that version, before its record; never changed.
    """

    settled: dict[str, list[tuple[int, int]]]
    """As `Version.settled`."""


class Version(StoreObject):
    """`agnostic/versions/<number>.json`: a link of the chain. Committed once, never changed.

    Records stay for ever, so those of every schemaVersion that there was are read.
    """

    oldest_readable: ClassVar[int | None] = 1

    schema_version: int = 3
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
    shared_entities: int = 0
    """Entities with training rows in one scenario of the generation's initial pool and test rows in another one."""
    folded: list[FoldedFeedback] = []
    rejected: list[RejectedFeedback] = []
    settled: dict[str, list[tuple[int, int]]] = {}
    """Runs folded or rejected in this or any earlier version: inclusive ranges by scenario, ascending.

    Empty once they are those of so many scenarios that they are in `settled_segments`."""
    settled_segments: dict[str, str] = {}
    """By segment, the name of the object that holds its settled runs: all that were ever settled, in pieces, so that
    a record doesn't grow with the number of scenarios."""
    folded_count: int = 0
    """Feedback folded in this or any earlier version."""
    rejected_count: int = 0
    """Feedback rejected in this or any earlier version."""
    parameters: MetaUpdateParameters | None = None
    metrics: dict[str, float] = {}
    flops: int | None = None
    nonce: str
    """Random; tells one's own lost response from another's commit."""
    created: datetime

    def settles(self) -> list[tuple[str, int]]:
        """Scenario and run of each feedback that this version itself has folded or rejected."""
        return [(item.scenario, item.run) for item in (*self.folded, *self.rejected)]

    @classmethod
    def from_previous(cls, content: dict[str, Any]) -> dict[str, Any]:
        if "model" in content:
            return content
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
