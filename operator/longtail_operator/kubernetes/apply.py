"""Carrying out a plan: server-side apply of what should exist, removal of what should not, status, events."""

import logging
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import cast

from longtail_api.conditions import Reason
from longtail_api.labels import REPLICAS_ANNOTATION
from longtail_operator.kubernetes.clock import written
from longtail_operator.kubernetes.identity import identity
from longtail_operator.kubernetes.jobs import QUEUE_LABEL, is_finished, queue_of
from longtail_operator.kubernetes.kube import KubeApi, KubeError, NamespaceEnding
from longtail_operator.kubernetes.objects import (
    Json,
    Key,
    annotations_of,
    entries,
    is_deleting,
    is_of_our_group,
    key_of,
    labels_of,
    owner_key,
    section,
    uid_of,
)
from longtail_operator.kubernetes.observing import Observing
from longtail_operator.kubernetes.obstacles import Obstacle
from longtail_operator.kubernetes.plan import Note
from longtail_operator.kubernetes.snapshot import Snapshot, is_ours
from longtail_operator.kubernetes.trouble import Trouble

log = logging.getLogger(__name__)

APPLIED_ANNOTATION = "longtail.dev/applied"
"""Hash of what was applied, so that a field that is no longer wanted is noticed too."""
_SUFFIXES = {"n": "1e-9", "u": "1e-6", "m": "1e-3", "k": "1e3", "M": "1e6", "G": "1e9", "T": "1e12"}
_BINARY = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}


class NameTaken(Exception):
    """The user must act: an object that is not ours has the name of a child."""


class Outdated(Exception):
    """The decision was made on an older state of the object than the server's; decide anew."""


class Applier:
    """Effects on the API server. What the server answers is observed at once: a decision never waits for the watch to
    bring back what this process itself has written."""

    def __init__(self, api: KubeApi, snapshot: Snapshot, observer: Observing) -> None:
        self._api = api
        self._snapshot = snapshot
        self._observer = observer

    async def status(self, raw: Json, status: Json) -> None:
        """Write the status of the object as it was when the decision was made. Raises `Outdated`."""
        metadata = raw["metadata"]
        body: Json = {
            "apiVersion": raw["apiVersion"],
            "kind": raw["kind"],
            "metadata": {
                "name": metadata["name"],
                "namespace": metadata["namespace"],
                "uid": metadata["uid"],
                "resourceVersion": metadata["resourceVersion"],
            },
            "status": status,
        }
        try:
            self._observer.observe(await self._api.apply_status(body))
        except KubeError as error:
            if error.status not in (404, 409):
                raise
            current = await self._api.get(key_of(raw))
            if current is not None:
                self._observer.observe(current)
            else:
                self._observer.forget(raw)
            raise Outdated(f"{key_of(raw)} has changed") from error

    async def child(self, wanted: Json) -> None:
        """Have a child as wanted. Raises `NameTaken`, `Outdated`."""
        key = key_of(wanted)
        known = self._snapshot.get(key)
        if known is None:
            known = await self._api.get(key)
            if known is not None:
                known.setdefault("kind", key.kind)
                _require_ours(known, wanted)
                self._observer.observe(known)
        if known is None:
            self._observer.observe(await self._api.apply(_new(wanted)))
            log.info("created %s", key)
            return
        _require_ours(known, wanted)
        if is_deleting(known):
            # Its name is free once it is gone; the event of that comes.
            return
        change = difference(known, wanted)
        if change is None:
            return
        try:
            put_right = await (self._api.apply(change) if "apiVersion" in change else self._api.merge(key, change))
        except KubeError as error:
            if error.status != 404 or isinstance(error, NamespaceEnding):
                raise
            self._observer.forget(known)
            raise Outdated(f"{key} was deleted meanwhile") from error
        self._observer.observe(put_right)
        log.info("changed %s", key)

    async def carry_out(self, children: Iterable[Json], deletions: Iterable[Key]) -> dict[Key, Obstacle]:
        """Have what should exist, and not what should not. By object: what the API server would not do.

        One refusal keeps nothing else from being carried out, but for objects of the same name: without the
        ConfigMap that it reads, a Job only waits. Raises what concerns no object: a server that can't be reached, a
        namespace that ends, `Outdated`.
        """
        met: dict[Key, Obstacle] = {}
        for wanted in children:
            key = key_of(wanted)
            if key.name in {other.name for other in met}:
                continue
            try:
                await self.child(wanted)
            except NameTaken as error:
                met[key] = Obstacle(Trouble(Reason.INVALID_SPEC, str(error)), lasting=True)
            except KubeError as error:
                met[key] = _refusal(key, error, "is refused")
        for key in deletions:
            try:
                await self.remove(key)
            except KubeError as error:
                met[key] = _refusal(key, error, "may not be removed")
        return met

    async def remove(self, key: Key) -> None:
        """Remove a child, unless it is none of ours."""
        known = self._snapshot.get(key)
        if known is not None and is_ours(known):
            await self._api.delete(key, uid_of(known))
            log.info("removed %s", key)

    async def note(self, about: Json, note: Note, now: datetime) -> None:
        """Record a Kubernetes event. The same one, made again after a restart, is recorded once."""
        key = key_of(about)
        digest = identity(uid=uid_of(about), reason=note.reason, message=note.message)[:16]
        moment = written(now)
        await self._api.create(
            {
                "apiVersion": "v1",
                "kind": "Event",
                "metadata": {"name": f"{key.name[:200]}.{digest}", "namespace": key.namespace},
                "involvedObject": {
                    "apiVersion": about["apiVersion"],
                    "kind": key.kind,
                    "name": key.name,
                    "namespace": key.namespace,
                    "uid": uid_of(about),
                },
                "type": note.type,
                "reason": note.reason[:128],
                "message": note.message[:1024],
                "source": {"component": "longtail-operator"},
                "firstTimestamp": moment,
                "lastTimestamp": moment,
                "count": 1,
            }
        )


def _refusal(key: Key, error: KubeError, what: str) -> Obstacle:
    """What the API server says to a request for one object. Raises `error` where that is nothing about the object."""
    if isinstance(error, NamespaceEnding) or error.status in (0, 401):
        raise error
    log.warning("%s %s: %s", key, what, error)
    return Obstacle(Trouble(Reason.REFUSED, f"{key.kind} {key.name} {what} by the API server: {error.message}"))


def _require_ours(known: Json, wanted: Json) -> None:
    owner = owner_key(known)
    if not is_ours(known) or (owner is not None and owner != owner_key(wanted)):
        key = key_of(known)
        raise NameTaken(f"{key.kind} {key.name} exists and is not this resource's; rename or remove it")


def _marked(wanted: Json) -> Json:
    metadata = {**wanted["metadata"]}
    metadata["annotations"] = {**section(wanted, "metadata", "annotations"), APPLIED_ANNOTATION: identity(item=wanted)}
    return {**wanted, "metadata": metadata}


def _new(wanted: Json) -> Json:
    """A queued Job is suspended from its first moment: not even one of its pods goes past the queue."""
    marked = _marked(wanted)
    return {**marked, "spec": {"suspend": True, **wanted["spec"]}} if queue_of(wanted) else marked


def difference(known: Json, wanted: Json) -> Json | None:
    """What makes `known` as wanted: an object to apply, a patch to merge, or None where nothing does.

    A Job's template and an immutable ConfigMap's data can't change, and their names say what is in them: of those,
    only the metadata is put right, and a Job is suspended or resumed: resumed by us only where no queue admits it.
    """
    if wanted["kind"] not in ("Job", "ConfigMap") or (wanted["kind"] == "ConfigMap" and not wanted.get("immutable")):
        marked = _as_scaled(known, _marked(wanted))
        same = annotations_of(known).get(APPLIED_ANNOTATION) == annotations_of(marked)[APPLIED_ANNOTATION]
        return None if same and _has_owners(known, wanted) and covers(known, _ownerless(marked)) else marked
    patch: Json = {}
    own = {name: wanted["metadata"][name] for name in ("labels", "annotations")}
    if wanted["kind"] == "Job":
        own["labels"] = _labels_of_a_job(known, wanted)
    if not (covers(known["metadata"], own) and _has_owners(known, wanted)):
        # A merge replaces the whole list, and others may have put their references into it.
        theirs = [one for one in entries(known, "metadata", "ownerReferences") if not is_of_our_group(one)]
        patch["metadata"] = {**own, "ownerReferences": [*theirs, *wanted["metadata"]["ownerReferences"]]}
    if wanted["kind"] == "Job" and not is_finished(known):
        suspend, queued = bool(section(wanted, "spec").get("suspend")), queue_of(known) or queue_of(wanted)
        # What admits the Jobs of a queue resumes them, and takes them back for others.
        if bool(section(known, "spec").get("suspend")) != suspend and (suspend or not queued):
            patch["spec"] = {"suspend": suspend}
    return patch or None


def _as_scaled(known: Json, wanted: Json) -> Json:
    """A Deployment with the number of pods that it has, where a person or an autoscaler gave it.

    What we asked for ourselves follows what we ask for now; what others set is raised once, when we ask for more.
    """
    there, asked = section(known, "spec").get("replicas"), annotations_of(wanted).get(REPLICAS_ANNOTATION)
    if asked is None or there is None:
        return wanted
    before = annotations_of(known).get(REPLICAS_ANNOTATION, str(there))
    if asked == before:
        return _with_replicas(wanted, int(there))
    return _with_replicas(wanted, int(asked) if str(there) == before else max(int(there), int(asked)))


def _with_replicas(wanted: Json, replicas: int) -> Json:
    return {**wanted, "spec": {**wanted["spec"], "replicas": replicas}}


def _labels_of_a_job(known: Json, wanted: Json) -> Json:
    """The labels it should have; None takes one away. A Job that is admitted stays in its queue."""
    rest = {name: value for name, value in labels_of(wanted).items() if name != QUEUE_LABEL}
    if queue_of(known) == queue_of(wanted) or not section(known, "spec").get("suspend"):
        return rest
    return {**rest, QUEUE_LABEL: queue_of(wanted)}


def _has_owners(known: Json, wanted: Json) -> bool:
    """Is every wanted owner among those that the child has?"""
    found = entries(known, "metadata", "ownerReferences")
    return all(any(covers(one, owner) for one in found) for owner in entries(wanted, "metadata", "ownerReferences"))


def _ownerless(wanted: Json) -> Json:
    metadata = {name: value for name, value in wanted["metadata"].items() if name != "ownerReferences"}
    return {**wanted, "metadata": metadata}


def covers(known: object, wanted: object) -> bool:
    """Is everything wanted there? The server may have added fields, and writes quantities its own way."""
    if isinstance(wanted, dict):
        return isinstance(known, dict) and all(
            name in known and covers(cast(Json, known)[name], value) for name, value in cast(Json, wanted).items()
        )
    if isinstance(wanted, list):
        return (
            isinstance(known, list)
            and len(cast(list[object], known)) == len(cast(list[object], wanted))
            and all(map(covers, cast(list[object], known), cast(list[object], wanted)))
        )
    return known == wanted or (isinstance(known, str) and isinstance(wanted, str) and _same_quantity(known, wanted))


def _same_quantity(one: str, other: str) -> bool:
    first, second = _quantity(one), _quantity(other)
    return first is not None and first == second


def _quantity(text: str) -> Decimal | None:
    try:
        if text[-2:] in _BINARY:
            return Decimal(text[:-2]) * _BINARY[text[-2:]]
        if text[-1:] in _SUFFIXES:
            return Decimal(text[:-1]) * Decimal(_SUFFIXES[text[-1:]])
        return Decimal(text)
    except InvalidOperation:
        return None
