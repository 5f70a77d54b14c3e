"""A store that hangs is told of, and keeps nobody waiting but its own."""

import asyncio
import socket
import threading
import time
from base64 import b64encode
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from longtail_operator.control_plane import ControlPlane
from longtail_operator.kubernetes.kube import KubeApi
from longtail_operator.kubernetes.objects import Json, Key, key_of
from longtail_operator.stores.questions import THREADS, NotYet, Questions
from tests.unit.operator_builders import SCHEMA, SETTINGS, TEMPORARY


class Accepting:
    """A server that takes connections, and never says a word."""

    def __init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.connections: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                self.connections.append(self.socket.accept()[0])
            except OSError:
                return

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.socket.getsockname()[1]}"

    def close(self) -> None:
        self.socket.close()
        for connection in self.connections:
            connection.close()


@pytest.fixture
def hanging() -> Iterator[Accepting]:
    server = Accepting()
    try:
        yield server
    finally:
        server.close()


class Statuses:
    """An API server with one Secret, that remembers the statuses it was given."""

    def __init__(self) -> None:
        self.known: dict[Key, Json] = {}
        self.objects: dict[Key, Json] = {}

    def make(self, plane: ControlPlane, item: Json) -> None:
        self.objects[key_of(item)] = item
        plane.observer.observe(item)

    async def get(self, key: Key) -> Json | None:
        entries = {"AWS_ACCESS_KEY_ID": b"id", "AWS_SECRET_ACCESS_KEY": b"key"}
        secret = {"data": {name: b64encode(value).decode() for name, value in entries.items()}}
        return secret if key.kind == "Secret" else None

    async def apply_status(self, item: Json) -> Json:
        self.known[key_of(item)] = item["status"]
        before = self.objects[key_of(item)]
        version = {"resourceVersion": str(int(before["metadata"]["resourceVersion"]) + 1)}
        after = {**before, "metadata": before["metadata"] | version, "status": item["status"]}
        self.objects[key_of(item)] = after
        return after

    async def create(self, item: Json) -> bool:
        return True

    async def apply(self, item: Json) -> Json:
        return item

    def condition(self, key: Key, type_: str) -> tuple[str, str, str]:
        for one in self.known.get(key, {}).get("conditions", []):
            if one["type"] == type_:
                return one["status"], one["reason"], one["message"]
        return "", "", ""


def a_resource(kind: str, name: str, **spec: Any) -> Json:
    return {
        "apiVersion": "longtail.dev/v1alpha1",
        "kind": kind,
        "metadata": {"name": name, "namespace": "shop", "uid": f"uid-{name}", "resourceVersion": "1", "generation": 1},
        "spec": spec,
    }


def a_model(name: str, storage: Json, **trainer: Any) -> Json:
    data = {"samples": "s3://warehouse/s"}
    return a_resource("HeavyModel", name, schema=SCHEMA, data=data, storage=storage, trainer=trainer)


def a_scenario(name: str, model: str) -> Json:
    return a_resource("Scenario", name, heavyModelRef={"name": model})


async def until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline, f"never: {what}"
        await asyncio.sleep(0.02)


def with_workers(story: Callable[[ControlPlane, Statuses], Awaitable[None]], **hub: float) -> None:
    async def run() -> None:
        api = Statuses()
        plane = ControlPlane(cast(KubeApi, api), replace(SETTINGS, allowed_stores=(TEMPORARY,)))
        for name, value in hub.items():
            setattr(plane.hub, f"_{name}", value)
        workers = [asyncio.create_task(plane.reconciler.work()) for _ in range(SETTINGS.workers)]
        try:
            await story(plane, api)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
            plane.hub.close()

    asyncio.run(run())


def hung_storage(server: Accepting) -> Json:
    return {"uri": "s3://bucket/p", "endpoint": server.url, "credentialsSecretRef": {"name": "s3"}}


def test_of_a_store_that_hangs_nobody_elses_scenario_hears(hanging: Accepting, tmp_path: Path):
    async def story(plane: ControlPlane, api: Statuses) -> None:
        api.make(plane, a_model("hung", hung_storage(hanging)))
        for number in range(24):
            api.make(plane, a_scenario(f"stuck-{number}", "hung"))
        await until(lambda: bool(hanging.connections), "the store that hangs is asked")
        mounted = {"volumeMounts": [{"name": "store", "mountPath": str(tmp_path)}]}
        api.make(plane, a_model("well", {"uri": tmp_path.as_uri()}, podTemplate=mounted))
        api.make(plane, a_scenario("free", "well"))
        free, well = Key("Scenario", "shop", "free"), Key("HeavyModel", "shop", "well")
        await until(lambda: api.condition(well, "StoreReady")[0] == "True", "the store that is well is read")
        await until(lambda: api.condition(free, "Ready")[1] not in ("", "Waiting"), "its Scenario is decided")
        assert api.condition(free, "Ready")[1] != "InvalidSpec"
        stuck = [Key("Scenario", "shop", f"stuck-{number}") for number in range(24)]
        await until(lambda: all(key in api.known for key in stuck), "the others are told what they wait for")
        assert {api.condition(key, "Ready")[1] for key in stuck} == {"Waiting"}
        assert sum(thread.name == "store" for thread in threading.enumerate()) <= 2 * THREADS, "two stores"

    with_workers(story)


def test_a_store_that_does_not_answer_in_time_is_told_to_be_away(hanging: Accepting):
    async def story(plane: ControlPlane, api: Statuses) -> None:
        api.make(plane, a_model("hung", hung_storage(hanging)))
        hung = Key("HeavyModel", "shop", "hung")
        await until(lambda: api.condition(hung, "StoreReady")[1] == "Pending", "it is being read")
        assert api.condition(hung, "StoreReady")[0] == "Unknown"
        await until(lambda: api.condition(hung, "StoreReady")[1] == "StoreUnreachable", "it is told")
        assert "s3://bucket/p" in api.condition(hung, "Ready")[2]
        assert "does not answer within 1 s" in api.condition(hung, "Ready")[2]

    with_workers(story, grace=0.1, patience=1.0)


ASKER = Key("Scenario", "shop", "spring")


def test_an_answer_that_came_late_wakes_who_asked_and_is_given_once():
    async def story() -> None:
        woken: list[Key] = []
        questions = Questions(woken.append, grace_seconds=0.01)
        gate = asyncio.Event()
        asked = 0

        async def question() -> int:
            nonlocal asked
            asked += 1
            await gate.wait()
            return asked

        assert isinstance(await questions.ask("q", ASKER, question), NotYet)
        assert isinstance(await questions.ask("q", ASKER, question), NotYet)
        gate.set()
        await until(lambda: woken == [ASKER], "the asker is woken")
        assert await questions.ask("q", ASKER, question) == 1
        assert not questions.is_asked("q"), "next time it is asked anew"

    asyncio.run(story())


def test_a_store_that_let_one_wait_lets_nobody_else_wait_until_it_answers():
    async def story() -> None:
        questions = Questions(grace_seconds=0.01)
        gate = asyncio.Event()
        await questions.ask("first", ASKER, gate.wait)
        waits: list[object] = []
        wait = asyncio.wait

        async def counted(*arguments: Any, **named: Any) -> Any:
            waits.append(arguments)
            return await wait(*arguments, **named)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(asyncio, "wait", counted)
            await asyncio.gather(*(questions.ask(n, ASKER, gate.wait) for n in range(20)))
        assert not waits

    asyncio.run(story())


def test_what_a_store_answers_by_an_error_is_raised_at_who_asked():
    async def story() -> None:
        async def question() -> int:
            return await questions.call(int, "nothing")

        questions = Questions()
        with pytest.raises(ValueError, match="nothing"):
            await questions.ask("q", ASKER, question)
        assert not questions.is_asked("q")

    asyncio.run(story())
