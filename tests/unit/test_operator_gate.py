"""maxConcurrentRuns, decided from the work that is seen and from what was just promised."""

import asyncio
import random
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longtail_operator.control_plane import ControlPlane
from longtail_operator.kubernetes.kube import KubeApi, KubeError
from longtail_operator.kubernetes.objects import HEAVY_MODEL, SCENARIO, SEARCH, Json, Key
from longtail_operator.kubernetes.snapshot import Snapshot
from longtail_operator.kubernetes.work_queue import WorkQueue
from longtail_operator.observer import Observer
from longtail_operator.scenario.gate import Gate
from tests.unit.operator_builders import SETTINGS

MODEL = Key(HEAVY_MODEL, "shop", "shared")


class Shop:
    """What the API server shows of Scenarios and their Jobs, and who is woken by that."""

    def __init__(self, limit: int = 1) -> None:
        self.snapshot = Snapshot()
        self.observer = Observer(self.snapshot, cast(WorkQueue[Key], Ignoring()))
        self.woken: list[str] = []
        self.gate = self.observer.gate = Gate(lambda key: self.woken.append(key.name))
        self.limit = limit
        self.version = 0

    def _sees(self, item: Json) -> None:
        self.version += 1
        metadata = {"namespace": "shop", "resourceVersion": str(self.version), **item["metadata"]}
        self.observer.observe({**item, "metadata": {"uid": metadata["name"], **metadata}})

    def scenario(self, name: str, namespace: str = "shop", status: Json | None = None, **spec: Any) -> Key:
        reference = {"name": "shared", "namespace": "shop"}
        metadata = {"name": name, "namespace": namespace}
        self._sees(
            {
                "kind": SCENARIO,
                "metadata": metadata,
                "spec": {"heavyModelRef": reference, **spec},
                "status": status or {},
            }
        )
        return Key(SCENARIO, namespace, name)

    def job(self, owner: Key, role: str = "prepare", *, over: bool = False, suspended: bool = False, **labels: str):
        conditions = [{"type": "Complete", "status": "True"}] if over else []
        self._sees(
            {
                "kind": "Job",
                "metadata": {
                    "name": f"{owner.name}-{role}",
                    "namespace": owner.namespace,
                    "labels": {"longtail.dev/role": role, **labels},
                    "ownerReferences": [owned_by(owner)],
                },
                "spec": {"suspend": suspended},
                "status": {"conditions": conditions},
            }
        )

    def search(self, owner: Key, reason: str | None = None, *, suspended: bool = False) -> Key:
        conditions = [{"type": "Ready", "status": "False", "reason": reason}] if reason else []
        self._sees(
            {
                "kind": SEARCH,
                "metadata": {"name": f"{owner.name}-search", "ownerReferences": [owned_by(owner)]},
                "spec": {"targetRef": {"kind": SCENARIO, "name": owner.name}, "suspend": suspended},
                "status": {"conditions": conditions},
            }
        )
        return Key(SEARCH, "shop", f"{owner.name}-search")

    def admits(self, scenario: Key, started: str | None = None) -> bool:
        return self.gate.admits(scenario, MODEL, self.limit, started)

    def turned_away(self, scenario: Key, started: str) -> None:
        assert not self.admits(scenario, started)
        self.gate.settle(scenario, started)

    def works(self, scenario: Key) -> None:
        self.gate.claim(scenario)
        self.job(scenario)
        self.gate.settle(scenario, None)


def owned_by(owner: Key) -> Json:
    return {"apiVersion": "longtail.dev/v1alpha1", "kind": owner.kind, "name": owner.name, "controller": True}


@pytest.fixture
def shop() -> Shop:
    return Shop()


class Ignoring:
    """A queue that nobody works on."""

    def add(self, key: Key) -> None: ...

    def add_after(self, key: Key, seconds: float) -> None: ...


def test_a_place_claimed_a_moment_ago_counts_before_any_watch_has_seen_its_job(shop: Shop):
    first, second = shop.scenario("a"), shop.scenario("b")
    assert shop.admits(second)
    shop.gate.claim(first)
    assert not shop.admits(second)


def test_a_place_whose_job_could_not_be_made_goes_to_who_is_next(shop: Shop):
    first, second = shop.scenario("a"), shop.scenario("b")
    shop.gate.claim(first)
    shop.turned_away(second, "2026-01-01T00:00:00Z")
    shop.gate.settle(first, None)
    assert shop.woken == ["b"]
    assert shop.admits(second, "2026-01-01T00:00:00Z")


def test_a_suspended_scenario_holds_no_place_whatever_step_its_status_names(shop: Shop):
    suspended = shop.scenario("a", status={"run": {"number": 1, "step": "prepare"}}, suspend=True)
    shop.job(suspended, suspended=True)
    assert shop.admits(shop.scenario("b"))


def test_whose_job_is_suspended_gives_its_place_to_who_waits(shop: Shop):
    first, second = shop.scenario("a"), shop.scenario("b")
    shop.works(first)
    shop.turned_away(second, "2026-01-01T00:00:00Z")
    shop.job(first, suspended=True)
    assert shop.woken == ["a"], "it may go on with its next step first"
    shop.gate.settle(first, None)
    assert shop.woken == ["a", "b"]


def test_a_job_that_a_queue_keeps_waiting_holds_its_place(shop: Shop):
    first = shop.scenario("a")
    shop.job(first, suspended=True, **{"kueue.x-k8s.io/queue-name": "gpus"})
    assert not shop.admits(shop.scenario("b"))
    shop.scenario("a", suspend=True)
    shop.gate.settle(first, None)
    assert shop.admits(shop.scenario("b"))


def test_between_two_steps_a_run_keeps_its_place(shop: Shop):
    first, second = shop.scenario("a"), shop.scenario("b")
    shop.works(first)
    shop.turned_away(second, "2025-01-01T00:00:00Z")
    shop.job(first, over=True)
    assert not shop.admits(second, "2025-01-01T00:00:00Z")
    assert shop.admits(first, "2026-01-01T00:00:00Z")


def test_a_check_needs_no_place(shop: Shop):
    shop.job(shop.scenario("a"), "check")
    assert shop.admits(shop.scenario("b"))


def test_a_search_holds_its_scenarios_place_before_and_while_it_has_a_job(shop: Shop):
    first, second = shop.scenario("a"), shop.scenario("b")
    search = shop.search(first)
    assert not shop.admits(second)
    shop.search(first, "TargetNotFound")
    shop.gate.settle(first, None)
    assert shop.admits(second), "it makes no Job before a person acts"
    shop.job(search, "search")
    assert not shop.admits(second)


def test_who_can_not_go_on_leaves_the_line(shop: Shop):
    names = ("a", "b", "c")
    first, blocked, third = (shop.scenario(name) for name in names)
    shop.works(first)
    shop.turned_away(blocked, "2026-01-01T00:00:00Z")
    shop.turned_away(third, "2026-01-02T00:00:00Z")
    shop.gate.settle(blocked, None)
    shop.observer.forget(cast(Json, shop.snapshot.get(Key("Job", "shop", "a-prepare"))))
    shop.gate.settle(first, None)
    assert shop.woken == ["a", "c"]


def test_who_is_deleted_leaves_the_line_and_its_place(shop: Shop):
    first, second, third = (shop.scenario(name) for name in "abc")
    shop.works(first)
    shop.turned_away(second, "2026-01-01T00:00:00Z")
    shop.turned_away(third, "2026-01-02T00:00:00Z")
    for gone in (second, first):
        shop.observer.forget(cast(Json, shop.snapshot.get(gone)))
    assert shop.woken == ["c"]


def test_a_freed_place_wakes_only_who_is_next(shop: Shop):
    shop.limit = 2
    working = [shop.scenario("v"), shop.scenario("w")]
    for each in working:
        shop.works(each)
    for number, name in enumerate("dbca"):
        shop.turned_away(shop.scenario(name), f"2026-01-0{number + 1}T00:00:00Z")
    shop.job(working[0], over=True)
    shop.woken.clear()
    shop.gate.settle(working[0], None)
    assert shop.woken == ["d"]
    shop.job(working[1], over=True)
    shop.woken.clear()
    shop.gate.settle(working[1], None)
    assert shop.woken == ["d", "b"]


def test_after_a_restart_who_waited_longest_is_next(shop: Shop):
    waits = [{"type": "DataPrepared", "status": "False", "reason": "WaitingForPlace"}]
    for name, day in (("a", 2), ("b", 1)):
        run = {"number": 1, "started": f"2026-01-0{day}T00:00:00Z"}
        shop.scenario(name, status={"run": run, "conditions": waits})
    assert not shop.admits(Key(SCENARIO, "shop", "a"), "2026-01-02T00:00:00Z")
    assert shop.admits(Key(SCENARIO, "shop", "b"), "2026-01-01T00:00:00Z")


def test_the_message_names_three_of_the_own_namespace_and_counts_the_others(shop: Shop):
    shop.limit = 6
    for name in ("d", "a", "c", "b"):
        shop.works(shop.scenario(name))
    for name in ("x", "y"):
        shop.works(shop.scenario(name, namespace="elsewhere"))
    late = shop.scenario("late")
    shop.turned_away(late, "2026-01-01T00:00:00Z")
    assert shop.gate.told(late, MODEL) == "held by a, b, c, 3 other Scenarios"


@settings(deadline=None)
@given(count=st.integers(1, 12), limit=st.integers(1, 5), seed=st.integers(0, 1 << 30))
def test_whatever_happens_no_more_than_the_limit_work_and_all_come_to_their_end(count: int, limit: int, seed: int):
    """Scenarios are looked at when they are woken and never otherwise, and are suspended, fail and go at random."""
    chance = random.Random(seed)
    shop = Shop(limit)
    waiting = [shop.scenario(f"s{number:02d}") for number in range(count)]
    started = {key: f"2026-01-{number + 1:02d}T00:00:00Z" for number, key in enumerate(waiting)}
    chance.shuffle(waiting)
    shop.woken = [key.name for key in waiting]
    working: set[Key] = set()
    ended: set[Key] = set()
    for _ in range(1000):
        assert len(working) <= limit
        if shop.woken:
            key = Key(SCENARIO, "shop", shop.woken.pop(chance.randrange(len(shop.woken))))
            if key in ended | working:
                shop.gate.settle(key, None)
            elif not shop.admits(key, started[key]):
                shop.gate.settle(key, started[key])
            elif chance.random() < 0.2:  # its Job is refused, and it is tried again
                shop.gate.claim(key)
                shop.gate.settle(key, None)
                shop.woken.append(key.name)
            else:
                shop.works(key)
                working.add(key)
        elif working:
            key = chance.choice(sorted(working))
            working.discard(key)
            ended.add(key)
            if chance.random() < 0.5:
                shop.job(key, over=True)
            else:
                shop.observer.forget(cast(Json, shop.snapshot.get(key)))
        else:
            break
    assert ended == set(started)


class Refuses:
    """An API server that refuses every status."""

    async def apply_status(self, item: Json) -> Json:
        raise KubeError(403, "Forbidden", "no")

    async def create(self, item: Json) -> bool:
        return True


def test_one_whose_status_is_refused_keeps_nobody_else_from_the_place():
    async def told() -> bool:
        plane = ControlPlane(cast(KubeApi, Refuses()), SETTINGS)
        raw: Json = {
            "apiVersion": "longtail.dev/v1alpha1",
            "kind": SCENARIO,
            "metadata": {"name": "a", "namespace": "shop", "uid": "a", "resourceVersion": "1"},
            "spec": {"heavyModelRef": {"name": "shared"}},
        }
        plane.observer.observe(raw)
        key = Key(SCENARIO, "shop", "a")
        plane.observer.gate.admits(key, MODEL, 1, None)
        plane.observer.gate.claim(key)
        with pytest.raises(KubeError):
            await plane.reconciler.reconcile(key)
        return plane.observer.gate.admits(Key(SCENARIO, "shop", "b"), MODEL, 1, None)

    assert asyncio.run(told())
