"""So many Scenarios of so many HeavyModels, watched, and what a measurement does to them."""

import asyncio
import itertools
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from benchmarks.operator.api_server import watch
from longtail_operator.kubernetes.objects import HEAVY_MODEL, SCENARIO, Json, Key, entries, section
from tests.operator.place import Place

CONCURRENT_RUNS = 1000
OTHER_CHANGES = 20
"""Scenarios that are touched each second, beside the one that is measured."""
_WRITERS = 8
_PATIENCE_SECONDS = 1800.0


class Fleet:
    """The Scenarios of one namespace, as a watch of ours shows them."""

    def __init__(self, place: Place, scenarios: int, heavy_models: int) -> None:
        self.place = place
        self.models = [f"model-{number}" for number in range(heavy_models)]
        self.names = [f"scenario-{number}" for number in range(scenarios)]
        self._seen: dict[Key, Json] = {}
        self._unready: set[Key] = set()
        self._changed = asyncio.Event()
        self.touched = 0
        """How often a Scenario was touched by `touch_for_ever`."""

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Know, as long as it lasts, what there is."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._follow(kind)) for kind in (HEAVY_MODEL, SCENARIO)]
            yield
            for task in tasks:
                task.cancel()

    async def _follow(self, kind: str) -> None:
        async for _, item in watch(kind, self.place.namespace):
            key = Key(kind, self.place.namespace, item["metadata"]["name"])
            self._seen[key] = item
            (self._unready.discard if _is_ready(item) else self._unready.add)(key)
            self._changed.set()

    async def create_models(self) -> None:
        """HeavyModels that never fold, each with one Scenario for its first version."""
        for name in self.models:
            folder = self.place.folder / "store" / name
            await asyncio.to_thread(Path.mkdir, folder)
            await self.place.heavy_model(
                name,
                initialization={"scenarioSelector": {"matchLabels": {"pool": name}}},
                metaUpdate={"bufferSize": 10_000, "flushIntervalSeconds": 604_800},
                trainer={"maxConcurrentRuns": CONCURRENT_RUNS},
                storage={"uri": folder.as_uri()},
            )
            await self.place.scenario(f"first-of-{name}", {"pool": name}, heavyModelRef={"name": name})

    async def create_scenarios(self, **spec: object) -> None:
        """The Scenarios, spread evenly over the HeavyModels."""
        waiting = list(zip(self.names, itertools.cycle(self.models), strict=False))[::-1]

        async def write() -> None:
            while waiting:
                name, model = waiting.pop()
                await self.place.scenario(name, heavyModelRef={"name": model}, **spec)

        await asyncio.gather(*(write() for _ in range(_WRITERS)))

    async def models_are_ready(self) -> None:
        await self.until(lambda: len(self._seen) == 2 * len(self.models) and not self._unready)

    async def all_is_ready(self) -> None:
        await self.until(lambda: len(self._seen) == 2 * len(self.models) + len(self.names) and not self._unready)

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until `holds`, which is asked after each event."""
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while not holds():
                self._changed.clear()
                await self._changed.wait()

    async def change(self, name: str) -> int:
        """Change a field of a Scenario that starts no run; its new generation."""
        spec = section(self._seen[self.key(name)], "spec")
        other = "Once" if section(spec, "light").get("search") != "Once" else "Always"
        changed = await self.place.api.merge(self.key(name), {"spec": {"light": {"search": other}}})
        return int(changed["metadata"]["generation"])

    async def told(self, name: str, generation: int) -> None:
        """Wait until the status of a Scenario is one of this generation."""
        key = self.key(name)
        await self.until(lambda: section(self._seen[key], "status").get("observedGeneration", 0) >= generation)

    async def seconds_of_a_change(self) -> float:
        """From the request for a change of any Scenario to the event of its status."""
        name = random.choice(self.names)
        started = time.monotonic()
        await self.told(name, await self.change(name))
        return time.monotonic() - started

    async def touch_for_ever(self) -> None:
        """Have Scenarios change, so many a second, in a way that changes nothing of their status."""
        started = time.monotonic()
        for number in itertools.count():
            await asyncio.sleep(max(0.0, started + number / OTHER_CHANGES - time.monotonic()))
            name = random.choice(self.names)
            await self.place.api.merge(self.key(name), {"metadata": {"annotations": {"touched": str(number)}}})
            self.touched += 1

    def key(self, name: str) -> Key:
        return Key(SCENARIO, self.place.namespace, name)


def _is_ready(item: Json) -> bool:
    status = section(item, "status")
    return any(one["type"] == "Ready" and one["status"] == "True" for one in entries(status, "conditions"))
