"""When the operator removes history, and what it spares."""

import asyncio
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from longtail_operator.kubernetes.objects import Json, Key
from longtail_operator.kubernetes.snapshot import Snapshot
from longtail_operator.stores.retention import CONCURRENT_COLLECTIONS, Retention
from longtail_operator.stores.usage import Usage, usage_of
from longtail_store import Chain, Store, StoreUnreachable
from longtail_store.file_store import FileStore
from tests.store.faults import Fault, FaultyStore, World
from tests.store.small_model import commit_generation, parameters
from tests.unit.operator_builders import MODEL_KEY, a_heavy_model

OWNER = "shop.spring.01234567"
NOTHING_IN_USE = Usage(frozenset(), frozenset({OWNER}), frozenset())


class Aged(World):
    """A store of which everything is a day old, and what was asked of it."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.elapsed = timedelta(days=1)
        self.asked: list[str] = []

    def view(self, fault: Fault = Fault.NONE) -> Store:
        def decide(call: str, key: str) -> Fault:
            self.asked.append(call)
            return fault

        return FaultyStore(self, decide)


@pytest.fixture
def world(tmp_path: Path) -> Aged:
    store = FileStore(tmp_path / "store")
    commit_generation(store, parameters(0))
    return Aged(store)


def put(world: Aged, *keys: str) -> None:
    for key in keys:
        world.store.put_if_absent(key, b"1")


def left(world: Aged, *prefixes: str) -> list[str]:
    return [found.key for prefix in prefixes for found in world.store.list(prefix)]


def collected(world: Aged, usages: Iterable[Usage] = (), limit: int = 100, **kept: int) -> None:
    """One pass of a collection; each look at what is in use finds the next of `usages`, and then nothing in use."""
    looks = iter(usages)

    async def story() -> None:
        retention = Retention(limit)
        spec = a_heavy_model(retention=kept)
        retention.look(MODEL_KEY, spec, world.view(), lambda: next(looks, NOTHING_IN_USE))
        await retention.close()

    asyncio.run(story())


def test_the_newest_data_runs_and_light_versions_of_a_scenario_stay(world: Aged):
    for number in range(8, 12):
        put(world, f"data/{OWNER}/d{number}/manifest.json", f"data/{OWNER}/d{number}/part-support-00000.parquet")
        put(world, f"runs/{OWNER}/{number}/adapt/heavy.safetensors", f"models/{OWNER}/v{number}/model.onnx")
    collected(world, dataVersions=1, runs=2, lightVersions=3)
    assert left(world, "data/", "runs/", "models/") == [
        f"data/{OWNER}/d11/manifest.json",
        f"data/{OWNER}/d11/part-support-00000.parquet",
        f"runs/{OWNER}/10/adapt/heavy.safetensors",
        f"runs/{OWNER}/11/adapt/heavy.safetensors",
        f"models/{OWNER}/v10/model.onnx",
        f"models/{OWNER}/v11/model.onnx",
        f"models/{OWNER}/v9/model.onnx",
    ]


def test_what_comes_into_use_while_the_store_is_listed_stays(world: Aged):
    put(world, *(f"models/{OWNER}/v{number}/model.onnx" for number in (1, 2, 3)))
    pinned = Usage(frozenset(), frozenset({OWNER}), frozenset({f"models/{OWNER}/v1"}))
    collected(world, [NOTHING_IN_USE, NOTHING_IN_USE, pinned], lightVersions=1)
    assert left(world, "models/") == [f"models/{OWNER}/v1/model.onnx", f"models/{OWNER}/v3/model.onnx"]


def test_of_whom_the_cluster_does_not_know_everything_stays(world: Aged):
    keys = [f"data/shop.gone.76543210/d{number}/manifest.json" for number in range(1, 9)]
    put(world, *keys)
    collected(world, dataVersions=1)
    assert left(world, "data/") == keys


def test_the_pools_of_the_generations_in_use_stay(world: Aged):
    second = commit_generation(world.store, parameters(1)).version
    pools = [chain_version.pool for chain_version in (Chain(world.store).version(1), second)]
    assert all(pools)
    owners = {manifest.split("/")[1] for pool in pools for manifest in pool}
    put(world, *(manifest for pool in pools for manifest in pool))
    put(world, *(f"data/{owner}/d99/manifest.json" for owner in owners))
    usage = Usage(frozenset({1, 77}), frozenset(owners), frozenset())
    collected(world, [usage] * 3, dataVersions=1)
    assert {manifest for pool in pools for manifest in pool} <= set(left(world, "data/"))


def test_a_store_without_a_version_loses_nothing(tmp_path: Path):
    world = Aged(FileStore(tmp_path / "store"))
    keys = [f"data/{OWNER}/d{number}/manifest.json" for number in range(1, 9)]
    put(world, *keys)
    collected(world, dataVersions=1)
    assert left(world, "data/") == keys


def test_one_pass_removes_so_much_and_the_next_one_follows_soon(world: Aged, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("longtail_operator.stores.retention.NEXT_SECONDS", 0.0)
    owners = [f"shop.s{number}.01234567" for number in range(3)]
    for owner in owners:
        put(world, *(f"data/{owner}/d{number}/manifest.json" for number in (1, 2)))
    usage = Usage(frozenset(), frozenset(owners), frozenset())

    async def story() -> list[int]:
        retention, counts = Retention(limit=1), [6]
        while len(counts) < 4:
            retention.look(MODEL_KEY, a_heavy_model(retention={"dataVersions": 1}), world.view(), lambda: usage)
            await retention.close()
            counts.append(len(left(world, "data/")))
        return counts

    assert asyncio.run(story()) == [6, 5, 4, 3]


def test_history_is_looked_at_once_an_hour_even_where_the_store_does_not_answer(world: Aged):
    async def story() -> None:
        retention = Retention()
        for _ in range(3):
            retention.look(MODEL_KEY, a_heavy_model(), world.view(Fault.UNREACHABLE), lambda: NOTHING_IN_USE)
            await retention.close()

    with pytest.raises(StoreUnreachable):
        world.view(Fault.UNREACHABLE).now()
    world.asked.clear()
    asyncio.run(story())
    assert len(world.asked) == 1


def test_few_collections_run_at_once_and_the_others_have_their_turn_later(world: Aged):
    looked: set[str] = set()

    def usage(name: str) -> Usage:
        looked.add(name)
        return NOTHING_IN_USE

    async def story() -> None:
        retention, turns = Retention(), list[int]()
        names = [f"m{number}" for number in range(CONCURRENT_COLLECTIONS + 2)]
        for _ in range(2):
            for name in names:
                retention.look(
                    Key("HeavyModel", "shop", name), a_heavy_model(), world.view(), lambda name=name: usage(name)
                )
            await retention.close()
            turns.append(len(looked))
        assert turns == [CONCURRENT_COLLECTIONS, CONCURRENT_COLLECTIONS + 2]

    asyncio.run(story())


def seen(*items: Json) -> Usage:
    snapshot = Snapshot()
    for item in items:
        snapshot.observe(item)
    return usage_of(snapshot, MODEL_KEY)


def a_resource(kind: str, name: str, owner: Json | None = None, **parts: Any) -> Json:
    metadata: Json = {"namespace": "shop", "name": name, "uid": "01234567-89", "resourceVersion": "1"}
    if owner is not None:
        reference = {"kind": owner["kind"], "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"]}
        metadata["ownerReferences"] = [{"apiVersion": "longtail.dev/v1alpha1", "controller": True, **reference}]
    return {"kind": kind, "metadata": metadata, **parts}


def spring(**parts: Any) -> Json:
    spec = {"heavyModelRef": {"name": "shared"}, **parts.pop("spec", {})}
    return a_resource("Scenario", "spring", spec=spec, **parts)


RUNNING = {"run": {"number": 9, "baseVersion": 7, "dataVersion": "d8"}}


def test_what_a_scenarios_run_stands_on_is_in_use():
    usage = seen(spring(status=RUNNING))
    assert usage.versions == {7}
    assert usage.owners == {OWNER, "agnostic"}
    assert {f"runs/{OWNER}/9", f"data/{OWNER}/d8", f"data/{OWNER}/d9", f"models/{OWNER}/v9"} <= usage.folders


@pytest.mark.parametrize(
    "item",
    [
        spring(status={"serving": {"stable": "v3"}}),
        spring(status={"serving": {"candidate": "v3"}}),
        spring(status={"lineage": {"lightVersion": "v3"}}),
        spring(spec={"serving": {"pinnedVersion": "v3"}}),
    ],
    ids=["serves", "is checked", "served last", "is pinned"],
)
def test_a_light_version_that_serves_or_may_is_in_use(item: Json):
    assert f"models/{OWNER}/v3" in seen(item).folders


def test_a_light_version_that_still_answers_its_last_requests_is_in_use():
    old = a_resource("Deployment", "spring-v3", owner=spring())
    old["metadata"]["labels"] = {"longtail.dev/version": "v3"}
    assert f"models/{OWNER}/v3" in seen(spring(), old).folders


def test_the_run_whose_search_a_later_one_has_taken_over_is_in_use():
    steps = [{"name": "search", "resultKey": f"runs/{OWNER}/2/search/architecture.json"}]
    assert f"runs/{OWNER}/2" in seen(spring(status={"run": {"number": 9, "steps": steps}})).folders
    search = a_resource(
        "LightModelSearch", "spring-ab", spec={"targetRef": {"kind": "Scenario", "name": "spring"}},
        status={"resultKey": f"runs/{OWNER}/3/search/architecture.json"},
    )  # fmt: skip
    assert f"runs/{OWNER}/3" in seen(spring(), search).folders


def test_what_a_step_was_told_to_read_is_in_use():
    config = '{"manifests":["data/shop.autumn.76543210/d4/manifest.json"],"heavyResult":"runs/x/2/adapt/result.json"}'
    model = a_resource("HeavyModel", "shared", spec={"storage": {"uri": "s3://data/models"}})
    for owner in (model, spring()):
        told = a_resource("ConfigMap", "step", owner=owner, data={"config.json": config}, immutable=True)
        assert {"data/shop.autumn.76543210/d4", "runs/x/2"} <= seen(model, spring(), told).folders


def test_the_pictures_that_a_status_shows_are_in_use():
    model = a_resource("HeavyModel", "shared", spec={"storage": {"uri": "s3://data/runs"}})
    shown = [{"name": "cell", "uri": f"s3://data/runs/runs/{OWNER}/4/search/pictures/cell.svg"}]
    assert f"runs/{OWNER}/4" in seen(model, spring(status={"pictures": shown})).folders


@pytest.mark.parametrize("item", [spring(), spring(status=RUNNING)], ids=["lost its status", "is being deleted"])
def test_nothing_of_a_scenario_is_looked_through_that(item: Json):
    if item.get("status"):
        item = {**item, "metadata": {**item["metadata"], "deletionTimestamp": "2026-06-01T12:00:00Z"}}
    assert seen(item).owners == {"agnostic"}
