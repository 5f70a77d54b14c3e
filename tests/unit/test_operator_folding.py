"""Many HeavyModels that are due at once: a few processes, all folded, nothing left behind."""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, cast

import pytest

from longtail_api.run_config import StoreAddress
from longtail_api.store_layout import feedback_key
from longtail_operator.kubernetes.objects import Json, Key
from longtail_operator.kubernetes.plan import Note
from longtail_operator.kubernetes.work_queue import WorkQueue
from longtail_operator.meta_update import folding as folding_module
from longtail_operator.meta_update.config import MetaUpdateConfig
from longtail_operator.meta_update.folding import ROUND_LIMIT, Folding, run_process
from longtail_operator.meta_update.rules import PendingFeedback
from longtail_operator.stores.hub import StoreHub
from longtail_operator.stores.opened import HeavyModelStore
from longtail_store import Chain, Store, open_store
from longtail_store.feedback import write_feedback
from tests.store.small_model import PARAMETERS, commit_generation, dense_gradients, parameters
from tests.unit.operator_builders import NOON, a_heavy_model

ADS = "team.ads.00000001"


def a_store(uri: str) -> Store:
    """Version 1, and one feedback."""
    store = open_store(StoreAddress(uri=uri))
    commit_generation(store, parameters(0))
    write_feedback(
        store, dict(dense_gradients(1)), scenario=ADS, run=1, base_version=1, generation=1, examples=5, loss=0.1
    )
    return store


class Stores:
    """A hub with one store a HeavyModel."""

    def __init__(self, count: int, runs: int = 1, uri: str = "file:///nowhere") -> None:
        self.states = {
            key(n): HeavyModelStore(
                cast(Store, None),
                StoreAddress(uri=f"{uri}/{n}"),
                None,
                pending={
                    feedback_key(ADS, run): PendingFeedback(NOON, ADS, run, feedback_key(ADS, run))
                    for run in range(1, runs + 1)
                },
            )
            for n in range(count)
        }

    def known(self, key: Key) -> HeavyModelStore | None:
        return self.states.get(key)

    def mark_stale(self, key: Key) -> None:
        self.states[key].pending.clear()  # as if it had been read, and all was settled


def key(number: int) -> Key:
    return Key("HeavyModel", "shop", f"model-{number}")


def nobody() -> list[Json]:
    raise AssertionError("who folds what has arrived need not know who is still running")


def raw(number: int) -> Json:
    return {"kind": "HeavyModel", "metadata": {"name": f"model-{number}", "namespace": "shop", "uid": str(number)}}


async def fold_all(stores: Stores, mode: str = "Async", **folding: Any) -> list[Note]:
    """Look at each, and again whenever one is called, until nobody waits any more."""
    queue: WorkQueue[Key] = WorkQueue()
    told: list[Note] = []
    process = Folding(cast(StoreHub, stores), queue, lambda about, note: told.append(note), **folding)
    spec = a_heavy_model(metaUpdate={"bufferSize": 1, "mode": mode})
    for number in range(len(stores.states)):
        queue.add(key(number))
    while any(state.pending for state in stores.states.values()):
        called = await queue.get()
        process.look(raw(int(called.name.removeprefix("model-"))), spec, list, NOON)
        queue.done(called)
    return told


def test_twenty_models_due_at_once_are_all_folded_by_two_processes_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    under_way, most = 0, 0

    async def counted(*arguments: Any) -> tuple[int, bytes, bytes]:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        try:
            return await run_process(*arguments)
        finally:
            under_way -= 1

    monkeypatch.setattr(folding_module, "run_process", counted)
    opened = [a_store(f"{tmp_path.as_uri()}/{number}") for number in range(20)]
    told = asyncio.run(fold_all(Stores(20, uri=tmp_path.as_uri()), concurrent=2))
    heads = [Chain(store).head() for store in opened]
    assert [head.folded_count if head else 0 for head in heads] == [1] * 20
    assert [note.reason for note in told] == ["VersionCommitted"] * 20
    assert most == 2


def test_a_round_is_folded_in_parts_that_have_a_bound(monkeypatch: pytest.MonkeyPatch):
    batches: list[int] = []

    async def counted(config: MetaUpdateConfig, environment: dict[str, str]) -> tuple[int, bytes, bytes]:
        batches.append(len(config.feedback or []))
        return 0, b"", b""

    monkeypatch.setattr(folding_module, "run_process", counted)
    asyncio.run(fold_all(Stores(1, runs=ROUND_LIMIT + 36), "Synchronous"))
    assert batches == [ROUND_LIMIT]


def test_whoever_is_no_longer_due_when_its_turn_comes_lets_the_next_one_have_it(monkeypatch: pytest.MonkeyPatch):
    gate = asyncio.Event()

    async def gated(config: MetaUpdateConfig, environment: dict[str, str]) -> tuple[int, bytes, bytes]:
        await gate.wait()
        return 0, b"", b""

    monkeypatch.setattr(folding_module, "run_process", gated)

    async def story() -> list[Key]:
        stores, queue = Stores(3), WorkQueue[Key]()
        process = Folding(cast(StoreHub, stores), queue, lambda about, note: None, concurrent=1)
        spec = a_heavy_model(metaUpdate={"bufferSize": 1})
        for number in range(3):
            process.look(raw(number), spec, nobody, NOON)
        stores.mark_stale(key(1))
        gate.set()
        called: list[Key] = []
        while stores.states[key(2)].pending:
            called.append(await queue.get())
            process.look(raw(int(called[-1].name.removeprefix("model-"))), spec, nobody, NOON)
            queue.done(called[-1])
        return called

    called = asyncio.run(asyncio.wait_for(story(), 30))
    assert key(1) in called
    assert key(2) in called


def test_a_process_that_is_cancelled_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    start = asyncio.create_subprocess_exec
    workspaces: list[Path] = []

    async def works_for_ever(*command: str, **named: Any) -> asyncio.subprocess.Process:
        workspace = MetaUpdateConfig.model_validate_json(Path(command[-1]).read_bytes()).workspace
        workspaces.append(Path(str(workspace)))
        (workspaces[0] / "base.safetensors").write_bytes(b"a checkpoint")
        return await start("sleep", "60", **named)

    monkeypatch.setattr(asyncio, "create_subprocess_exec", works_for_ever)
    config = MetaUpdateConfig(store=StoreAddress(uri="file:///nowhere"), parameters=PARAMETERS)

    async def story() -> None:
        task = asyncio.create_task(run_process(config, dict(os.environ)))
        while not workspaces:
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(story())
    assert workspaces[0].parent == tmp_path
    assert not list(tmp_path.iterdir())


WORKS_FOR_EVER = """
import sys, tempfile, time
from longtail_operator.meta_update import __main__ as process
def settle(config):
    with tempfile.TemporaryDirectory(dir=config.workspace) as folder:
        print(folder, flush=True)
        time.sleep(60)
process.settle = settle
sys.exit(process.main(["--config", sys.argv[1]]))
"""


def test_a_process_that_is_told_to_stop_clears_its_own_files(tmp_path: Path):
    work, path = tmp_path / "work", tmp_path / "config.json"
    work.mkdir()
    config = MetaUpdateConfig(store=StoreAddress(uri="file:///nowhere"), parameters=PARAMETERS, workspace=str(work))
    path.write_text(config.model_dump_json(by_alias=True))
    process = subprocess.Popen([sys.executable, "-c", WORKS_FOR_EVER, str(path)], stdout=subprocess.PIPE)
    with process:
        assert process.stdout is not None
        assert Path(process.stdout.readline().decode().strip()).is_dir()
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 128 + signal.SIGTERM
    assert not list(work.iterdir())
