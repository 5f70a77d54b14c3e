"""Removing the objects of a HeavyModel or a Scenario from the store, where deletionPolicy asks for it."""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import cast

from pydantic import ValidationError

from longtail_api.conditions import Reason
from longtail_api.heavy_model import HeavyModelSpec
from longtail_api.labels import FINALIZER
from longtail_api.store_layout import scenario_key
from longtail_api.store_objects import StoreOwner
from longtail_operator.kubernetes.apply import Applier, Outdated
from longtail_operator.kubernetes.clock import written
from longtail_operator.kubernetes.conditions import not_ready
from longtail_operator.kubernetes.kube import KubeApi, KubeError
from longtail_operator.kubernetes.objects import HEAVY_MODEL, Json, Key, entries, key_of, section, uid_of
from longtail_operator.kubernetes.observing import Observing
from longtail_operator.kubernetes.own_status import without_foreign_conditions
from longtail_operator.kubernetes.plan import Note
from longtail_operator.kubernetes.snapshot import Snapshot, heavy_model_key
from longtail_operator.stores.hub import StoreHub
from longtail_operator.stores.in_the_way import in_the_way
from longtail_operator.stores.opened import HeavyModelStore
from longtail_operator.stores.questions import NotYet
from longtail_operator.stores.remains import remove_remains
from longtail_store import CredentialsMissing, StoreError

log = logging.getLogger(__name__)

GIVE_UP_AFTER = timedelta(minutes=10)
"""A store that does not answer must not keep a namespace from going."""
LOOK_SECONDS = 30.0
"""Events tell when who is in the way has gone; this is for those that were missed."""


class Removal:
    """The finalizer: put on where objects are to be removed, taken off once they are, or after a deadline.

    Nothing is removed that somebody still needs or may still write (`in_the_way`), and of the store only what is ours.
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
        self._failing: dict[str, datetime] = {}
        """By uid: since when its objects can't be removed. Who was long in the way of them does not count."""

    async def prepare(self, raw: Json) -> None:
        """Have the finalizer there exactly where the policy is Delete. Raises `Outdated`."""
        wanted = section(raw, "spec").get("deletionPolicy") == "Delete"
        if wanted != (FINALIZER in _finalizers(raw)):
            await self._set(raw, wanted)

    async def advance(self, raw: Json) -> float | None:
        """The HeavyModel or Scenario is being deleted: remove its objects, then let it go. Seconds until the next look,
        where it has to wait.

        Raises whatever keeps the objects from going, until it has done so for `GIVE_UP_AFTER`; then it goes anyway.
        """
        if FINALIZER not in _finalizers(raw):
            return None
        if section(raw, "spec").get("deletionPolicy") == "Delete":
            waiting = in_the_way(self._snapshot, raw)
            if waiting is not None:
                for key in waiting.ends:
                    await self._applier.remove(key)
                await self._say(raw, waiting.message)
                return LOOK_SECONDS
            if not await self._remove(raw):
                await self._say(raw, "its objects are being removed from the store")
                return LOOK_SECONDS
        await self._set(raw, wanted=False)
        self._failing.pop(uid_of(raw), None)
        return None

    async def _say(self, raw: Json, message: str) -> None:
        before = without_foreign_conditions(section(raw, "status"))
        after = not_ready(before, before, Reason.DELETING, message, self._now())
        if after != before:
            await self._applier.status(raw, after)

    async def _say_kept(self, raw: Json, message: str, until: datetime) -> None:
        """Say in a condition, and once by an event, what keeps a deleted resource from going, and for how long."""
        told = f"{message}; tried again until {written(until)}, then they stay; or set deletionPolicy to Retain"
        if all(one.get("message") != told for one in entries(raw, "status", "conditions")):
            self._report(raw, Note("Warning", "StoreCleanupDelayed", told))
        try:
            await self._say(raw, told)
        except (KubeError, Outdated) as error:
            # What is in the way of the objects is what counts, and is raised.
            log.warning("%s", error, extra={"key": str(key_of(raw))})

    async def _remove(self, raw: Json) -> bool:
        """Remove the objects, or give it up after a while. False: the store is still at it."""
        key = key_of(raw)
        model = raw if key.kind == HEAVY_MODEL else self._snapshot.get(heavy_model_key(raw))
        if model is None:
            words = "objects stay in the store: its HeavyModel is gone, which said where that is"
            self._report(raw, Note("Warning", "StoreCleanupGivenUp", words))
            return True
        try:
            spec = HeavyModelSpec.model_validate(section(model, "spec"))
            state = await self._opened(key_of(model), spec)
            remains = None if model is raw else scenario_key(key.namespace, key.name, uid_of(raw))
            removed = await state.questions.ask(
                ("removal", key),
                key,
                lambda: state.questions.call(remove_remains, state.store, store_owner(model), remains),
            )
            if isinstance(removed, NotYet):
                return False
            if isinstance(removed, StoreOwner):
                self._report(raw, Note("Normal", "StoreKept", f"{spec.storage.uri} belongs to {removed}"))
            else:
                log.info("removed %d objects from %s", removed, spec.storage.uri, extra={"key": str(key)})
        except Exception as error:
            # What nobody foresaw is told by its type: its text may hold what was sent to the store.
            known = isinstance(error, StoreError | KubeError | ValidationError)
            words = str(error) if known else type(error).__name__
            until = self._failing.setdefault(uid_of(raw), self._now()) + GIVE_UP_AFTER
            if self._now() < until:
                await self._say_kept(raw, f"its objects can't be removed: {words}", until)
                raise
            self._report(raw, Note("Warning", "StoreCleanupGivenUp", f"objects stay in the store: {words}"))
        return True

    async def _opened(self, model: Key, spec: HeavyModelSpec) -> HeavyModelStore:
        """The store; as it was opened before, where its Secret went first, as it does with a namespace."""
        try:
            return await self._hub.opened(model, spec)
        except CredentialsMissing:
            known = self._hub.known(model)
            if known is None:
                raise
            return known

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
