"""Why a pod does not get on, in the words of the scheduler, the kubelet, or who watches the nodes.

Whatever reason a kubelet gives for a container that waits is passed on: a list of the known ones would be short of
those that a newer kubelet or another runtime has. Only what every pod goes through when nothing is wrong is left out.
"""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import cast

from longtail_api.conditions import Reason
from longtail_operator.kubernetes.clock import read
from longtail_operator.kubernetes.objects import Json, entries, section, uid_of
from longtail_operator.kubernetes.pods import is_over, last_words
from longtail_operator.kubernetes.trouble import Trouble, in_words

_STARTING = frozenset({"", "ContainerCreating", "PodInitializing"})
_ABOUT_IMAGES = ("Image", "Registry", "Signature")
"""How a kubelet's reasons about images begin, or what they hold."""
_CONFIG_REASONS = frozenset({"CreateContainerConfigError", "CreateContainerError"})
_ABOUT_A_SECRET = re.compile(r'secret "|couldn\'t find key \S+ in Secret ')
"""How a kubelet's words about one begin: what follows holds names, and a ConfigMap may be called secret-garden."""
_OVERDUE = timedelta(seconds=15)
"""How long after its grace period a pod may take to be gone."""
_LONG_START = timedelta(seconds=60)


def held_up(pods: list[Json], now: datetime, heard: Mapping[str, Trouble] | None = None) -> Trouble | None:
    """Why the newest pod that is not getting on isn't; None where nothing is wrong.

    heard: by uid, what events say of those pods whose status says nothing.
    """
    for pod in reversed(pods):
        if is_over(pod):
            continue
        trouble = _of_its_node(pod, now) or _not_scheduled(pod) or _of_its_containers(pod)
        if trouble is None and section(pod, "status").get("phase") in (None, "Pending"):
            trouble = _of_its_start(pod, now, heard or {})
        if trouble is not None:
            return trouble
    return None


def condition_of(pod: Json, type_: str) -> Json:
    """The pod's condition of this type, empty where there is none."""
    found = (one for one in entries(pod, "status", "conditions") if one.get("type") == type_)
    return next(found, cast(Json, {}))


def _of_its_node(pod: Json, now: datetime) -> Trouble | None:
    """A node that does not answer: its pods are marked not ready above the kubelet's head, then deleted, and stay."""
    status, name = section(pod, "status"), pod["metadata"]["name"]
    node = f"node {section(pod, 'spec').get('nodeName') or status.get('nominatedNodeName') or 'of unknown name'}"
    gone = section(pod, "metadata").get("deletionTimestamp")
    target = condition_of(pod, "DisruptionTarget")
    because = f": {target.get('message') or target.get('reason')}" if target.get("status") == "True" else ""
    if status.get("reason"):
        return in_words(status["reason"], f"pod {name} on {node}: {status.get('message') or status['reason']}{because}")
    if gone is not None and section(pod, "spec").get("nodeName") and now - read(str(gone)) > _OVERDUE:
        return Trouble(
            Reason.NODE_UNREACHABLE,
            f"pod {name} was to be gone at {gone} and {node} has not said that it is{because}; the step goes on once "
            "the node answers or is deleted",
        )
    if gone is not None and because:
        reason = target.get("reason")
        return in_words(reason, f"pod {name} on {node} is being ended ({reason}){because}", Reason.PENDING)
    ready, containers = condition_of(pod, "Ready"), condition_of(pod, "ContainersReady")
    # A kubelet that marks a pod not ready says why; who marks it in the kubelet's place does not.
    if ready.get("status") == "False" and not ready.get("reason") and containers.get("status") == "True":
        return Trouble(
            Reason.NODE_UNREACHABLE,
            f"pod {name} is marked not ready though its containers were: {node} does not answer{because}",
        )
    return None


def _not_scheduled(pod: Json) -> Trouble | None:
    scheduled = condition_of(pod, "PodScheduled")
    if scheduled.get("status") != "False":
        return None
    words = scheduled.get("message") or scheduled.get("reason") or "no word of why"
    return Trouble(Reason.UNSCHEDULABLE, f"pod {pod['metadata']['name']} can't be scheduled: {words}")


def _of_its_containers(pod: Json) -> Trouble | None:
    name = pod["metadata"]["name"]
    statuses = (*entries(pod, "status", "initContainerStatuses"), *entries(pod, "status", "containerStatuses"))
    for status in statuses:
        waiting = section(status, "state", "waiting")
        reason, said = str(waiting.get("reason") or ""), str(waiting.get("message") or "no word of why")
        if reason in _STARTING:
            continue
        if reason == "CrashLoopBackOff":
            words = last_words([pod])
            if words is not None:
                return words
        if any(part in reason for part in _ABOUT_IMAGES):
            return Trouble(Reason.IMAGE_NOT_PULLED, f"pod {name} waits for its image ({reason}): {said}")
        if reason in _CONFIG_REASONS and _ABOUT_A_SECRET.match(said):
            return Trouble(Reason.CREDENTIALS_MISSING, f"pod {name} can't start its container ({reason}): {said}")
        return in_words(
            reason, f"container {status.get('name')} of pod {name} waits ({reason}): {said}", Reason.PENDING
        )
    return None


def _of_its_start(pod: Json, now: datetime, heard: Mapping[str, Trouble]) -> Trouble | None:
    name, words = pod["metadata"]["name"], heard.get(uid_of(pod))
    if words is not None:
        return in_words(words.reason, f"pod {name} does not start ({words.reason}): {words.message}", Reason.PENDING)
    since = section(pod, "status").get("startTime") or section(pod, "metadata").get("creationTimestamp")
    if since is None or now - read(str(since)) < _LONG_START:
        return None
    return Trouble(Reason.PENDING, f"pod {name} is being started since {since}")
