"""What the reconciler makes of a meta-training that is under way: folds wait for its end, and it for theirs."""

import asyncio
from collections.abc import Iterable
from typing import Any

from longtail_operator.kubernetes.objects import Json, Key
from longtail_operator.kubernetes.snapshot import Snapshot
from longtail_operator.kubernetes.work_queue import WorkQueue
from longtail_operator.reconcile import Reconciler
from longtail_operator.stores.view import StoreView
from tests.unit.operator_builders import SETTINGS
from tests.unit.test_operator_meta_training import JITTER, NEXT_NIGHT, standing

KEY = Key("HeavyModel", "shop", "shared")


class Folding:
    """Records whether a fold was looked for."""

    def __init__(self, under_way: bool) -> None:
        self.under_way = under_way
        self.looks = 0

    def is_under_way(self, key: Key) -> bool:
        return self.under_way

    def look(self, *_: Any) -> None:
        self.looks += 1


class Around:
    """Everything else of the reconciler: does nothing, and takes note of what is written."""

    def __init__(self, view: StoreView) -> None:
        self._view = view
        self.written: list[str] = []
        self.said: Json = {}

    async def prepare(self, raw: Json) -> None: ...

    async def view(self, *_: Any) -> StoreView:
        return self._view

    def known(self, key: Key) -> None: ...

    def mark_stale(self, key: Key) -> None: ...

    async def status(self, raw: Json, status: Json) -> None:
        self.said = status

    async def carry_out(self, children: Iterable[Json], deletions: Iterable[Key]) -> dict[Key, Any]:
        self.written.extend(child["kind"] for child in children)
        return {}

    async def of(self, *_: Any) -> dict[str, Any]:
        return {}

    def report(self, *_: Any) -> None: ...


def reconciled(status: Json, under_way: bool = False) -> tuple[Around, Folding]:
    """One look at a HeavyModel of this status, in the night in which its meta-training is due."""
    model = standing()
    spec = model.spec.to_json_dict()
    raw = {**model.raw, "spec": spec, "status": status}
    raw["metadata"] = {**raw["metadata"], "resourceVersion": "1"}
    scenario = {**model.members[0].raw, "status": model.members[0].status.to_json_dict()}
    scenario["metadata"] = {**scenario["metadata"], "resourceVersion": "1"}
    snapshot = Snapshot()
    snapshot.observe(raw)
    snapshot.observe(scenario)
    assert model.store is not None
    around, folding = Around(model.store), Folding(under_way)
    everything: Any = around
    doubled: Any = folding

    async def look() -> None:
        queue: WorkQueue[Key] = WorkQueue()
        reconciler = Reconciler(
            snapshot, queue, everything, everything, everything, everything, doubled, everything, everything,
            around.report, SETTINGS, everything,
            now=lambda: NEXT_NIGHT + JITTER,
        )  # fmt: skip
        await reconciler.reconcile(KEY)

    asyncio.run(look())
    return around, folding


def test_the_job_starts_and_no_fold_is_looked_for_any_more():
    around, folding = reconciled(standing().status)
    assert around.written == ["ConfigMap", "Job"]
    assert folding.looks == 0


def test_a_fold_under_way_comes_first():
    around, folding = reconciled(standing().status, under_way=True)
    assert around.written == []
    assert folding.looks == 1


def test_after_its_end_folds_go_on():
    status = standing().status
    status["metaTraining"] = {"handled": "2026-06-02T03:00:00Z", "identity": "i", "outcome": "Failed"}
    around, folding = reconciled(status)
    assert around.written == []
    assert folding.looks == 1
