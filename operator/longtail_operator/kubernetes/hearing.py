"""Events of objects that wait: the only place where quota, Pod Security, a missing class or account, and volumes that
can't be mounted are said.

Events are many, so they are not watched: the few objects that wait, and whose status does not say why, are asked about
by name, ever more rarely the longer they wait, but within a minute.
"""

from datetime import datetime, timedelta
from typing import cast

from longtail_operator.kubernetes.clock import read
from longtail_operator.kubernetes.held_up import held_up
from longtail_operator.kubernetes.jobs import wants_pods
from longtail_operator.kubernetes.kube import KubeApi, KubeError
from longtail_operator.kubernetes.objects import Json, Key, entries, key_of, section, uid_of
from longtail_operator.kubernetes.pods import OUTLIVED_AFTER, is_over, of_job
from longtail_operator.kubernetes.trouble import Trouble

ASK_AFTER = timedelta(seconds=5)
"""Most objects wait for a moment."""
_SELDOM = timedelta(seconds=45)
_MOST_OF_A_RESOURCE = 3


def silent(children: list[Json], pods: list[Json], now: datetime) -> list[tuple[Json, datetime]]:
    """Objects that wait without saying why, and since when: Jobs without a pod, pods that do not start."""
    found: list[tuple[Json, datetime]] = []
    for job in (item for item in children if item["kind"] == "Job"):
        own = of_job(pods, job["metadata"]["name"])
        if wants_pods(job, own):
            moments = [
                section(job, "status").get("startTime"),
                *(pod["metadata"].get("creationTimestamp") for pod in own),
            ]
            found += _since(job, [section(job, "metadata").get("creationTimestamp"), *moments])
    for pod in pods:
        status = section(pod, "status")
        if status.get("phase") in (None, "Pending") and held_up([pod], _long_ago(now)) is None:
            found += _since(pod, [section(pod, "metadata").get("creationTimestamp"), status.get("startTime")])
    return found


def _long_ago(now: datetime) -> datetime:
    """Nothing is overdue then: how long a pod has been starting is no reason of its own."""
    return now - timedelta(days=36_500)


def _since(item: Json, moments: list[object]) -> list[tuple[Json, datetime]]:
    known = [read(str(moment)) for moment in moments if moment]
    return [(item, max(known))] if known else []


def look_again(children: list[Json], pods: list[Json], now: datetime) -> float | None:
    """Seconds until time alone may have made something worth saying of a resource; None: nothing is waited for."""
    waits = [_next(now - since) for _, since in silent(children, pods, now)]
    for pod in pods:
        leaving = section(pod, "metadata").get("deletionTimestamp") is not None
        ended = any(
            section(one, "state", "terminated") for one in entries(pod, "status", "containerStatuses")
        )  # fmt: skip
        if not is_over(pod) and (leaving or ended):
            waits.append(OUTLIVED_AFTER)
    return min(waits).total_seconds() if waits else None


def _next(waited: timedelta) -> timedelta:
    """When to ask the next time about what has waited so long."""
    return ASK_AFTER - waited if waited < ASK_AFTER else min(max(waited / 2, ASK_AFTER), _SELDOM)


class Hearing:
    """Asks for events, and remembers the answers until it is time to ask again."""

    def __init__(self, api: KubeApi) -> None:
        self._api = api
        self._heard: dict[Key, dict[str, tuple[datetime, Trouble | None]]] = {}

    async def of(self, owner: Key, children: list[Json], pods: list[Json], now: datetime) -> dict[str, Trouble]:
        """By uid: what the newest warning about each of a resource's silent objects says."""
        known = self._heard.pop(owner, {})
        waiting = [(item, since) for item, since in silent(children, pods, now) if now - since >= ASK_AFTER]
        if not waiting:
            return {}
        answers: dict[str, tuple[datetime, Trouble | None]] = {}
        for item, since in sorted(waiting, key=lambda one: one[1])[-_MOST_OF_A_RESOURCE:]:
            uid = uid_of(item)
            before = known.get(uid)
            # The least that is waited: whoever else asks for a decision meanwhile gets the same answer.
            fresh = before is not None and now - before[0] < ASK_AFTER
            answers[uid] = before if before is not None and fresh else (now, await self._ask(item, since))
        self._heard[owner] = answers
        return {uid: trouble for uid, (_, trouble) in answers.items() if trouble is not None}

    def forget(self, owner: Key) -> None:
        self._heard.pop(owner, None)

    async def _ask(self, item: Json, since: datetime) -> Trouble | None:
        key = key_of(item)
        try:
            found = await self._api.list(
                "Event", key.namespace, fields=f"involvedObject.uid={uid_of(item)},type=Warning"
            )
        except KubeError as error:
            return Trouble("EventsUnreadable", f"its events can't be read: {error}")
        told = [event for event in found if _moment(event) >= since.replace(microsecond=0)]
        if not told:
            return None
        newest = max(told, key=_moment)
        return Trouble(str(newest.get("reason") or "Warning"), str(newest.get("message") or "no word of why"))


def _moment(event: Json) -> datetime:
    """When an event was last seen."""
    moments = (
        section(event, "series").get("lastObservedTime"),
        event.get("lastTimestamp"),
        event.get("eventTime"),
        cast(Json, event["metadata"]).get("creationTimestamp"),
    )
    return max(read(str(moment)).replace(microsecond=0) for moment in moments if moment)
