"""Removing what of a store's history nobody needs any more: once an hour per HeavyModel, apart from everything else."""

import asyncio
import logging
from collections.abc import Callable
from datetime import timedelta

from longtail_api.heavy_model import HeavyModelSpec
from longtail_operator.kubernetes.objects import Json, Key, section
from longtail_operator.meta_update.garbage import RetentionRule, collect
from longtail_store import Store, StoreError

log = logging.getLogger(__name__)

INTERVAL_SECONDS = 3600.0
CONCURRENT_COLLECTIONS = 4
Collect = Callable[[Store, RetentionRule, list[int]], list[str]]


def versions_in_use(scenarios: list[Json]) -> list[int]:
    """Base versions of the Scenarios' current runs. A finished run counts: a person may still search from it."""
    found = {section(scenario, "status", "run").get("baseVersion") for scenario in scenarios}
    return sorted(version for version in found if isinstance(version, int))


class Retention:
    """At most one collection at a time per HeavyModel."""

    def __init__(self, collect: Collect = collect) -> None:
        self._collect = collect
        self._next: dict[Key, float] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def look(self, key: Key, spec: HeavyModelSpec, store: Store, scenarios: list[Json]) -> None:
        """Start a collection, where the last one is an hour ago. What fails is tried again an hour later."""
        now = asyncio.get_running_loop().time()
        if now < self._next.get(key, 0.0) or len(self._tasks) >= CONCURRENT_COLLECTIONS:
            # A collection never waits: what it must spare is what is in use when it starts.
            return
        self._next[key] = now + INTERVAL_SECONDS
        rule = RetentionRule(spec.retention.versions, timedelta(seconds=spec.retention.orphans_seconds))
        task = asyncio.create_task(self._run(key, store, rule, versions_in_use(scenarios)), name=f"retention {key}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Wait for what is under way: a thread can't be stopped, and each removal is short."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _run(self, key: Key, store: Store, rule: RetentionRule, in_use: list[int]) -> None:
        try:
            removed = await asyncio.to_thread(self._collect, store, rule, in_use)
        except StoreError as error:
            log.warning("nothing was collected: %s", error, extra={"key": str(key)})
            return
        except Exception:  # the task has no other reader
            log.exception("the collection failed", extra={"key": str(key)})
            return
        if removed:
            log.info("removed %d objects that nothing needs", len(removed), extra={"key": str(key)})
