"""Removing a HeavyModel's objects from its store, where deletionPolicy asks for it."""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import cast

from pydantic import ValidationError

from longtail_api.heavy_model import HeavyModelSpec
from longtail_api.labels import FINALIZER
from longtail_operator.apply import Outdated
from longtail_operator.clock import read
from longtail_operator.kube import KubeApi, KubeError
from longtail_operator.objects import Json, Key, key_of, section
from longtail_operator.observer import Observer
from longtail_operator.plan import Note
from longtail_operator.store_hub import StoreHub
from longtail_store import CredentialsMissing, Store, StoreError

log = logging.getLogger(__name__)

GIVE_UP_AFTER = timedelta(minutes=10)
"""A store that does not answer must not keep a namespace from going."""


class Removal:
    """The finalizer: put on where objects are to be removed, taken off once they are, or after a deadline."""

    def __init__(
        self, api: KubeApi, observer: Observer, hub: StoreHub, report: Callable[[Json, Note], None],
        now: Callable[[], datetime],
    ) -> None:  # fmt: skip
        self._api = api
        self._observer = observer
        self._hub = hub
        self._report = report
        self._now = now

    async def prepare(self, raw: Json) -> None:
        """Have the finalizer there exactly where the policy is Delete. Raises `Outdated`."""
        wanted = section(raw, "spec").get("deletionPolicy") == "Delete"
        if wanted != (FINALIZER in _finalizers(raw)):
            await self._set(raw, wanted)

    async def advance(self, raw: Json) -> None:
        """The HeavyModel is being deleted: remove its objects, then let it go.

        Raises whatever kept it from that, until `GIVE_UP_AFTER` has passed since the deletion; then it goes anyway.
        """
        if FINALIZER not in _finalizers(raw):
            return
        key = key_of(raw)
        began = read(str(raw["metadata"]["deletionTimestamp"]))
        try:
            spec = HeavyModelSpec.model_validate(section(raw, "spec"))
            if spec.deletion_policy == "Delete":
                store = await self._store(key, spec)
                count = await asyncio.to_thread(_remove_all, store)
                log.info("removed %d objects from %s", count, spec.storage.uri, extra={"key": str(key)})
        except Exception as error:
            if self._now() - began < GIVE_UP_AFTER:
                raise
            # What nobody foresaw is told by its type: its text may hold what was sent to the store.
            known = isinstance(error, StoreError | KubeError | ValidationError)
            words = str(error) if known else type(error).__name__
            self._report(raw, Note("Warning", "StoreCleanupGivenUp", f"objects stay in the store: {words}"))
        await self._set(raw, wanted=False)

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


def _remove_all(store: Store) -> int:
    count = 0
    for item in store.list(""):
        store.delete(item.key)
        count += 1
    return count
