"""The stores of all HeavyModels: what the operator knows of each, read apart from its workers and kept in memory."""

import asyncio
import hashlib
import logging
import tempfile
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from longtail_api.conditions import Reason
from longtail_api.heavy_model import GroupStepStatus, HeavyModelSpec
from longtail_api.run_config import StoreAddress
from longtail_api.shared_specs import Storage
from longtail_api.store_layout import AGNOSTIC, model_card_key, result_key, version_key
from longtail_api.store_objects import Member, ModelCard, StepResult, StoreOwner, Termination
from longtail_operator.kubernetes.kube import KubeApi
from longtail_operator.kubernetes.objects import HEAVY_MODEL, Key
from longtail_operator.kubernetes.trouble import Trouble
from longtail_operator.meta_update.rules import PendingFeedback
from longtail_operator.stores.access import credentials_for
from longtail_operator.stores.opened import PULSE, VIEW, HeavyModelStore
from longtail_operator.stores.questions import (
    GRACE_SECONDS,
    PATIENCE_SECONDS,
    NotYet,
    Questions,
    in_thread,
)
from longtail_operator.stores.reading import Reading
from longtail_operator.stores.run_numbers import read_last_in_store
from longtail_operator.stores.troubles import not_yet, told
from longtail_operator.stores.view import Membership, StoreView
from longtail_store import (
    Corrupt,
    ObjectMissing,
    Store,
    StoreError,
    open_store,
    parse_object,
    read_object,
)

log = logging.getLogger(__name__)
Read = TypeVar("Read")

PULSE_SECONDS = 120.0
"""How often a store is asked whether the newest version still stands: one request, by which it is noticed that it is
gone, or was emptied, before a run meets that. Else a store is read when something has changed in it."""


class StoreHub:
    """Opens stores, and answers what is asked of them. Its calls may be made from one event loop only.

    No call waits for a store that is slow: it says that the answer is not there yet, and `wake` is called with the
    asker's key when it is.
    """

    def __init__(
        self,
        api: KubeApi,
        wake: Callable[[Key], None] = lambda key: None,
        allowed_stores: Sequence[str] = (),
        grace_seconds: float = GRACE_SECONDS,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self._api = api
        self._wake = wake
        self._allowed = allowed_stores
        self._grace = grace_seconds
        self._patience = patience_seconds
        self._stores: dict[Key, HeavyModelStore] = {}
        self._opening: dict[Key, asyncio.Lock] = {}
        self._reading = Reading()
        self._cards: dict[tuple[Key, str, str], ModelCard] = {}
        self._groups: dict[tuple[Key, str], tuple[str | None, dict[str, Member]]] = {}
        """By HeavyModel and step: hash of the newest result that was read, and its members."""
        self._folder = tempfile.TemporaryDirectory(prefix="longtail-")

    def close(self) -> None:
        self._folder.cleanup()

    def known(self, key: Key) -> HeavyModelStore | None:
        return self._stores.get(key)

    def forget(self, key: Key) -> None:
        self._stores.pop(key, None)
        self._opening.pop(key, None)

    async def view(self, spec: HeavyModelSpec, owner: StoreOwner, adopted: str | None = None) -> StoreView:
        """What is known of the store of a HeavyModel, `owner`; read anew where it has to be.

        It is claimed first: another's is not looked into. adopted: uid of the one that it may be taken from. While it
        is read for the first time, the trouble is `Pending`. Raises `KubeError` alone.
        """
        key = Key(HEAVY_MODEL, owner.namespace, owner.name)
        now = asyncio.get_running_loop().time()
        try:
            state = await self._open(key, spec.storage)
        except StoreError as error:
            return StoreView(told(error))
        while state.questions.is_asked(VIEW) or state.is_due(now):
            read = await state.questions.ask(VIEW, key, lambda: self._reading.read(state, owner, adopted))
            if isinstance(read, NotYet):
                if read.seconds >= self._patience:
                    return StoreView(not_yet(state, read))
                break
        return state.shown() if state.view else StoreView(Trouble(Reason.PENDING, "the store is being read"))

    async def watch_for_ever(self) -> None:
        """Have it noticed within minutes when a store that nobody asks anything is gone, or was emptied."""
        while True:
            await asyncio.sleep(PULSE_SECONDS)
            for key in list(self._stores):
                await self.feel(key)

    async def feel(self, key: Key) -> None:
        """Ask whether the newest version still stands; where it does not, have the store read anew."""
        state = self._stores.get(key)
        if state is None or state.view is None or state.view.trouble is not None or state.is_behind:
            return
        head = state.view.head
        place = version_key(head.number if head else 1)
        stands: bool | None = None
        with suppress(StoreError):
            found = await state.questions.ask(PULSE, key, lambda: state.questions.call(state.store.exists, place))
            if isinstance(found, NotYet) and found.seconds < self._patience:
                return
            stands = found if isinstance(found, bool) else None
        if stands is not (head is not None):
            state.stale = True
            self._wake(key)

    def mark_stale(self, key: Key) -> None:
        state = self._stores.get(key)
        if state is not None:
            state.stale = True

    def add_feedback(self, key: Key, item: PendingFeedback) -> bool:
        """A finished run has handed in feedback. False where that is known, and where a version has settled it."""
        state = self._stores.get(key)
        if state is None or state.view is None or state.view.head is None:
            return False
        known = item.key in state.pending or item.key in state.lost or state.settled.holds(item.scenario, item.run)
        if not known:
            state.pending[item.key] = item
        return not known

    async def card(
        self, key: Key, spec: HeavyModelSpec, scenario: str, version: str, asker: Key
    ) -> ModelCard | Trouble | None:
        """The record of one light version; None where there is none; or why that can't be told."""
        known = self._cards.get((key, scenario, version))
        if known is None:
            place = model_card_key(scenario, version)
            try:
                found = await self._ask(key, spec, asker, place, read_object, place, ModelCard)
            except ObjectMissing:
                return None
            except StoreError as error:
                return told(error)
            if isinstance(found, Trouble):
                return found
            known = self._cards[key, scenario, version] = found
        return known

    async def membership(
        self, key: Key, spec: HeavyModelSpec, group: GroupStepStatus, scenario: str, asker: Key
    ) -> Membership | Trouble | None:
        """What a finished group step has for a scenario; None where it has nothing; or why that can't be told."""
        try:
            listed = self._groups.get((key, group.step))
            if listed is None or listed[0] != group.result:
                place = result_key(AGNOSTIC, group.run, group.step)
                name = (place, group.result)
                found = await self._ask(key, spec, asker, name, _checked_result, place, str(group.result))
                if isinstance(found, Trouble):
                    return found
                listed = self._groups[key, group.step] = (group.result, found.members)
            member = listed[1].get(scenario)
            if member is None:
                return None
            name = (member.result_key, member.result_sha256)
            own = await self._ask(key, spec, asker, name, _checked_result, member.result_key, member.result_sha256)
        except StoreError as error:
            return told(error)
        if isinstance(own, Trouble):
            return own
        said = Termination(
            status="Succeeded",
            result_key=member.result_key,
            result_sha256=member.result_sha256,
            outputs=own.outputs,
            metrics=own.metrics,
            flops=own.flops,
            pictures=own.pictures,
        )
        return Membership(member, said)

    async def last_run(self, key: Key, spec: HeavyModelSpec, scenario: str, asker: Key) -> int | Trouble:
        """The highest run number of a scenario that the store knows; or why that can't be told."""
        try:
            return await self._ask(key, spec, asker, ("last run", scenario), read_last_in_store, scenario)
        except StoreError as error:
            return told(error)

    async def opened(self, key: Key, spec: HeavyModelSpec) -> HeavyModelStore:
        """The store itself. Raises `StoreRefused`, of it `CredentialsMissing`."""
        return await self._open(key, spec.storage)

    async def blob(self, key: Key, spec: HeavyModelSpec, name: str, asker: Key) -> bytes | None:
        """One small object; None where there is none, or where the store does not answer (advisory objects)."""
        try:
            found = await self._ask(key, spec, asker, ("blob", name), _content, name)
        except ObjectMissing:
            return None
        except StoreError as error:
            log.warning("%s: %s", name, error)
            return None
        return None if isinstance(found, Trouble) else found

    async def _ask(
        self, key: Key, spec: HeavyModelSpec, asker: Key, name: Hashable, read: Callable[..., Read], *arguments: object
    ) -> Read | Trouble:
        """What `read` makes of the store and `arguments`; or that this is not known yet. Raises what it raises."""
        state = await self._open(key, spec.storage)
        found = await state.questions.ask(name, asker, lambda: state.questions.call(read, state.store, *arguments))
        return not_yet(state, found) if isinstance(found, NotYet) else found

    async def _open(self, key: Key, storage: Storage) -> HeavyModelStore:
        credentials = await credentials_for(self._api, key, storage, self._allowed)
        address = StoreAddress(
            uri=storage.uri,
            endpoint=storage.endpoint,
            region=storage.region,
            path_style=storage.path_style,
            ca_bundle_file=self._trust(key, storage),
        )
        # Scenarios ask at the same time as their HeavyModel: it is opened once for all of them.
        async with self._opening.setdefault(key, asyncio.Lock()):
            state = self._stores.get(key)
            if state is None or not state.is_at(address, credentials):
                store = await in_thread(open_store, address, credentials)
                questions = Questions(self._wake, self._grace, self._patience)
                state = self._stores[key] = HeavyModelStore(store, address, credentials, questions=questions)
        return state

    def _trust(self, key: Key, storage: Storage) -> str | None:
        if storage.ca_bundle is None:
            return None
        path = Path(self._folder.name, f"{key.namespace}.{key.name}.crt")
        if not path.exists() or path.read_text() != storage.ca_bundle:
            path.write_text(storage.ca_bundle)
        return str(path)


def _content(store: Store, key: str) -> bytes:
    return store.get(key)


def _checked_result(store: Store, key: str, sha256: str) -> StepResult:
    """Raises `Corrupt` where the object is another one than the hash is of."""
    content = store.get(key)
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise Corrupt(f"{store!r}: {key} has sha256 {found}, its step said {sha256}")
    return parse_object(content, StepResult, key)
