"""What a HeavyModel's decisions need of its store: whose it is, whether it can be trusted, and its chain."""

import asyncio
import logging
import traceback

from longtail_api.conditions import Reason
from longtail_api.labels import ADOPT_ANNOTATION
from longtail_api.store_objects import StoreOwner, Version
from longtail_operator.kubernetes.trouble import Trouble
from longtail_operator.meta_update.ledger import handed_in
from longtail_operator.meta_update.rules import PendingFeedback
from longtail_operator.stores.opened import HeavyModelStore
from longtail_operator.stores.troubles import told, unforeseen
from longtail_operator.stores.view import StoreView
from longtail_store import Chain, StoreError
from longtail_store.ownership import claim, owner_around, owner_of
from longtail_store.probe import race_conditional_puts
from longtail_store.settled_log import SettledRuns, read_head

log = logging.getLogger(__name__)

NOT_ATOMIC_SECONDS = 600.0
"""Racing writers are let race again after this time, where more than one won: the store may have been mended."""


class Reading:
    """Reads stores, and races each distinct one once."""

    def __init__(self) -> None:
        self._raced: dict[str, tuple[str | None, float]] = {}
        """By address: what was wrong with racing writers, and when that was seen."""

    async def read(self, state: HeavyModelStore, owner: StoreOwner, adopted: str | None) -> None:
        """Have the view say what the store has now, or what is wrong with it."""
        state.stale = False
        try:
            state.view = await self._looked_into(state, owner, adopted)
        except StoreError as error:
            state.view = StoreView(told(error))
        except Exception as error:
            # A status that says something is better than none; the text may repeat a request, so where it was says it.
            where = "".join(traceback.format_tb(error.__traceback__))
            log.error("%s while asking %r, at\n%s", type(error).__name__, state.store, where)
            state.view = StoreView(unforeseen(error))
        state.read_at = asyncio.get_running_loop().time()

    async def _looked_into(self, state: HeavyModelStore, owner: StoreOwner, adopted: str | None) -> StoreView:
        call = state.questions.call
        holder = await call(owner_of, state.store)
        if holder is not None and holder.uid not in (owner.uid, adopted):
            return StoreView(Trouble(Reason.STORE_TAKEN, _taken(state.address.uri, holder, owner)))
        around = await call(owner_around, state.address, state.credentials) if holder is None else None
        if around is not None:
            return StoreView(Trouble(Reason.STORE_TAKEN, _inside(state.address.uri, *around)))
        # Before it is claimed: a store that lets two writers win would let two own it.
        fault = await self._race(state)
        if fault is not None:
            return StoreView(Trouble(Reason.STORE_NOT_ATOMIC, fault))
        if holder is None or holder.uid != owner.uid:
            holder = await call(claim, state.store, owner, adopted)
        if holder.uid != owner.uid:
            return StoreView(Trouble(Reason.STORE_TAKEN, _taken(state.address.uri, holder, owner)))
        head, state.settled, found, pool = await call(_read_chain, state)
        for item in found:
            state.pending.setdefault(item.key, item)
            state.lost.discard(item.key)
        return StoreView(head=head, pool=pool)

    async def _race(self, state: HeavyModelStore) -> str | None:
        name = f"{state.address.uri} {state.address.endpoint}"
        now = asyncio.get_running_loop().time()
        fault, seen = self._raced.get(name, (None, float("-inf")))
        if name not in self._raced or (fault is not None and now - seen > NOT_ATOMIC_SECONDS):
            result = await state.questions.call(race_conditional_puts, state.store)
            fault = None if result.atomic else result.message
            self._raced[name] = (fault, now)
        return fault


def _taken(uri: str, holder: StoreOwner, owner: StoreOwner) -> str:
    return (
        f"{uri} belongs to {holder}; give this one a storage.uri of its own, or, where that one is gone, take over its "
        f"store: kubectl annotate heavymodel {owner.name} --namespace {owner.namespace} --overwrite "
        f"{ADOPT_ANNOTATION}={holder.uid}"
    )


def _inside(uri: str, outer: str, holder: StoreOwner) -> str:
    return (
        f"{uri} lies in a folder that the store at {outer} keeps for itself, and that belongs to {holder}, which may "
        "remove what is there; give this one a storage.uri beside it"
    )


def _read_chain(
    state: HeavyModelStore,
) -> tuple[Version | None, SettledRuns, list[PendingFeedback], frozenset[str]]:
    found = handed_in(state.store)
    head, settled = read_head(state.store, state.log, None)
    if head is None:
        return None, settled, found, frozenset()
    if head.generation not in state.pools:
        state.pools[head.generation] = frozenset(Chain(state.store).first_of_generation(head).pool)
    return head, settled, found, state.pools[head.generation]
