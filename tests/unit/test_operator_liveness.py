"""A part that died or went mute is noticed: the process ends, or /healthz asks for its restart."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import aiohttp
import pytest

from longtail_api.labels import MANAGED_BY, MANAGED_BY_LABEL
from longtail_operator import control_plane, http_endpoint
from longtail_operator.control_plane import ControlPlane
from longtail_operator.kubernetes import event_source
from longtail_operator.kubernetes.kube import KubeApi
from longtail_operator.kubernetes.liveness import WATCH_SECONDS, WORKER_SECONDS, Liveness
from longtail_operator.kubernetes.objects import OWN_KINDS, RESOURCES, WATCHED_KINDS, Json, Key
from longtail_operator.kubernetes.snapshot import Snapshot
from longtail_operator.kubernetes.work_queue import WorkQueue
from longtail_operator.observer import Observer
from longtail_operator.reconcile import Reconciler
from longtail_operator.settings import Settings
from tests.unit.operator_builders import SETTINGS
from tests.unit.watched_api_server import WatchedApiServer


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def after(seconds: float, clock: Clock, liveness: Liveness, stalled_since: float | None = None) -> str | None:
    clock.now += seconds
    return liveness.trouble(stalled_since)


def test_a_watch_that_stays_silent_about_what_a_list_shows_is_noticed_after_a_while():
    clock = Clock()
    liveness = Liveness((), clock)
    liveness.listed_first("Pod", None)
    assert after(WATCH_SECONDS, clock, liveness) is None
    liveness.listed_first("Pod", None)  # the next list does not start the clock anew
    assert after(1, clock, liveness) == "no event of any Pod for 181 s, although a list shows changes"


def test_any_event_of_that_watch_and_of_no_other_clears_it():
    clock = Clock()
    liveness = Liveness(("ads", "risk"), clock)
    liveness.listed_first("Pod", "ads")
    liveness.heard("Pod", "risk")
    liveness.heard("Job", "ads")
    assert "Pod of namespace ads" in (after(WATCH_SECONDS + 1, clock, liveness) or "")
    liveness.heard("Pod", "ads")
    assert liveness.trouble(None) is None


def test_where_one_watch_serves_all_namespaces_an_event_of_any_of_them_shows_that_it_lives():
    clock = Clock()
    liveness = Liveness((), clock)
    liveness.listed_first("Pod", None)
    liveness.heard("Pod", "risk")
    assert after(WATCH_SECONDS + 1, clock, liveness) is None


def test_keys_that_no_worker_takes_are_noticed():
    clock = Clock()
    liveness = Liveness((), clock)
    began = clock.now
    assert after(WORKER_SECONDS, clock, liveness, began) is None
    assert "no worker has taken one for 901 s" in (after(1, clock, liveness, began) or "")


def test_the_queue_stalls_only_while_keys_wait():
    async def story() -> None:
        queue: WorkQueue[str] = WorkQueue()
        assert queue.stalled_since() is None
        queue.add("a")
        first = queue.stalled_since()
        queue.add("b")
        assert first is not None
        assert queue.stalled_since() == first
        await queue.get()
        moved = queue.stalled_since()
        assert moved is not None
        assert moved >= first
        await queue.get()
        assert queue.stalled_since() is None, "a worker that is busy is no key that waits"

    asyncio.run(story())


def a_pod(version: int) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "p", "namespace": "shop", "uid": "u", "resourceVersion": str(version),
            "labels": {MANAGED_BY_LABEL: MANAGED_BY},
        },
    }  # fmt: skip


class OnePod:
    """An API server with one pod, whose version moves on."""

    def __init__(self) -> None:
        self.version = 1

    async def list(self, kind: str, namespace: str | None, selector: str | None = None) -> list[Json]:
        return [a_pod(self.version)] if kind == "Pod" else []


def test_a_mute_watch_makes_the_operator_unhealthy_until_it_speaks():
    async def story() -> None:
        api, clock = OnePod(), Clock()
        plane = ControlPlane(cast(KubeApi, api), SETTINGS)
        plane.liveness = Liveness((), clock)
        await plane.resync()
        clock.now += WATCH_SECONDS + 1
        assert plane.alive() is None, "the first list comes before the watches"
        api.version = 2
        await plane.resync()
        assert plane.alive() is None
        clock.now += WATCH_SECONDS + 1
        assert "no event of any Pod" in (plane.alive() or "")
        plane.liveness.heard("Pod", "shop")
        assert plane.alive() is None

    asyncio.run(story())


def test_healthz_answers_with_what_is_wrong():
    async def story() -> tuple[int, str, int]:
        wrong: list[str] = ["no event of any Pod"]
        runner = await http_endpoint.serve(0, alive=lambda: wrong[0] if wrong else None, ready=lambda: None)
        try:
            # One socket for each version of IP, and with port 0 each has a port of its own.
            port = next(address[1] for address in runner.addresses if address[0] == "0.0.0.0")
            async with aiohttp.ClientSession() as session:
                async with session.get(f"http://127.0.0.1:{port}/healthz") as answer:
                    status, text = answer.status, await answer.text()
                wrong.clear()
                async with session.get(f"http://127.0.0.1:{port}/healthz") as answer:
                    return status, text, answer.status
        finally:
            await runner.cleanup()

    assert asyncio.run(story()) == (503, "no event of any Pod", 200)


async def quiet(*given: Any) -> None:
    """Goes on until it is cancelled or, as a watch, told to stop."""
    stops = [one for one in given if isinstance(one, asyncio.Event)]
    await (stops[0] if stops else asyncio.Event()).wait()


async def broken(*_: Any) -> None:
    raise ValueError("broken")


@pytest.mark.parametrize(
    ("watch", "work", "named"), [(broken, quiet, "'watch' failed"), (quiet, broken, "'worker 0' failed")]
)
def test_the_death_of_a_watch_or_of_a_worker_ends_the_operator(
    monkeypatch: pytest.MonkeyPatch,
    watch: Callable[..., Awaitable[None]],
    work: Callable[..., Awaitable[None]],
    named: str,
):
    monkeypatch.setattr(event_source, "watch", watch)
    monkeypatch.setattr(Reconciler, "work", work)
    settings = Settings(trainer_image="t", serving_image="s", http_port=0, workers=1)

    async def story() -> None:
        await control_plane.run(cast(KubeApi, OnePod()), settings, asyncio.Event())

    with pytest.raises(RuntimeError, match=named):
        asyncio.run(story())


def watched(server: WatchedApiServer, folder: Path, monkeypatch: pytest.MonkeyPatch, seconds: float) -> Snapshot:
    """What kopf has brought from the server after a while, or at the end of its watching. Raises what ends it."""
    snapshot = Snapshot()

    async def story() -> None:
        async with server.serving(folder) as kubeconfig:
            # kopf logs in by this library, which read $KUBECONFIG when it was imported.
            monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(kubeconfig))
            observer, stop = Observer(snapshot, WorkQueue[Key]()), asyncio.Event()
            liveness = Liveness((), asyncio.get_running_loop().time)
            watching = asyncio.create_task(event_source.watch(observer, liveness, (), stop, asyncio.Event()))
            deadline = asyncio.get_running_loop().time() + seconds
            while not watching.done() and not len(snapshot) and asyncio.get_running_loop().time() < deadline:
                await asyncio.sleep(0.05)
            stop.set()
            await watching

    asyncio.run(story())
    return snapshot


@pytest.mark.slow
def test_kopf_brings_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    server = WatchedApiServer()
    server.items["pods"] = [a_pod(7)]
    assert watched(server, tmp_path, monkeypatch, 30).get(Key("Pod", "shop", "p")) is not None


@pytest.mark.slow
def test_of_kinds_that_are_not_ours_only_what_we_made_is_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    server = WatchedApiServer()
    watched(server, tmp_path, monkeypatch, 3)
    ours = {RESOURCES[kind].plural: "" if kind in OWN_KINDS else "app.kubernetes.io/managed-by=longtail"
            for kind in WATCHED_KINDS}  # fmt: skip
    assert server.selectors == ours


@pytest.mark.slow
def test_one_watch_that_is_refused_ends_all_watching(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    server = WatchedApiServer()
    server.refused.add("pods")
    with pytest.raises(Exception, match="refused"):
        watched(server, tmp_path, monkeypatch, 30)


@pytest.mark.slow
def test_a_kind_that_discovery_left_out_is_silently_not_watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Why the lists have to tell: kopf goes on without it."""
    server = WatchedApiServer()
    server.items["pods"] = [a_pod(7)]
    server.undiscovered.add("pods")
    assert not len(watched(server, tmp_path, monkeypatch, 3))
