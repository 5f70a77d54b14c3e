"""Namespaces and objects that go while the operator works in them: expected, and no noise."""

import asyncio
import json
import logging
from collections.abc import Callable
from typing import Any, cast

import pytest

from longtail_operator.control_plane import ControlPlane
from longtail_operator.kubernetes import kube
from longtail_operator.kubernetes.apply import Applier, Outdated
from longtail_operator.kubernetes.children import child
from longtail_operator.kubernetes.kube import KubeApi, KubeError, NamespaceEnding
from longtail_operator.kubernetes.objects import Json, Key, key_of
from longtail_operator.kubernetes.plan import Note
from longtail_operator.kubernetes.snapshot import Snapshot
from longtail_operator.kubernetes.work_queue import WorkQueue
from longtail_operator.observer import Observer
from tests.unit.operator_builders import SETTINGS, Story

REFUSED_IN_A_TERMINATING_NAMESPACE = {
    "kind": "Status",
    "reason": "Forbidden",
    "message": 'jobs.batch "x" is forbidden: unable to create new content in namespace shop because it is being '
    "terminated",
    "details": {"causes": [{"reason": "NamespaceTerminating", "message": "namespace shop is being terminated"}]},
    "code": 403,
}
NO_NAMESPACE = {"reason": "NotFound", "message": "no", "details": {"name": "shop", "kind": "namespaces"}}
FORBIDDEN = {"reason": "Forbidden", "message": "no rights", "details": {"kind": "jobs"}}
NO_JOB = {"reason": "NotFound", "message": "no", "details": {"name": "x", "kind": "jobs"}}


@pytest.mark.parametrize(
    ("status", "said", "ending"),
    [
        (403, REFUSED_IN_A_TERMINATING_NAMESPACE, True),
        (404, NO_NAMESPACE, True),
        (403, FORBIDDEN, False),
        (404, NO_JOB, False),
    ],
)
def test_a_refusal_tells_whether_the_namespace_is_ending(status: int, said: Json, ending: bool):
    refusal: Callable[[int, bytes, str], KubeError] = kube._refusal  # pyright: ignore[reportPrivateUsage]
    assert isinstance(refusal(status, json.dumps(said).encode(), "POST /x"), NamespaceEnding) == ending


class EndingNamespace:
    """An API server on which a namespace is going away: what is there can be changed, nothing can be made."""

    def __init__(self, refusal: KubeError) -> None:
        self.refusal = refusal
        self.asked = 0

    async def get(self, key: Key) -> None:
        return None

    async def apply_status(self, item: Json) -> Json:
        return item

    async def create(self, item: Json) -> bool:
        raise self.refusal

    async def apply(self, item: Json) -> Json:
        self.asked += 1
        raise self.refusal

    async def merge(self, key: Key, patch: Json) -> Json:
        raise self.refusal


def worked_on_once(api: EndingNamespace, caplog: pytest.LogCaptureFixture) -> ControlPlane:
    """A control plane whose worker has taken one key, whose child can't be made."""

    async def story() -> ControlPlane:
        plane = ControlPlane(cast(KubeApi, api), SETTINGS)

        async def reconcile(key: Key) -> None:
            await plane.applier.child(child("Job", "x", Story().raw, "prepare", {"spec": {}}))

        plane.reconciler.reconcile = reconcile
        plane.queue.add(Key("Scenario", "shop", "spring"))
        worker = asyncio.create_task(plane.reconciler.work())
        while not api.asked:
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)
        return plane

    with caplog.at_level(logging.INFO):
        return asyncio.run(story())


def failures(plane: ControlPlane) -> dict[Any, int]:
    return plane.queue._failures  # pyright: ignore[reportPrivateUsage]


def test_an_ending_namespace_is_no_failure_and_is_not_tried_again(caplog: pytest.LogCaptureFixture):
    plane = worked_on_once(EndingNamespace(NamespaceEnding(403, "Forbidden", "is being terminated")), caplog)
    assert not failures(plane)
    assert not caplog.records


def test_any_other_refusal_is_told_and_tried_again(caplog: pytest.LogCaptureFixture):
    plane = worked_on_once(EndingNamespace(KubeError(403, "Forbidden", "no rights")), caplog)
    assert failures(plane) == {Key("Scenario", "shop", "spring"): 1}
    assert "403 Forbidden: no rights" in caplog.text


def test_an_event_that_can_no_longer_be_recorded_is_no_warning(caplog: pytest.LogCaptureFixture):
    async def story() -> None:
        api = EndingNamespace(NamespaceEnding(403, "Forbidden", "is being terminated"))
        plane = ControlPlane(cast(KubeApi, api), SETTINGS)
        plane.report(Story().raw, Note("Normal", "Promoted", "v1 serves"))
        await asyncio.sleep(0.01)

    with caplog.at_level(logging.INFO):
        asyncio.run(story())
    assert not caplog.records


def test_a_child_that_was_deleted_while_it_was_put_right_is_decided_about_anew():
    async def story() -> Snapshot:
        snapshot = Snapshot()
        wanted = child("Job", "x", Story().raw, "prepare", {"spec": {"suspend": True}})
        known = {**wanted, "spec": {"suspend": False}}
        known["metadata"] = {**wanted["metadata"], "uid": "j", "resourceVersion": "3"}
        snapshot.observe(known)
        api = cast(KubeApi, EndingNamespace(KubeError(404, "NotFound", "gone")))
        applier = Applier(api, snapshot, Observer(snapshot, WorkQueue[Key]()))
        with pytest.raises(Outdated, match="deleted meanwhile"):
            await applier.child(wanted)
        assert snapshot.get(key_of(wanted)) is None
        return snapshot

    asyncio.run(story())
