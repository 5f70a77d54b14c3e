"""Removing a HeavyModel's objects from its store, where deletionPolicy asks for it."""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import islice
from typing import cast

from pydantic import ValidationError

from longtail_api.conditions import Reason
from longtail_api.heavy_model import HeavyModelSpec
from longtail_api.labels import FINALIZER
from longtail_api.store_layout import PREFIXES, is_ours
from longtail_api.store_objects import StoreOwner
from longtail_operator.kubernetes.apply import Applier, Outdated
from longtail_operator.kubernetes.clock import read, written
from longtail_operator.kubernetes.conditions import not_ready
from longtail_operator.kubernetes.kube import KubeApi, KubeError
from longtail_operator.kubernetes.objects import Json, Key, entries, is_deleting, key_of, section, uid_of
from longtail_operator.kubernetes.observing import Observing
from longtail_operator.kubernetes.own_status import without_foreign_conditions
from longtail_operator.kubernetes.plan import Note
from longtail_operator.kubernetes.snapshot import Snapshot
from longtail_operator.stores.hub import StoreHub
from longtail_store import CredentialsMissing, Store, StoreError
from longtail_store.ownership import owner_of

log = logging.getLogger(__name__)

GIVE_UP_AFTER = timedelta(minutes=10)
"""A store that does not answer must not keep a namespace from going."""
LOOK_SECONDS = 30.0
"""Events tell when who is in the way has gone; this is for those that were missed."""
NAMED = 5
_DELETED_AT_ONCE = 1000


class Removal:
    """The finalizer: put on where objects are to be removed, taken off once they are, or after a deadline.

    Nothing is removed that somebody still needs or may still write: first the Scenarios that refer to the HeavyModel
    go, then its own Jobs, then the objects, and of the store only what is ours.
    """

    def __init__(
        self, api: KubeApi, snapshot: Snapshot, applier: Applier, observer: Observing, hub: StoreHub,
        report: Callable[[Json, Note], None], now: Callable[[], datetime],
    ) -> None:  # fmt: skip
        self._api = api
        self._snapshot = snapshot
        self._applier = applier
        self._observer = observer
        self._hub = hub
        self._report = report
        self._now = now

    async def prepare(self, raw: Json) -> None:
        """Have the finalizer there exactly where the policy is Delete. Raises `Outdated`."""
        wanted = section(raw, "spec").get("deletionPolicy") == "Delete"
        if wanted != (FINALIZER in _finalizers(raw)):
            await self._set(raw, wanted)

    async def advance(self, raw: Json) -> float | None:
        """The HeavyModel is being deleted: remove its objects, then let it go. Seconds until the next look, where it
        has to wait.

        Raises whatever kept the objects from going, until `GIVE_UP_AFTER` has passed since the deletion; then it goes
        anyway.
        """
        if FINALIZER not in _finalizers(raw):
            return None
        if section(raw, "spec").get("deletionPolicy") == "Delete":
            waiting = await self._in_the_way(raw)
            if waiting is not None:
                await self._say(raw, waiting)
                return LOOK_SECONDS
            await self._remove(raw)
        await self._set(raw, wanted=False)
        return None

    async def _in_the_way(self, raw: Json) -> str | None:
        """Who still needs the objects, or still writes some; ends the HeavyModel's own Jobs."""
        key = key_of(raw)
        allowed = {key.namespace, *cast(list[str], section(raw, "spec").get("allowedNamespaces") or [])}
        users = [
            f"{one.namespace}/{one.name}"
            for scenario in self._snapshot.scenarios(key)
            # Whom it does not allow keeps nothing from going, unless it was allowed once, and may serve from here.
            if (one := key_of(scenario)).namespace in allowed or section(scenario, "status", "run")
        ]
        if users:
            more = f" and {len(users) - NAMED} more" if len(users) > NAMED else ""
            return (
                f"its objects go once no Scenario refers to it: delete {', '.join(users[:NAMED])}{more}, or set "
                "deletionPolicy to Retain"
            )
        jobs = [child for child in self._snapshot.children(key) if child["kind"] in ("Job", "Pod")]
        for job in jobs:
            if job["kind"] == "Job" and not is_deleting(job):
                await self._applier.remove(key_of(job))
        if jobs:
            return f"its objects go once its Jobs have ended: {', '.join(str(key_of(job)) for job in jobs[:NAMED])}"
        return None

    async def _say(self, raw: Json, message: str) -> None:
        before = without_foreign_conditions(section(raw, "status"))
        after = not_ready(before, before, Reason.DELETING, message, self._now())
        if after != before:
            await self._applier.status(raw, after)

    async def _say_kept(self, raw: Json, message: str, until: datetime) -> None:
        """Say in a condition, and once by an event, what keeps a deleted HeavyModel from going, and for how long."""
        told = f"{message}; tried again until {written(until)}, then they stay; or set deletionPolicy to Retain"
        if all(one.get("message") != told for one in entries(raw, "status", "conditions")):
            self._report(raw, Note("Warning", "StoreCleanupDelayed", told))
        try:
            await self._say(raw, told)
        except (KubeError, Outdated) as error:
            # What is in the way of the objects is what counts, and is raised.
            log.warning("%s", error, extra={"key": str(key_of(raw))})

    async def _remove(self, raw: Json) -> None:
        """Remove the objects, or give it up after a while."""
        key, began = key_of(raw), read(str(raw["metadata"]["deletionTimestamp"]))
        try:
            spec = HeavyModelSpec.model_validate(section(raw, "spec"))
            store = await self._store(key, spec)
            holder = await asyncio.to_thread(owner_of, store)
            if holder is not None and holder != store_owner(raw):
                self._report(raw, Note("Normal", "StoreKept", f"{spec.storage.uri} belongs to {holder}"))
                return
            count = await asyncio.to_thread(_remove_all, store)
            log.info("removed %d objects from %s", count, spec.storage.uri, extra={"key": str(key)})
        except Exception as error:
            # What nobody foresaw is told by its type: its text may hold what was sent to the store.
            known = isinstance(error, StoreError | KubeError | ValidationError)
            words = str(error) if known else type(error).__name__
            if self._now() - began < GIVE_UP_AFTER:
                await self._say_kept(raw, f"its objects can't be removed: {words}", began + GIVE_UP_AFTER)
                raise
            self._report(raw, Note("Warning", "StoreCleanupGivenUp", f"objects stay in the store: {words}"))

    async def _store(self, key: Key, spec: HeavyModelSpec) -> Store:
        """The store; as it was opened before, where its Secret went first, as it does with a namespace."""
        try:
            return await self._hub.store(key, spec)
        except CredentialsMissing:
            known = self._hub.known(key)
            if known is None:
                raise
            return known.store

    async def _set(self, raw: Json, wanted: bool) -> None:
        metadata = raw["metadata"]
        others = [name for name in _finalizers(raw) if name != FINALIZER]
        patch: Json = {
            "metadata": {
                # A finalizer that somebody else sets meanwhile must not be lost.
                "resourceVersion": metadata["resourceVersion"],
                "finalizers": [*others, FINALIZER] if wanted else others,
            }
        }
        try:
            # Seen at once: the status is about to be written with the resourceVersion that this makes.
            self._observer.observe(await self._api.merge(key_of(raw), patch))
        except KubeError as error:
            if error.status == 409:
                raise Outdated(f"{key_of(raw)} has changed") from error
            if error.status != 404:
                raise


def _finalizers(raw: Json) -> list[str]:
    return cast(list[str], raw["metadata"].get("finalizers") or [])


def store_owner(raw: Json) -> StoreOwner:
    """A HeavyModel as it stands in its store."""
    key = key_of(raw)
    return StoreOwner(namespace=key.namespace, name=key.name, uid=uid_of(raw))


def _remove_all(store: Store) -> int:
    """Remove what is ours below the store's address, and last whose it is; how many objects that were."""
    count = 0
    for prefix in PREFIXES:
        found = (item.key for item in store.list(prefix) if is_ours(item.key))
        while keys := list(islice(found, _DELETED_AT_ONCE)):
            store.delete(*keys)
            count += len(keys)
    return count
