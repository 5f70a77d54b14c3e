"""Follows one Job from before it is made to its end: the one walk of every step that is a Job.

What lies around a step comes back: a Job that ended for it is made anew, after ever longer pauses, for as long as it
takes. What a Job is made of (image, resources, trust) may be mended while it has failed or does not start: then it is
made anew at once. One that works is left alone.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from longtail_api.conditions import MESSAGE_LIMIT, Reason
from longtail_api.labels import MADE_OF_ANNOTATION
from longtail_operator.kubernetes.clock import written
from longtail_operator.kubernetes.conditions import shortened
from longtail_operator.kubernetes.jobs import LOST_MESSAGE_AFTER, STEP_KINDS, JobState
from longtail_operator.kubernetes.objects import Json, Key, annotations_of, key_of, section
from longtail_operator.kubernetes.observed import Observed
from longtail_operator.kubernetes.plan import Draft
from longtail_operator.kubernetes.surroundings import is_mended_by_its_pod
from longtail_operator.kubernetes.trouble import Trouble

FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=15), timedelta(minutes=4)
"""Between the end of a Job that its surroundings ended and the next one; each further time twice as long."""
_ORDINARY = frozenset(
    {
        Reason.RUNNING, Reason.PENDING, Reason.WAITING, Reason.QUEUED, Reason.SUSPENDED, Reason.SUCCEEDED,
        Reason.NEW_GENERATION,
    }
)  # fmt: skip
"""Reasons of a Job that gets on. Another one, of a Job that has not failed, is about what lies around it."""
_STORE_SECONDS = 30.0
"""How often a step looks after a store that is away."""


@dataclass(frozen=True)
class Desired:
    """A step's Job as it should be."""

    name: str
    objects: Callable[[], list[Json]]
    """The Job, and what of its other objects is to be as it would be made now."""
    attempt: int = 0
    """How often it was made anew for its surroundings."""
    store: Trouble | None = None
    """Why the store can't be used now."""
    told: str | None = None
    """The reason that was told last of this Job, which outlives the pod that gave it."""


@dataclass(frozen=True)
class Followed:
    """How far the Job is. attempt: as `Desired.attempt`, from now on. made_of: hash of what it is made of."""

    state: JobState
    attempt: int
    made_of: str | None = None


def follow(desired: Desired, observed: Observed, draft: Draft, now: datetime) -> Followed:
    """How far the Job is; `draft` has what keeps it going, but for an Absent one, which its owner may start.

    Held: nothing is done now, and `draft` says when to look again.
    """
    state = observed.job_state(desired.name, now)
    if state.state == "Absent":
        if desired.store is not None:
            draft.requeue_in(_STORE_SECONDS)
            state = JobState("Held", desired.store.reason, desired.store.message)
        return Followed(state, desired.attempt)
    if state.state == "Succeeded":
        return Followed(state, desired.attempt)
    if state.is_wordless and (desired.told or Reason.RUNNING) not in _ORDINARY:
        state = replace(state, state="Held", reason=str(desired.told))
    found = observed.find("Job", desired.name)
    objects = desired.objects()
    known = annotations_of(found).get(MADE_OF_ANNOTATION) if found is not None else None
    wanted = made_of(objects)
    differs = known is not None and wanted is not None and known != wanted
    namespace = observed.key.namespace
    draft.kept.update(Key(kind, namespace, desired.name) for kind in STEP_KINDS)
    attempt = desired.attempt
    if state.is_under_way and not (state.stuck and differs):
        draft.children.extend(_as_made(item, found) for item in objects)
    elif differs and (state.stuck or state.state == "Held" or _is_mendable(state)):
        state = replace(state, state="Lost", message=_and(state.message, "it is made anew as it is wanted now"))
    elif state.state == "Held":
        state, attempt = _held(desired, state, draft, now)
    if state.state == "Lost":
        draft.deletions.extend(key for key in map(key_of, objects) if key.kind != "Service")
    if state.state in ("AwaitingWords", "Lost", "Deleting"):
        draft.requeue_in(LOST_MESSAGE_AFTER.total_seconds())
    return Followed(state, attempt, known)


def made_of(objects: list[Json]) -> str | None:
    """Hash of what the Job among a step's objects is made of."""
    return next((annotations_of(item).get(MADE_OF_ANNOTATION) for item in objects if item["kind"] == "Job"), None)


def _is_mendable(state: JobState) -> bool:
    return state.state == "Failed" and is_mended_by_its_pod(state.reason)


def _held(desired: Desired, state: JobState, draft: Draft, now: datetime) -> tuple[JobState, int]:
    if desired.store is not None:
        draft.requeue_in(_STORE_SECONDS)
        waits = f"it goes on once the store does: {desired.store.message}"
        return replace(state, message=_and(state.message, waits)), desired.attempt
    pause = min(FIRST_PAUSE * 2.0 ** min(desired.attempt, 30), LONGEST_PAUSE)
    again = state.ended + pause if state.ended is not None else now
    if now < again:
        draft.requeue_in((again - now).total_seconds())
        return replace(state, message=_and(state.message, f"it is tried again at {written(again)}")), desired.attempt
    return replace(state, state="Lost", message=_and(state.message, "it is tried again")), desired.attempt + 1


def _and(message: str, what: str) -> str:
    return shortened(message, MESSAGE_LIMIT - len(what) - 2) + f"; {what}"


def _as_made(item: Json, found: Json | None) -> Json:
    """The Job with the mark of what the one that is there was made of: that can't change any more."""
    if item["kind"] != "Job" or found is None:
        return item
    annotations = {name: value for name, value in annotations_of(item).items() if name != MADE_OF_ANNOTATION}
    mark = section(found, "metadata", "annotations").get(MADE_OF_ANNOTATION)
    if mark is not None:
        annotations[MADE_OF_ANNOTATION] = str(mark)
    return {**item, "metadata": {**item["metadata"], "annotations": annotations}}
