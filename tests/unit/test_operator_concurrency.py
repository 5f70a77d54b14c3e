"""What may happen at the same time, or in an unlucky order, and must change nothing."""

import asyncio
import itertools
import time
from pathlib import Path
from typing import Any, cast

import pytest

from longtail_api.run_config import StoreAddress
from longtail_operator.control_plane import ControlPlane
from longtail_operator.kubernetes.kube import KubeApi, KubeError
from longtail_operator.kubernetes.objects import Json, Key, key_of
from longtail_operator.kubernetes.plan import Note, Plan
from longtail_operator.kubernetes.snapshot import Snapshot
from longtail_operator.kubernetes.work_queue import WorkQueue
from longtail_operator.meta_update import folding as folding_process
from longtail_operator.meta_update.folding import Folding
from longtail_operator.meta_update.rules import PendingFeedback
from longtail_operator.observer import Observer
from longtail_operator.stores import hub as store_hub
from longtail_operator.stores.hub import StoreHub
from longtail_operator.stores.opened import HeavyModelStore
from longtail_store import Credentials, Store, open_store
from tests.unit.operator_builders import MODEL_KEY, NOON, SETTINGS, TEMPORARY, Story, a_heavy_model


def a_job(uid: str, version: int) -> Json:
    metadata = {"name": "prepare", "namespace": "shop", "uid": uid, "resourceVersion": str(version)}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata}


KEY = key_of(a_job("", 0))


class Place:
    def __init__(self) -> None:
        self.snapshot = Snapshot()
        self.observer = Observer(self.snapshot, WorkQueue[Key]())

    def knows(self, item: Json) -> bool:
        known = self.snapshot.get(KEY)
        return known is not None and known["metadata"]["uid"] == item["metadata"]["uid"]


def test_what_a_list_lacks_is_forgotten():
    place = Place()
    place.observer.observe(a_job("old", 1))
    place.observer.replace([], place.snapshot.uids("Job", None))
    assert place.snapshot.get(KEY) is None


def test_a_job_made_anew_while_the_list_was_on_its_way_is_not_taken_for_the_one_that_is_gone():
    place = Place()
    place.observer.observe(a_job("old", 1))
    before = place.snapshot.uids("Job", None)
    place.observer.observe(a_job("new", 5))  # the list was answered between the death of one and the birth of the other
    place.observer.replace([], before)
    assert place.knows(a_job("new", 5))
    place.observer.observe(a_job("new", 6))
    assert place.snapshot.get(KEY) == a_job("new", 6), "it is not held for dead"


def test_lists_of_one_namespace_say_nothing_of_another():
    place = Place()
    place.observer.observe(a_job("old", 1))
    assert place.snapshot.uids("Job", "ads") == {}
    assert place.snapshot.uids("Pod", None) == {}
    assert place.snapshot.uids("Job", "shop") == {KEY: "old"}


def test_many_who_open_a_store_at_once_get_the_same_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Else what one has read of it is lost with the next, and everybody waits for it to be read again."""

    def slow(address: StoreAddress, credentials: Credentials | None) -> Store:
        time.sleep(0.05)
        return open_store(address, credentials)

    monkeypatch.setattr(store_hub, "open_store", slow)
    (tmp_path / "store").mkdir()
    spec = a_heavy_model(storage={"uri": f"file://{tmp_path / 'store'}"})

    async def story() -> list[Store]:
        hub = StoreHub(cast(KubeApi, None), allowed_stores=(TEMPORARY,))
        try:
            return await asyncio.gather(*(hub.opened(MODEL_KEY, spec) for _ in range(8)))
        finally:
            hub.close()

    assert len(set(map(id, asyncio.run(story())))) == 1


class RefusesChildren:
    """An API server that takes a status and refuses every child."""

    def __init__(self) -> None:
        self.events: list[str] = []

    async def get(self, key: Key) -> None:
        return None

    async def apply_status(self, item: Json) -> Json:
        return item

    async def apply(self, item: Json) -> Json:
        raise KubeError(422, "Invalid", "no")

    async def create(self, item: Json) -> bool:
        self.events.append(item["reason"])
        return True


def test_the_event_of_a_status_that_was_written_is_told_whatever_becomes_of_the_children():
    story, api = Story(), RefusesChildren()
    story.raw["metadata"]["resourceVersion"] = "1"
    ready = {"type": "Ready", "status": "True", "reason": "Serving", "lastTransitionTime": "2026-06-01T12:00:00Z"}
    child = {**a_job("x", 1), "metadata": {"name": "x", "namespace": "shop", "labels": {}, "annotations": {}}}

    async def told() -> None:
        plane = ControlPlane(cast(KubeApi, api), SETTINGS)
        carry_out = plane.reconciler._carry_out  # pyright: ignore[reportPrivateUsage]
        plan = Plan(status={"conditions": [ready]}, children=(child,), requeue_after=3600.0)
        await carry_out(story.raw, {}, plan)
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    asyncio.run(told())
    assert api.events == ["Serving"]


class OneStore:
    """A hub with one store, in which one feedback waits."""

    def __init__(self, uri: str) -> None:
        item = PendingFeedback(modified=NOON, scenario="s", run=1, key="k")
        self.state = HeavyModelStore(cast(Store, None), StoreAddress(uri=uri), None, pending={"k": item})

    def known(self, key: Key) -> HeavyModelStore:
        return self.state

    def mark_stale(self, key: Key) -> None: ...


def test_a_meta_update_ends_before_the_objects_of_its_model_are_removed(monkeypatch: pytest.MonkeyPatch):
    happened: list[str] = []

    async def works(*_: Any) -> tuple[int, bytes, bytes]:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.01)
            happened.append("process ended")
        return 0, b"", b""

    async def advance(raw: Json) -> None:
        happened.append("objects removed")

    monkeypatch.setattr(folding_process, "run_process", works)

    async def story() -> None:
        plane = ControlPlane(cast(KubeApi, None), SETTINGS)
        folding = Folding(cast(StoreHub, OneStore("file:///nowhere")), plane.queue, plane.report)
        plane.reconciler._folding = folding  # pyright: ignore[reportPrivateUsage]
        plane.reconciler._removal.advance = advance  # pyright: ignore[reportPrivateUsage]
        metadata = {"name": "shared", "namespace": "shop", "uid": "m", "resourceVersion": "1"}
        raw = {"kind": "HeavyModel", "metadata": metadata}
        folding.look(raw, a_heavy_model(metaUpdate={"bufferSize": 1}), list, NOON)
        await asyncio.sleep(0)
        plane.snapshot.observe({**raw, "metadata": {**metadata, "deletionTimestamp": "2026-06-01T12:00:00Z"}})
        await plane.reconciler.reconcile(MODEL_KEY)
        assert not folding.is_under_way(MODEL_KEY)

    asyncio.run(story())
    assert happened == ["process ended", "objects removed"]


def test_a_meta_update_that_fails_is_not_started_again_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    started: list[float] = []

    async def fails(*_: Any) -> tuple[int, bytes, bytes]:
        started.append(asyncio.get_running_loop().time())
        return -9, b"", b"Killed"

    monkeypatch.setattr(folding_process, "run_process", fails)
    spec = a_heavy_model(metaUpdate={"bufferSize": 1})
    raw = {"kind": "HeavyModel", "metadata": {"name": "shared", "namespace": "shop", "uid": "m"}}
    told: list[Note] = []

    async def story() -> None:
        loop, queue = asyncio.get_running_loop(), WorkQueue[Key]()
        ticks = itertools.count()
        folding = Folding(cast(StoreHub, OneStore("file:///nowhere")), queue, lambda about, note: told.append(note))

        async def look() -> int:
            folding.look(raw, spec, list, NOON)
            while folding.is_under_way(MODEL_KEY):
                await asyncio.sleep(0)
            return len(started)

        assert await look() == 1
        assert [await look() for _ in range(5)] == [1] * 5
        now = loop.time()
        monkeypatch.setattr(loop, "time", lambda: now + 6 + next(ticks) * 1e-9)
        assert await look() == 2, "after five seconds it is tried again"
        now += 6
        assert await look() == 2, "and after a further failure later"

    asyncio.run(story())
    assert {note.reason for note in told} == {"MetaUpdateFailed"}


class Lists:
    """An API server with a hundred Scenarios."""

    async def list(self, kind: str, namespace: str | None, selector: str | None = None) -> list[Json]:
        if kind != "Scenario":
            return []
        return [
            {"kind": kind, "metadata": {"name": f"s{number}", "namespace": "shop", "uid": str(number)}, "spec": {}}
            for number in range(100)
        ]


def test_a_resync_looks_at_all_over_its_whole_interval():
    async def told() -> tuple[int, int]:
        plane = ControlPlane(cast(KubeApi, Lists()), SETTINGS)
        await plane.resync()
        first = len(plane.queue)
        while len(plane.queue):
            plane.queue.done(await plane.queue.get())
        await plane.resync()
        return first, len(plane.queue)

    assert asyncio.run(told()) == (100, 1)
