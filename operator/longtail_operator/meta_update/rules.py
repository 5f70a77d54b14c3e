"""The decisions of the meta-update: what is due, what is rejected, how much each feedback counts. No I/O.

One fold takes the agnostic parameters from θ to

    θ − η · Σᵢ wᵢ · cᵢ · gᵢ

(ALT Eq. 3: the plain sum over scenarios, not FedBuff's mean. A fold of more feedback takes a longer step, so that
it doesn't matter in how many folds the same feedback arrives; `learningRate` is per feedback, hence conservative.)
gᵢ is a run's query gradient, wᵢ its staleness weight, cᵢ what brings it to the clip norm.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from longtail_api.store_objects import FeedbackMetadata, Version
from longtail_store.errors import FeedbackUnusable


@dataclass(frozen=True, order=True)
class PendingFeedback:
    """A feedback that no version has settled."""

    modified: datetime
    """When it was handed in, by the store's clock."""
    scenario: str
    run: int
    key: str


@dataclass(frozen=True)
class Due:
    """What to fold now; or, where that is empty, when to look again."""

    batch: tuple[PendingFeedback, ...]
    again_after: timedelta | None = None
    """None: nothing to wait for but the next feedback."""


def staleness_weight(staleness: int, exponent: float) -> float:
    """w = 1/(1+τ)^exponent of a feedback τ versions old (FedBuff, Sec. 5). Raises `ValueError` for τ < 0."""
    if staleness < 0:
        raise ValueError(f"staleness {staleness}: the base is newer than the head")
    return (1.0 + staleness) ** -exponent


def clip_scale(norm: float, clip_norm: float) -> float:
    """The factor that brings a gradient of L2 norm `norm` down to `clip_norm`; 1 where it is not above."""
    return 1.0 if norm <= clip_norm else clip_norm / norm


def due(
    pending: Collection[PendingFeedback],
    *,
    mode: Literal["Async", "Synchronous"],
    running: int,
    buffer_size: int,
    flush_interval: timedelta,
    longest_round: timedelta,
    now: datetime,
) -> Due:
    """Decide what the next fold takes, oldest first.

    Async: `buffer_size` at once, or what there is when the oldest has waited for `flush_interval`. Synchronous: the
    whole round (the U scenarios of ALT Eq. 3), once none of its runs is still `running`, or when the oldest feedback
    has waited for `longest_round`: a run that comes later counts as stale.
    """
    waiting = tuple(sorted(pending))
    if not waiting:
        return Due(())
    if mode == "Synchronous" and running == 0:
        return Due(waiting)
    if mode == "Async" and len(waiting) >= buffer_size:
        return Due(waiting[:buffer_size])
    left = waiting[0].modified + (flush_interval if mode == "Async" else longest_round) - now
    return Due((), left) if left > timedelta() else Due(waiting)


def may_start(*, mode: Literal["Async", "Synchronous"], pending: int) -> bool:
    """May a run start from the newest version? In a round, until its first feedback has come: so a round ends.

    Who comes later starts from the version that the round makes, and its feedback is not stale.
    """
    return mode == "Async" or pending == 0


def judge(metadata: FeedbackMetadata, head: Version) -> None:
    """Whether feedback with this metadata may be folded after `head`. Raises `FeedbackUnusable` where never.

    Read after the head, or the fold that follows loses: so a base newer than the head can't be an honest one.
    """
    run = f"run {metadata.run} of {metadata.scenario}"
    if metadata.generation < head.generation:
        raise FeedbackUnusable(
            "OldGeneration",
            f"{run} started from generation {metadata.generation}; the model is at {head.generation}, "
            "with another schema or architecture",
        )
    if metadata.generation > head.generation or not 1 <= metadata.base_version <= head.number:
        raise FeedbackUnusable(
            "UnknownBase",
            f"{run} names version {metadata.base_version} of generation {metadata.generation} as its base; "
            f"the newest is {head.number} of generation {head.generation}",
        )
