"""The one path from a key to a world that is as decided: snapshot, plan, status, children, deletions, events."""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from functools import partial
from typing import cast

from longtail_api.conditions import Reason
from longtail_api.labels import ADOPT_ANNOTATION
from longtail_api.scenario import RunStatus
from longtail_operator import metrics
from longtail_operator.heavy_model.plan import plan_heavy_model
from longtail_operator.kubernetes.apply import Applier, Outdated
from longtail_operator.kubernetes.conditions import not_ready
from longtail_operator.kubernetes.hearing import Hearing, look_again
from longtail_operator.kubernetes.kube import KubeError, NamespaceEnding
from longtail_operator.kubernetes.objects import (
    HEAVY_MODEL,
    SCENARIO,
    SEARCH,
    Json,
    Key,
    annotations_of,
    entries,
    is_deleting,
    is_of_a_predecessor,
    key_of,
    section,
)
from longtail_operator.kubernetes.observed import Said
from longtail_operator.kubernetes.obstacles import Obstacles
from longtail_operator.kubernetes.own_status import StatusUnreadable, without_foreign_conditions
from longtail_operator.kubernetes.plan import Note, Plan
from longtail_operator.kubernetes.pods import is_over
from longtail_operator.kubernetes.snapshot import Snapshot, heavy_model_key
from longtail_operator.kubernetes.trouble import Trouble
from longtail_operator.kubernetes.work_queue import WorkQueue
from longtail_operator.meta_update.folding import Folding, feedback_of
from longtail_operator.methods import method_of
from longtail_operator.notes import notes_of
from longtail_operator.scenario.gate import Gate, started_of, waits_for_place
from longtail_operator.scenario.plan import plan_scenario
from longtail_operator.scenario.world import STORE_RETRY_SECONDS, HeavyModelView, store_key_of
from longtail_operator.search.plan import plan_search, running_progress_key, search_of
from longtail_operator.search.world import SearchWorld
from longtail_operator.serving.upgrade import Upgrade
from longtail_operator.settings import Settings
from longtail_operator.stores.hub import StoreHub
from longtail_operator.stores.removal import Removal, store_owner
from longtail_operator.stores.retention import Retention
from longtail_operator.stores.usage import usage_of
from longtail_operator.stores.view import Membership
from longtail_operator.worlds import (
    ReadFromStore,
    SpecInvalid,
    family,
    heavy_model_spec,
    heavy_model_view,
    heavy_model_world,
    scenario_spec,
    scenario_status,
    scenario_world,
    search_world,
)
from longtail_store import StoreError

log = logging.getLogger(__name__)
Now = Callable[[], datetime]
_BEGINNING = 200
"""So many characters of what is refused show whether a condition tells it; the rest may be cut off there."""


def utc_now() -> datetime:
    return datetime.now(UTC)


class Reconciler:
    """Reconciles keys. Safe to run for different keys at once; a key never runs twice at the same time (the queue)."""

    def __init__(
        self, snapshot: Snapshot, queue: WorkQueue[Key], gate: Gate, upgrade: Upgrade, applier: Applier, hub: StoreHub,
        folding: Folding, removal: Removal, retention: Retention, report: Callable[[Json, Note], None],
        settings: Settings, hearing: Hearing, now: Now = utc_now,
    ) -> None:  # fmt: skip
        self._snapshot = snapshot
        self._queue = queue
        self._gate = gate
        self._upgrade = upgrade
        self._applier = applier
        self._hub = hub
        self._folding = folding
        self._removal = removal
        self._retention = retention
        self._report = report
        self._settings = settings
        self._now = now
        self._obstacles = Obstacles()
        self._hearing = hearing
        self._by_kind: dict[str, Callable[[Json], Awaitable[None]]] = {
            SCENARIO: self._scenario,
            HEAVY_MODEL: self._heavy_model,
            SEARCH: self._search,
        }

    async def work(self) -> None:
        """Take keys from the queue for ever. Whatever goes wrong with one key is logged and tried again."""
        while True:
            key = await self._queue.get()
            metrics.QUEUE_LENGTH.set(len(self._queue))
            started = time.perf_counter()
            outcome = "succeeded"
            try:
                await self.reconcile(key)
                self._queue.succeeded(key)
            except Outdated as error:
                outcome = "outdated"
                log.debug("%s", error, extra={"key": str(key)})
                self._queue.failed(key)
            except NamespaceEnding as error:
                # What is in it goes, and tells so by events; until then there is nothing to be done.
                outcome = "namespace-ending"
                log.debug("%s", error, extra={"key": str(key)})
                self._queue.succeeded(key)
            except asyncio.CancelledError:
                raise
            except Exception as error:  # a worker must outlive any key
                outcome = "failed"
                delay = self._queue.failed(key)
                expected = isinstance(error, KubeError | StoreError)
                log.error(
                    "reconciliation failed: %s; again in %.1f s", error, delay, exc_info=None if expected else error,
                    extra={"key": str(key)},
                )  # fmt: skip
            finally:
                self._queue.done(key)
                metrics.RECONCILES.labels(key.kind, outcome).inc()
                metrics.RECONCILE_SECONDS.labels(key.kind).observe(time.perf_counter() - started)

    async def reconcile(self, key: Key) -> None:
        """Have the world as the resource asks. Raises `Outdated`, `KubeError`, `StoreError`."""
        raw = self._snapshot.get(key)
        if raw is None:
            self._obstacles.forget(key)
            self._hearing.forget(key)
            if key.kind == HEAVY_MODEL:
                self._hub.forget(key)
            return
        if is_deleting(raw):
            # Children go by their owner references.
            if key.kind == HEAVY_MODEL:
                await self._folding.end(key)
            if key.kind in (HEAVY_MODEL, SCENARIO):
                again = await self._removal.advance(raw)
                if again is not None:
                    self._queue.add_after(key, again)
            self._gate.settle(key, None)
            return
        left = [item for item in self._snapshot.children(key) if is_of_a_predecessor(item, raw) and not is_over(item)]
        if left:
            await self._clear_away(raw, left)
            return
        try:
            await self._by_kind[key.kind](raw)
        except (SpecInvalid, StatusUnreadable) as error:
            await self._not_ready(raw, str(error))

    async def _clear_away(self, raw: Json, left: list[Json]) -> None:
        """Have what an earlier resource of this name left removed: a Service, say, would send requests to its pods."""
        known = without_foreign_conditions(section(raw, "status"))
        names = ", ".join(f"{item['kind']} {item['metadata']['name']}" for item in left)
        words = f"waiting until what an earlier {raw['kind']} {raw['metadata']['name']} left is gone: {names}"
        status = not_ready(known, known, Reason.PENDING, words, self._now())
        deletions = tuple(key_of(item) for item in left if item["kind"] != "Pod" and not is_deleting(item))
        await self._carry_out(raw, known, Plan(status=status, deletions=deletions))

    async def _said(self, key: Key) -> Said:
        """What the cluster says against the children of `key`, and when to ask it again."""
        children, pods = family(self._snapshot, key)
        heard = await self._hearing.of(key, children, pods, self._now())
        again = look_again(children, pods, self._now())
        if again is not None:
            self._queue.add_after(key, again)
        return Said(self._obstacles.told(key), heard)

    async def _scenario(self, raw: Json) -> None:
        key, waits_since = key_of(raw), None
        try:
            waits_since = await self._decide_scenario(raw)
        finally:
            self._gate.settle(key, waits_since)
            # It may have gone meanwhile.
            self._gate.look(self._snapshot, key)

    async def _decide_scenario(self, raw: Json) -> str | None:
        """Since when it waits for a place, if it does."""
        heavy_key = heavy_model_key(raw)
        await self._removal.prepare(raw)
        said = await self._said(key_of(raw))
        raw = self._snapshot.get(key_of(raw)) or raw
        state = self._hub.known(heavy_key)
        heavy_model = heavy_model_view(self._snapshot, heavy_key, state.view if state else None)
        read = await self._read_for(raw, heavy_model) if heavy_model is not None else ReadFromStore()
        raw = self._snapshot.get(key_of(raw)) or raw
        world = scenario_world(raw, heavy_model, self._snapshot, self._settings, read, self._gate, self._upgrade, said)
        plan = plan_scenario(world, self._now())
        # Before the status says that the run has adapted: a round of feedback must not end without it.
        step = method_of(heavy_model.spec).feedback_step if heavy_model is not None else None
        handed_in = feedback_of({**raw, "status": plan.status}, step, self._now())
        is_news = handed_in is not None and self._hub.add_feedback(heavy_key, handed_in)
        # From the decision until its Job is in the snapshot nothing else shows that a place is taken.
        if heavy_model is not None and world.admitted and section(plan.status, "run").get("step") is not None:
            self._gate.claim(world.key)
        self._upgrade.look(world.key, {**raw, "status": plan.status})
        await self._carry_out(raw, world.status.to_json_dict(), plan)
        if is_news:
            self._queue.add_after(heavy_key, 0.5)
        return started_of(plan.status) if not world.admitted and waits_for_place(plan.status) else None

    async def _read_for(self, raw: Json, heavy_model: HeavyModelView) -> ReadFromStore:
        """What the decision about a Scenario needs of the store. Raises `SpecInvalid`, `StatusUnreadable`."""
        key, owner = key_of(raw), store_key_of(raw)
        spec, status = scenario_spec(raw, self._snapshot), scenario_status(raw, self._snapshot)
        card, last_run = None, 0
        pinned = spec.serving.pinned_version if spec.serving else None
        if pinned and status.serving.stable != pinned:
            card = await self._hub.card(heavy_model.key, heavy_model.spec, owner, pinned, key)
        if status.run is None:
            last_run = await self._hub.last_run(heavy_model.key, heavy_model.spec, owner, key)
        return ReadFromStore(card, last_run, await self._memberships(raw, status.run, heavy_model))

    async def _memberships(
        self, raw: Json, run: RunStatus | None, heavy_model: HeavyModelView
    ) -> dict[str, Membership]:
        """What the group steps of its HeavyModel have for a Scenario whose run is under way."""
        if run is None or run.outcome is not None:
            return {}
        key, found = key_of(raw), dict[str, Membership]()
        for group in heavy_model.status.groups:
            if group.outcome != "Succeeded" or any(one.name == group.step and one.result for one in run.steps):
                continue
            one = await self._hub.membership(heavy_model.key, heavy_model.spec, group, store_key_of(raw), key)
            if isinstance(one, Trouble):
                log.info("%s: %s", group.step, one.message, extra={"key": str(key)})
                self._queue.add_after(key, STORE_RETRY_SECONDS)
            elif one is not None:
                found[group.step] = one
        return found

    async def _heavy_model(self, raw: Json) -> None:
        await self._removal.prepare(raw)
        key, spec = key_of(raw), heavy_model_spec(raw, self._snapshot)
        view = await self._hub.view(spec, store_owner(raw), annotations_of(raw).get(ADOPT_ANNOTATION))
        said = await self._said(key)
        current = self._snapshot.get(key)
        if current is None:
            return
        folding = self._folding.is_under_way(key)
        world = heavy_model_world(current, self._snapshot, self._settings, view, folding, said)
        plan = plan_heavy_model(world, self._now())
        if plan.refresh_store:
            self._hub.mark_stale(world.key)
        await self._carry_out(current, world.status.to_json_dict(), plan)
        if view.trouble is not None:
            self._queue.add_after(world.key, 15.0)
            return
        self._queue.add_after(world.key, 3600.0)
        metrics.PENDING_FEEDBACK.labels(world.key.namespace, world.key.name).set(view.pending)
        if view.head is not None:
            metrics.AGNOSTIC_VERSION.labels(world.key.namespace, world.key.name).set(view.head.number)
            if not method_of(world.spec).pauses_folding(plan.status):
                self._folding.look(current, world.spec, partial(self._snapshot.scenarios, key), self._now())
        state = self._hub.known(world.key)
        if state is not None:
            # Also before the first version: attempts at it that died leave checkpoints behind.
            self._retention.look(world.key, world.spec, state.store, partial(usage_of, self._snapshot, world.key))

    async def _search(self, raw: Json) -> None:
        world = search_world(raw, self._snapshot, self._settings)
        progress = await self._progress(world) if any(item["kind"] == "Job" for item in world.children) else None
        said = await self._said(world.key)
        raw = self._snapshot.get(world.key) or raw
        world = search_world(raw, self._snapshot, self._settings, progress, said)
        await self._carry_out(raw, world.status.to_json_dict(), plan_search(world, self._now()))

    async def _progress(self, world: SearchWorld) -> float | None:
        key = running_progress_key(world)
        if key is None or world.target is None or world.target.heavy_model is None:
            return None
        view = world.target.heavy_model
        found = await self._hub.blob(view.key, view.spec, key, world.key)
        try:
            said = cast(Json, json.loads(found)) if found else {}
        except ValueError:
            return None  # advisory: half an overwrite decides nothing
        search = search_of(world)
        ours = search is not None and said.get("step", search.step) == search.step
        fraction: object = said.get("fraction") if ours else None
        return min(max(float(fraction), 0.0), 1.0) if isinstance(fraction, int | float) else None

    async def _carry_out(self, raw: Json, before: Json, plan: Plan) -> None:
        key = key_of(raw)
        status = _with_untold(before, plan.status, self._obstacles.told(key).values(), self._now())
        if status != before:
            await self._write(raw, status)
        # Told as soon as it holds: whatever becomes of the children, the next decision finds this status as it is.
        self._tell(raw, (*plan.notes, *notes_of(before, status)))
        if plan.requeue_after is not None:
            self._queue.add_after(key, plan.requeue_after)
        obstacles = await self._applier.carry_out(plan.children, plan.deletions)
        again = self._obstacles.settle(key, obstacles)
        if again is not None:
            self._queue.add_after(key, again)

    async def _write(self, raw: Json, status: Json) -> None:
        """Write the status. What refuses it can be told by an event alone."""
        try:
            await self._applier.status(raw, status)
        except NamespaceEnding:
            raise
        except KubeError as error:
            if error.status:
                self._report(
                    raw, Note("Warning", Reason.REFUSED, f"the API server refuses the status: {error.message}")
                )
            raise

    def _tell(self, raw: Json, notes: Iterable[Note]) -> None:
        for note in notes:
            self._report(raw, note)
            log.info("%s: %s", note.reason, note.message, extra={"key": str(key_of(raw))})

    async def _not_ready(self, raw: Json, message: str) -> None:
        """The status of a resource that can't be decided about: everything else of it stays."""
        known = without_foreign_conditions(section(raw, "status"))
        after = {**known, "observedGeneration": int(raw["metadata"].get("generation", 0))}
        after = not_ready(known, after, Reason.INVALID_SPEC, message, self._now())
        if after != known:
            await self._write(raw, after)
            self._tell(raw, notes_of(known, after))


def _with_untold(before: Json, status: Json, troubles: Iterable[Trouble], now: datetime) -> Json:
    """`status`; Ready=False where the plan has put what the API server refuses into no condition of its own."""
    told = " ".join(condition.get("message", "") for condition in entries(status, "conditions"))
    untold = [trouble for trouble in troubles if trouble.message[:_BEGINNING] not in told]
    if not untold:
        return status
    return not_ready(before, status, untold[0].reason, "; ".join(trouble.message for trouble in untold), now)
