"""What pods say of their end: the message a container left, or who ended it.

A step is judged by the container that the operator put into the pod. Others are an injector's: they neither make a step
end nor keep it from having ended, and are named where they fail.
"""

import signal
from datetime import datetime, timedelta
from typing import TypeVar, cast

from pydantic import ValidationError

from longtail_api.base import ApiModel
from longtail_api.conditions import Reason
from longtail_api.store_objects import CheckReport, Termination
from longtail_operator.kubernetes.children import OWN_CONTAINERS
from longtail_operator.kubernetes.clock import read
from longtail_operator.kubernetes.objects import Json, entries, is_deleting, labels_of, section
from longtail_operator.kubernetes.trouble import Trouble, in_words

_INDEX_LABEL = "batch.kubernetes.io/job-completion-index"
_LINES, _CHARACTERS = 6, 600
"""Of a log that stands for a message: so many of its last lines, and of their characters."""
OUTLIVED_AFTER = timedelta(seconds=30)
"""A container beside the step's own ends with it, or is one that does not."""


def of_job(pods: list[Json], job: str) -> list[Json]:
    """The pods of a Job, oldest first."""
    found = [pod for pod in pods if labels_of(pod).get("batch.kubernetes.io/job-name") == job]
    return sorted(
        found, key=lambda pod: (section(pod, "metadata").get("creationTimestamp", ""), pod["metadata"]["name"])
    )


def is_over(pod: Json) -> bool:
    """Has the pod ended for good?"""
    return section(pod, "status").get("phase") in ("Succeeded", "Failed")


def _own(pod: Json) -> list[Json]:
    """The statuses of the operator's own containers; of all, where none has a name it gives."""
    found = entries(pod, "status", "containerStatuses")
    return [status for status in found if status.get("name") in OWN_CONTAINERS] or found


def _others(pod: Json) -> list[Json]:
    own = [status.get("name") for status in _own(pod)]
    return [
        status
        for status in (*entries(pod, "status", "initContainerStatuses"), *entries(pod, "status", "containerStatuses"))
        if status.get("name") not in own
    ]


def _end(status: Json) -> Json:
    """How the container ended, now or the last time; empty where it has not."""
    return section(status, "state", "terminated") or section(status, "lastState", "terminated")


def _ended(pod: Json) -> list[Json]:
    """What is known of each of the operator's containers of the pod that has ended."""
    return [end for end in map(_end, _own(pod)) if end]


def newest_has_ended(pods: list[Json]) -> bool:
    """Whether there is a pod, and a container of the newest one has ended, or the cluster has ended the pod."""
    return bool(pods) and (bool(_ended(pods[-1])) or _ended_by_the_cluster(pods[-1]) is not None)


def outlived(pods: list[Json], now: datetime) -> str | None:
    """Name of the container that keeps the newest pod running though the step's own has ended; None: there is none."""
    if not pods or is_over(pods[-1]):
        return None
    ends = [section(status, "state", "terminated") for status in _own(pods[-1])]
    if not ends or not all(end and end.get("finishedAt") for end in ends):
        return None
    if now - max(read(str(end["finishedAt"])) for end in ends) < OUTLIVED_AFTER:
        return None
    return next((str(status["name"]) for status in _others(pods[-1]) if "running" in section(status, "state")), None)


def termination(pods: list[Json]) -> Termination | None:
    """The newest termination message that is one; None where no container has left any."""
    said = _newest(pods, Termination)
    if said is None or not said.reason:
        return said
    words = in_words(said.reason, said.message, Reason.SUCCEEDED if said.status == "Succeeded" else Reason.STEP_FAILED)
    return said.model_copy(update={"reason": words.reason, "message": words.message})


def check_report(pods: list[Json]) -> CheckReport | None:
    """The newest report of a check, which is its termination message."""
    said = _newest(pods, CheckReport)
    if said is None:
        return None
    words = in_words(said.reason, said.message, Reason.CHECK_FAILED)
    return said.model_copy(update={"reason": words.reason, "message": words.message})


Message = TypeVar("Message", bound=ApiModel)


def _newest(pods: list[Json], model: type[Message]) -> Message | None:
    for pod in reversed(pods):
        for end in _ended(pod):
            try:
                # An image newer than the operator may say more than this operator knows.
                return model.model_validate_json(str(end.get("message") or ""), extra="ignore")
            except ValidationError:
                continue
    return None


def exit_code(pods: list[Json]) -> int | None:
    """Exit code of the step's own container in the newest pod; None where it has not ended."""
    ends = _ended(pods[-1]) if pods else []
    return int(ends[-1].get("exitCode") or 0) if ends else None


def last_words(pods: list[Json]) -> Trouble | None:
    """Why the newest pod that ended did, in its own words or, where it left none, in those of who ended it.

    Of an Indexed Job's pods that ended together, one that said why comes before those it took with it.
    """
    newest = {labels_of(pod).get(_INDEX_LABEL): pod for pod in pods}
    speaking = [pod for pod in newest.values() if len(newest) > 1 and termination([pod]) is not None]
    for pod in reversed([*pods, *speaking]):
        words = _why_it_ended(pod)
        if words is not None:
            return words
    return None


def _why_it_ended(pod: Json) -> Trouble | None:
    by_the_cluster = _ended_by_the_cluster(pod)
    if by_the_cluster is not None:
        # Before the container's own: of this it knows only that it was told to end.
        return by_the_cluster
    name = pod["metadata"]["name"]
    for end in _ended(pod):
        if end.get("exitCode") != 0:
            said = termination([pod])
            if said is not None and said.message:
                return in_words(said.reason, said.message)
            return _of_exit(end, f"the container of pod {name}", is_deleting(pod))
    for status in _others(pod):
        end = section(status, "state", "terminated")
        if end and end.get("exitCode") != 0:
            return _of_exit(end, f"container {status.get('name')} of pod {name}", is_deleting(pod))
    return None


def ended_by_the_cluster(pods: list[Json]) -> bool:
    """Whether it was the cluster that ended the newest pod."""
    return bool(pods) and _ended_by_the_cluster(pods[-1]) is not None


def _ended_by_the_cluster(pod: Json) -> Trouble | None:
    """Evicted, preempted, its node gone or short of something: the words of whoever did it."""
    status = section(pod, "status")
    if not (is_over(pod) or section(pod, "metadata").get("deletionTimestamp")):
        return None
    by = next(
        (one for one in entries(pod, "status", "conditions")
         if one.get("type") == "DisruptionTarget" and one.get("status") == "True"), cast(Json, {}),
    )  # fmt: skip
    reason = status.get("reason") or by.get("reason")
    if not reason:
        return None
    words = status.get("message") or by.get("message") or "no word of why"
    return in_words(reason, f"pod {pod['metadata']['name']} was ended ({reason}): {words}")


def _of_exit(end: Json, who: str, deleted: bool) -> Trouble:
    """An exit without a termination message."""
    reason, code = str(end.get("reason") or "Error"), int(end.get("exitCode") or 0)
    number = int(end.get("signal") or 0) or (code - 128 if 128 < code <= 128 + 64 else 0)
    said = _last_lines(str(end.get("message") or ""))
    kind: str = Reason.STEP_FAILED
    if reason == "OOMKilled":
        kind, how = "OutOfMemory", f"ended with exit code {code} (OOMKilled); give it more memory"
    elif number in (signal.SIGKILL, signal.SIGTERM):
        kind = Reason.KILLED
        why = (
            "as its pod was deleted"
            if deleted
            else "and not for its memory limit; a node that runs out of memory does that: have "
            "resources.requests.memory name what is used"
        )
        how = f"was ended by signal {number}, exit code {code}, {why}"
    elif number and (name := signal.strsignal(number)) is not None:
        how = f"was ended by signal {number} ({name.lower()}), exit code {code} ({reason})"
    else:
        how = f"ended with exit code {code} ({reason})"
    return Trouble(kind, f"{who} {how}" + (f": {said}" if said else ""))


def _last_lines(text: str) -> str:
    """The end of what the kubelet took from a container's log, on one line."""
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    said = " | ".join(lines[-_LINES:])
    return said if len(said) <= _CHARACTERS else "…" + said[1 - _CHARACTERS :]
