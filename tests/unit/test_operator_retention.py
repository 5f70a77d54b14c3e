"""When the operator removes history, and what it spares."""

import asyncio
from typing import cast

from longtail_operator.kubernetes.objects import Json, Key
from longtail_operator.meta_update.garbage import RetentionRule
from longtail_operator.stores.retention import CONCURRENT_COLLECTIONS, Retention, versions_in_use
from longtail_store import Store, StoreUnreachable
from tests.unit.operator_builders import MODEL_KEY, a_heavy_model

RUNNING: Json = {"kind": "Scenario", "status": {"run": {"number": 3, "baseVersion": 7}}}
NEW: Json = {"kind": "Scenario", "status": {"run": {"number": 1}}}
NOWHERE = cast(Store, None)


def test_the_base_versions_of_runs_are_spared():
    assert versions_in_use([RUNNING, NEW, {"kind": "Scenario"}]) == [7]


def test_history_is_looked_at_once_an_hour_even_where_the_store_does_not_answer():
    calls: list[tuple[int, list[int]]] = []

    def refuse(store: Store, rule: RetentionRule, in_use: list[int]) -> list[str]:
        calls.append((rule.versions, in_use))
        raise StoreUnreachable("no answer")

    async def story() -> None:
        retention = Retention(refuse)
        spec = a_heavy_model(retention={"versions": 5})
        for _ in range(3):
            retention.look(MODEL_KEY, spec, NOWHERE, [RUNNING])
        await retention.close()

    asyncio.run(story())
    assert calls == [(5, [7])]


def test_few_collections_run_at_once_and_the_others_have_their_turn_later():
    calls: list[int] = []

    def collect(store: Store, rule: RetentionRule, in_use: list[int]) -> list[str]:
        calls.append(rule.versions)
        return []

    async def story() -> None:
        retention = Retention(collect)
        for _ in range(2):
            for number in range(CONCURRENT_COLLECTIONS + 2):
                spec = a_heavy_model(retention={"versions": 5 + number})
                retention.look(Key("HeavyModel", "shop", f"m{number}"), spec, NOWHERE, [])
            await retention.close()
            assert len(calls) >= CONCURRENT_COLLECTIONS

    asyncio.run(story())
    assert sorted(calls) == [5 + number for number in range(CONCURRENT_COLLECTIONS + 2)]
