"""What pods say: the message a container ended with, and why one does not start."""

from dataclasses import dataclass
from typing import TypeVar, cast

from pydantic import ValidationError

from longtail_api.base import ApiModel
from longtail_api.conditions import Reason
from longtail_api.store_objects import CheckReport, Termination
from longtail_operator.objects import Json, labels_of, section

_PULL_REASONS = frozenset({"ImagePullBackOff", "ErrImagePull", "InvalidImageName", "ErrImageNeverPull"})
_INDEX_LABEL = "batch.kubernetes.io/job-completion-index"
_CONFIG_REASONS = frozenset({"CreateContainerConfigError", "CreateContainerError"})


@dataclass(frozen=True)
class Trouble:
    """Why something does not get on, for a condition."""

    reason: str
    message: str


def of_job(pods: list[Json], job: str) -> list[Json]:
    """The pods of a Job, oldest first."""
    found = [pod for pod in pods if labels_of(pod).get("batch.kubernetes.io/job-name") == job]
    return sorted(
        found, key=lambda pod: (section(pod, "metadata").get("creationTimestamp", ""), pod["metadata"]["name"])
    )


def _container_statuses(pod: Json) -> list[Json]:
    return cast(list[Json], section(pod, "status").get("containerStatuses") or [])


def _ended(pod: Json) -> list[Json]:
    """What is known of each container of the pod that has ended."""
    ends = [
        section(status, "state", "terminated") or section(status, "lastState", "terminated")
        for status in _container_statuses(pod)
    ]
    return [end for end in ends if end]


def newest_has_ended(pods: list[Json]) -> bool:
    """Whether there is a pod, and a container of the newest one has ended."""
    return bool(pods) and bool(_ended(pods[-1]))


def termination(pods: list[Json]) -> Termination | None:
    """The newest termination message that is one; None where no container has left any."""
    return _newest(pods, Termination)


def check_report(pods: list[Json]) -> CheckReport | None:
    """The newest report of a check, which is its termination message."""
    return _newest(pods, CheckReport)


Message = TypeVar("Message", bound=ApiModel)


def _newest(pods: list[Json], model: type[Message]) -> Message | None:
    for pod in reversed(pods):
        for end in _ended(pod):
            try:
                return model.model_validate_json(str(end.get("message") or ""))
            except ValidationError:
                continue
    return None


def last_words(pods: list[Json]) -> Trouble | None:
    """Why the newest ended container ended, in its own words or, where it left none, in the kubelet's.

    Of an Indexed Job's pods that ended together, one that said why comes before those it took with it.
    """
    newest = {labels_of(pod).get(_INDEX_LABEL): pod for pod in pods}
    speaking = [pod for pod in newest.values() if len(newest) > 1 and termination([pod]) is not None]
    for pod in reversed([*pods, *speaking]):
        for end in _ended(pod):
            if end.get("exitCode") == 0:
                continue
            said = termination([pod])
            if said is not None and said.message:
                return Trouble(said.reason or Reason.STEP_FAILED, said.message)
            reason, code = end.get("reason", "Error"), end.get("exitCode")
            text = str(end.get("message") or "").strip()
            return Trouble(
                "OutOfMemory" if reason == "OOMKilled" else Reason.STEP_FAILED,
                f"the container of pod {pod['metadata']['name']} ended with exit code {code} ({reason})"
                + ("; give it more memory" if reason == "OOMKilled" else "")
                + (f": {text}" if text else ""),
            )
    return None


def not_starting(pods: list[Json]) -> Trouble | None:
    """Why a pod is not running, in the words of the scheduler or the kubelet; None where nothing is wrong."""
    for pod in reversed(pods):
        if section(pod, "status").get("phase") not in (None, "Pending"):
            continue
        name = pod["metadata"]["name"]
        for condition in cast(list[Json], section(pod, "status").get("conditions") or []):
            if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
                return Trouble(
                    Reason.UNSCHEDULABLE,
                    f"pod {name} can't be scheduled: {condition.get('message') or 'no word of why'}",
                )
        for status in _container_statuses(pod):
            waiting = section(status, "state", "waiting")
            reason, said = str(waiting.get("reason", "")), str(waiting.get("message") or "no word of why")
            if reason in _PULL_REASONS:
                return Trouble(Reason.IMAGE_NOT_PULLED, f"pod {name} waits for its image ({reason}): {said}")
            if reason in _CONFIG_REASONS:
                hint = Reason.CREDENTIALS_MISSING if "secret" in said.lower() else Reason.PENDING
                return Trouble(hint, f"pod {name} can't start its container ({reason}): {said}")
    return None


def crashing(pods: list[Json]) -> Trouble | None:
    """Why a container that should keep running keeps ending."""
    for pod in reversed(pods):
        for status in _container_statuses(pod):
            if section(status, "state", "waiting").get("reason") == "CrashLoopBackOff":
                return last_words([pod])
    return None
