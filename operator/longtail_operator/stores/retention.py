"""Removing what of a store's history nobody needs any more: once an hour per HeavyModel, apart from everything else."""

import asyncio
import logging
from collections.abc import Callable
from datetime import timedelta

from longtail_api.heavy_model import HeavyModelSpec
from longtail_api.heavy_model import Retention as KeptHistory
from longtail_api.store_layout import DATA_PREFIX, MODELS_PREFIX, RUNS_PREFIX
from longtail_operator.kubernetes.objects import Key
from longtail_operator.meta_update.garbage import RetentionRule, collect
from longtail_operator.stores.run_history import removable
from longtail_operator.stores.usage import Usage
from longtail_store import Store, StoreError

log = logging.getLogger(__name__)

INTERVAL_SECONDS = 3600.0
CONCURRENT_COLLECTIONS = 4
LIMIT = 5_000
"""So many objects of runs go in one pass at most; where there are more, the next one follows soon."""
NEXT_SECONDS = 60.0


class Retention:
    """At most one collection at a time per HeavyModel."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._next: dict[Key, float] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def look(self, key: Key, spec: HeavyModelSpec, store: Store, usage: Callable[[], Usage]) -> None:
        """Start a collection, where the last one is an hour ago. What fails is tried again an hour later.

        usage: what is in use at the moment of the call.
        """
        now = asyncio.get_running_loop().time()
        if now < self._next.get(key, 0.0) or len(self._tasks) >= CONCURRENT_COLLECTIONS:
            # A collection never waits: what it must spare is what is in use when it starts.
            return
        self._next[key] = now + INTERVAL_SECONDS
        task = asyncio.create_task(self._run(key, store, spec.retention, usage), name=f"retention {key}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Wait for what is under way: a thread can't be stopped, and each removal is short."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _run(self, key: Key, store: Store, kept: KeptHistory, usage: Callable[[], Usage]) -> None:
        try:
            removed = await self._collect(key, store, kept, usage)
        except StoreError as error:
            log.warning("nothing more was collected: %s", error, extra={"key": str(key)})
            return
        except Exception:  # the task has no other reader
            log.exception("the collection failed", extra={"key": str(key)})
            return
        if removed:
            log.info("removed %d objects that nothing needs", removed, extra={"key": str(key)})

    async def _collect(self, key: Key, store: Store, kept: KeptHistory, usage: Callable[[], Usage]) -> int:
        """Remove what may go; how many objects that were."""
        rule = RetentionRule(kept.versions, timedelta(seconds=kept.orphans_seconds))
        removed = len(await asyncio.to_thread(collect, store, rule, usage().versions))
        newest = {DATA_PREFIX: kept.data_versions, RUNS_PREFIX: kept.runs, MODELS_PREFIX: kept.light_versions}
        found = await asyncio.to_thread(removable, store, usage(), newest, self._limit)
        # To list them may have taken minutes, in which a person may have pinned one of them.
        in_use = usage().folders
        keys = [name for name, folder in found.items() if folder not in in_use]
        await asyncio.to_thread(store.delete, *keys)
        if len(found) >= self._limit:
            self._next[key] = asyncio.get_running_loop().time() + NEXT_SECONDS
        return removed + len(keys)
