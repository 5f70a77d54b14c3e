"""What a decision sees: read once for each state of an object."""

from typing import Any

import pytest

from longtail_api.scenario import ScenarioSpec
from longtail_operator import reconcile, worlds
from longtail_operator.heavy_model.plan import plan_heavy_model
from longtail_operator.kubernetes.objects import HEAVY_MODEL, SCENARIO, Json, Key
from longtail_operator.kubernetes.snapshot import Snapshot
from longtail_operator.scenario import world as scenario_world
from longtail_operator.scenario.world import current_manifest, schema_hash
from longtail_operator.stores.view import StoreView
from tests.unit.heavy_model_story import a_version
from tests.unit.operator_builders import NOON, SETTINGS, a_heavy_model
from tests.unit.simulated_cluster import Cluster

MODEL = Key(HEAVY_MODEL, "shop", "shared")


def a_shop(count: int) -> Snapshot:
    snapshot = Snapshot()
    snapshot.observe(
        {
            "kind": HEAVY_MODEL,
            "metadata": {"name": "shared", "namespace": "shop", "uid": "m", "resourceVersion": "1"},
            "spec": a_heavy_model().to_json_dict(),
        }
    )
    for number in range(count):
        snapshot.observe(a_scenario(f"s{number}", 1))
    return snapshot


def a_scenario(name: str, version: int, **spec: Any) -> Json:
    return {
        "kind": SCENARIO,
        "metadata": {"name": name, "namespace": "shop", "uid": name, "resourceVersion": str(version)},
        "spec": {"heavyModelRef": {"name": "shared"}, **spec},
        "status": {"data": {"version": "d1", "run": 1, "sourceHash": "x"}},
    }


def look(snapshot: Snapshot) -> worlds.HeavyModelWorld:
    raw = snapshot.get(MODEL)
    assert raw is not None
    world = worlds.heavy_model_world(raw, snapshot, SETTINGS, None)
    for scenario in world.members.scenarios:
        current_manifest(scenario, world.view)
    return world


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is computed from here on."""
    done: list[str] = []
    identity = scenario_world.identity
    validate = ScenarioSpec.model_validate

    def counted_identity(**parts: object) -> str:
        done.append("hash")
        return identity(**parts)

    def counted_validate(raw: Json) -> ScenarioSpec:
        done.append("spec")
        return validate(raw)

    monkeypatch.setattr(scenario_world, "identity", counted_identity)
    monkeypatch.setattr(ScenarioSpec, "model_validate", counted_validate)
    return done


def test_a_look_at_a_heavy_model_reads_only_the_scenarios_that_have_changed(counted: list[str]):
    snapshot = a_shop(20)
    look(snapshot)
    counted.clear()
    snapshot.observe(a_scenario("s3", 2, suspend=True))
    assert [one.key.name for one in look(snapshot).members.scenarios if one.spec.suspend] == ["s3"]
    assert counted == ["spec", "hash"]


def test_a_status_that_moves_has_no_spec_read_anew(counted: list[str]):
    snapshot = a_shop(2)
    look(snapshot)
    counted.clear()
    moved = a_scenario("s1", 2)
    moved["status"] = {}
    snapshot.observe(moved)
    assert [one.status.data is None for one in look(snapshot).members.scenarios] == [False, True]
    assert counted == []


def test_another_schema_has_every_hash_made_anew(counted: list[str]):
    snapshot = a_shop(3)
    look(snapshot)
    counted.clear()
    changed = {**(snapshot.get(MODEL) or {}), "spec": a_heavy_model(allowedNamespaces=["x"]).to_json_dict()}
    changed["metadata"] = {**changed["metadata"], "resourceVersion": "2"}
    snapshot.observe(changed)
    look(snapshot)
    assert counted == ["hash"] * 3


def test_what_was_read_of_an_object_that_is_gone_is_not_the_next_ones():
    snapshot = a_shop(1)
    look(snapshot)
    gone = snapshot.get(Key(SCENARIO, "shop", "s0"))
    assert gone is not None
    snapshot.forget(gone)
    snapshot.observe({**a_scenario("s0", 9, suspend=True), "metadata": {**gone["metadata"], "uid": "new"}})
    assert [one.spec.suspend for one in look(snapshot).members.scenarios] == [True]


def test_a_heavy_model_that_stands_has_its_scenarios_counted_and_reads_none(counted: list[str]):
    snapshot = a_shop(20)
    snapshot.observe(a_scenario("s3", 2, suspend=True))
    leaving = a_scenario("s4", 2)
    leaving["metadata"]["deletionTimestamp"] = "2026-06-01T12:00:00Z"
    snapshot.observe(leaving)
    foreign = a_scenario("s21", 1)
    foreign["metadata"]["namespace"], foreign["spec"]["heavyModelRef"]["namespace"] = "elsewhere", "shop"
    snapshot.observe(foreign)
    snapshot.forget(a_scenario("s5", 1))
    raw = {**(snapshot.get(MODEL) or {}), "status": {"pool": ["shop/s0"]}}
    version = a_version(digest=schema_hash(a_heavy_model()))
    counted.clear()
    plan = plan_heavy_model(worlds.heavy_model_world(raw, snapshot, SETTINGS, StoreView(head=version)), NOON)
    assert plan.status["scenarios"] == 18, "without the one that leaves, the one that is gone, and the one not allowed"
    assert counted == ["hash"], "of its own schema"


def test_a_scenario_that_is_looked_at_again_costs_one_world_and_no_look_at_its_heavy_model(
    monkeypatch: pytest.MonkeyPatch,
):
    cluster = Cluster()
    try:
        cluster.secret(True)
        cluster.heavy_model()
        key = cluster.scenario("spring", serving={"slo": {"p99Milliseconds": 20}}, budget={"maxFlops": "250k"})
        cluster.passes(600)
        built = counted_worlds(monkeypatch)
        cluster.server.edit(key, lambda item: item["metadata"].update(annotations={"touched": "yes"}))
        cluster.passes(20)
    finally:
        cluster.close()
    assert built == ["scenario_world"]


def counted_worlds(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The worlds that are built from here on."""
    built: list[str] = []

    def counting(name: str) -> None:
        build = getattr(worlds, name)

        def counted(*given: Any, **named: Any) -> Any:
            built.append(name)
            return build(*given, **named)

        monkeypatch.setattr(reconcile, name, counted)

    for name in ("scenario_world", "heavy_model_world", "search_world"):
        counting(name)
    return built
