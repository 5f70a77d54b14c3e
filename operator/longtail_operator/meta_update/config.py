"""What the meta-update process is told, and what it answers. Credentials come from the environment."""

from typing import Annotated

from pydantic import Field

from longtail_api.base import ApiModel
from longtail_api.heavy_model import MetaUpdate
from longtail_api.run_config import StoreAddress
from longtail_api.store_objects import MetaUpdateParameters, RejectedFeedback


def parameters_of(update: MetaUpdate) -> MetaUpdateParameters:
    """η, staleness exponent and clip norm of a HeavyModel, as its versions record them."""
    return MetaUpdateParameters(
        learning_rate=float(update.learning_rate),
        staleness_exponent=float(update.staleness_exponent),
        clip_norm=float(update.clip_norm),
    )


class MetaUpdateConfig(ApiModel):
    """The file given by `--config`, as JSON."""

    store: StoreAddress
    parameters: MetaUpdateParameters
    feedback: list[str] | None = None
    """Keys of the feedback to settle. None: the oldest pending ones, found by a LIST."""
    buffer_size: Annotated[int, Field(ge=1)] = 8
    """How many a LIST takes at most."""
    orphans_seconds: Annotated[int, Field(ge=600)] = 86_400
    """`retention.orphansSeconds`: an attempt gives up after half of it."""
    workspace: str | None = None
    """Folder with room for two checkpoints and the feedback; by default the system's temporary one.

    A process that is killed leaves its files there: who starts it removes the folder when it has ended."""


class MetaUpdateResult(ApiModel):
    """The one line of JSON on standard output."""

    version: int
    """The head of the chain now."""
    generation: int
    sha256: str
    """Of its checkpoint."""
    committed: bool
    """Whether this process added that version."""
    folded: int = 0
    """Feedback folded by this process."""
    rejected: list[RejectedFeedback] = []
    """Feedback recorded as rejected by this process."""
    duplicates: int = 0
    """Feedback that was settled before."""
    missing: list[str] = []
    """Keys that were asked for and aren't in the store."""
    folded_count: int = 0
    """Feedback folded by all versions."""
    rejected_count: int = 0
    """Feedback rejected by all versions."""


class MetaUpdateFailure(ApiModel):
    """The one line of JSON on standard output of a process that failed."""

    reason: str
    """CamelCase."""
    message: str
