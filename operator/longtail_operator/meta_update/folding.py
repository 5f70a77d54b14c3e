"""Starting the meta-update: one process at a time per HeavyModel, when its feedback is due."""

import asyncio
import contextlib
import json
import logging
import os
import sys
import tempfile
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from pydantic import ValidationError

from longtail_api.heavy_model import HeavyModelSpec
from longtail_api.store_layout import feedback_key
from longtail_operator import metrics
from longtail_operator.kubernetes.objects import Json, Key, entries, is_deleting, key_of, section
from longtail_operator.kubernetes.plan import Note
from longtail_operator.kubernetes.work_queue import WorkQueue
from longtail_operator.meta_update.config import MetaUpdateConfig, MetaUpdateFailure, MetaUpdateResult, parameters_of
from longtail_operator.meta_update.rules import PendingFeedback, due
from longtail_operator.methods import method_of
from longtail_operator.scenario.gate import is_unfinished
from longtail_operator.scenario.world import store_key_of
from longtail_operator.stores.hub import StoreHub
from longtail_operator.stores.opened import HeavyModelStore

log = logging.getLogger(__name__)
_AGAIN_SECONDS = 5.0
"""After a failure; after each further one, twice as long."""
_LONGEST_DELAY = 300.0
_KILL_SECONDS = 10.0
CONCURRENT_FOLDS = 2
"""Each is a process with a tensor of its heavy model in memory, inside the operator's own limit."""
ROUND_LIMIT = 64
"""So much feedback of a synchronous round is folded at once: all of it lies on the disk beside two checkpoints."""


def has_handed_in(scenario: Json, step: str | None) -> bool:
    """Has the current run handed in its feedback? `step`: the one that does (`Method.feedback_step`)."""
    steps = entries(scenario, "status", "run", "steps")
    return any(known.get("name") == step and known.get("result") for known in steps)


def feedback_of(scenario: Json | None, step: str | None, now: datetime) -> PendingFeedback | None:
    """The feedback that the Scenario's current run has handed in, by its deterministic key; None where it has none."""
    if scenario is None or not has_handed_in(scenario, step):
        return None
    if section(scenario, "status", "run").get("noFeedback"):
        return None
    run = int(section(scenario, "status", "run")["number"])
    owner = store_key_of(scenario)
    return PendingFeedback(modified=now, scenario=owner, run=run, key=feedback_key(owner, run))


def runs_ahead_of_feedback(scenarios: list[Json], step: str | None, namespaces: set[str]) -> int:
    """Runs that a synchronous round waits for: they have started from a version, and will still hand in feedback.

    Failed runs, and those of Scenarios that are suspended, deleted or in none of the `namespaces` allowed, will not.
    """
    return sum(
        1
        for scenario in scenarios
        if is_unfinished(scenario)
        and section(scenario, "status", "run").get("baseVersion") is not None
        and not has_handed_in(scenario, step)
        and not section(scenario, "spec").get("suspend")
        and not is_deleting(scenario)
        and key_of(scenario).namespace in namespaces
    )


class Folding:
    """The meta-update processes under way: `concurrent` of them at most, whoever is due; the others wait in line."""

    def __init__(
        self,
        hub: StoreHub,
        queue: WorkQueue[Key],
        report: Callable[[Json, Note], None],
        concurrent: int = CONCURRENT_FOLDS,
    ) -> None:
        self._hub = hub
        self._concurrent = concurrent
        self._line: dict[Key, None] = {}
        self._queue = queue
        self._report = report
        self._tasks: dict[Key, asyncio.Task[None]] = {}
        self._failures: dict[Key, int] = {}
        self._not_before: dict[Key, float] = {}

    def look(self, heavy_model: Json, spec: HeavyModelSpec, scenarios: Callable[[], list[Json]], now: datetime) -> None:
        """Start a fold where one is due; else have the HeavyModel looked at when one may be."""
        key = key_of(heavy_model)
        state = self._hub.known(key)
        if state is None or state.is_behind or key in self._tasks:
            # What the newest version has settled must not be folded again; its reading wakes the HeavyModel.
            return
        waits = spec.meta_update.mode == "Synchronous" and bool(state.pending)
        decision = due(
            list(state.pending.values()),
            mode=spec.meta_update.mode,
            running=runs_ahead_of_feedback(
                scenarios() if waits else [], method_of(spec).feedback_step, {key.namespace, *spec.allowed_namespaces}
            ),
            buffer_size=spec.meta_update.buffer_size,
            flush_interval=timedelta(seconds=spec.meta_update.flush_interval_seconds),
            longest_round=timedelta(seconds=spec.trainer.deadline_seconds),
            now=now,
        )
        rest = self._not_before.get(key, 0.0) - asyncio.get_running_loop().time()
        if not decision.batch or rest > 0:
            self._line.pop(key, None)
            self._call_next()
        if decision.batch and rest > 0:
            self._queue.add_after(key, rest)
        elif decision.batch and len(self._tasks) >= self._concurrent:
            self._line.setdefault(key)
        elif decision.batch:
            self._line.pop(key, None)
            config = _config(spec, state, [item.key for item in decision.batch[:ROUND_LIMIT]])
            task = asyncio.create_task(self._run(heavy_model, state, config), name=f"fold {key}")
            self._tasks[key] = task
            task.add_done_callback(lambda _: self._ended(key))
        elif decision.again_after is not None:
            self._queue.add_after(key, decision.again_after.total_seconds())

    def is_under_way(self, heavy_model: Key) -> bool:
        return heavy_model in self._tasks

    async def end(self, heavy_model: Key) -> None:
        """End the HeavyModel's process: it must not write into a store that is about to be emptied."""
        self._line.pop(heavy_model, None)
        task = self._tasks.get(heavy_model)
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def close(self) -> None:
        """End the processes; what they had not committed is folded after the next start."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ended(self, key: Key) -> None:
        self._tasks.pop(key, None)
        self._hub.mark_stale(key)
        self._queue.add(key)
        self._call_next()

    def _call_next(self) -> None:
        """Have who is next in line looked at, where a place is free."""
        if self._line and len(self._tasks) < self._concurrent:
            waiting = next(iter(self._line))
            del self._line[waiting]
            self._queue.add(waiting)

    async def _run(self, heavy_model: Json, state: HeavyModelStore, config: MetaUpdateConfig) -> None:
        key = key_of(heavy_model)
        succeeded = False
        try:
            code, output, errors = await run_process(config, _environment(state))
            succeeded = self._settle(heavy_model, state, code, output, errors)
        except asyncio.CancelledError:
            raise
        except Exception:  # the task has no other reader
            metrics.FOLDS.labels("failed").inc()
            log.exception("the meta-update could not run", extra={"key": str(key)})
        if succeeded:
            self._failures.pop(key, None)
            self._not_before.pop(key, None)
            return
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        delay = min(_AGAIN_SECONDS * 2.0 ** min(failures - 1, 30), _LONGEST_DELAY)
        self._not_before[key] = asyncio.get_running_loop().time() + delay

    def _settle(self, heavy_model: Json, state: HeavyModelStore, code: int, output: bytes, errors: bytes) -> bool:
        """What the process has said. False where it failed."""
        key = key_of(heavy_model)
        line = output.strip().rsplit(b"\n", 1)[-1]
        try:
            if code == 0:
                self._committed(heavy_model, state, MetaUpdateResult.model_validate_json(line))
                return True
            failure = MetaUpdateFailure.model_validate_json(line)
        except ValidationError:
            said = errors.decode(errors="replace").strip()[-800:]
            failure = MetaUpdateFailure(reason="MetaUpdateFailed", message=f"exit code {code}: {said}")
        metrics.FOLDS.labels("failed").inc()
        log.error("meta-update: %s: %s", failure.reason, failure.message, extra={"key": str(key)})
        self._report(heavy_model, Note("Warning", failure.reason, f"meta-update: {failure.message}"))
        return False

    def _committed(self, heavy_model: Json, state: HeavyModelStore, result: MetaUpdateResult) -> None:
        metrics.FOLDS.labels("committed" if result.committed else "nothing").inc()
        metrics.FEEDBACK.labels("folded").inc(result.folded)
        metrics.FEEDBACK.labels("rejected").inc(len(result.rejected))
        for name in result.missing:
            # Told of by a finished run, yet not in the store: told once, and a LIST brings it back if it ever comes.
            state.pending.pop(name, None)
            state.lost.add(name)
            self._report(heavy_model, Note("Warning", "FeedbackMissing", f"{name} is not in the store"))
        for item in result.rejected:
            words = f"feedback of {item.scenario}, run {item.run}, is rejected: {item.message}"
            self._report(heavy_model, Note("Warning", item.reason, words))
        if result.committed:
            words = f"version {result.version} contains the feedback of {result.folded} runs"
            self._report(heavy_model, Note("Normal", "VersionCommitted", words))


def _config(spec: HeavyModelSpec, state: HeavyModelStore, keys: list[str]) -> MetaUpdateConfig:
    update = spec.meta_update
    return MetaUpdateConfig(
        store=state.address,
        parameters=parameters_of(update),
        feedback=keys,
        buffer_size=update.buffer_size,
        orphans_seconds=spec.retention.orphans_seconds,
    )


def _environment(state: HeavyModelStore) -> dict[str, str]:
    """The operator's own, without anything that opens a store unless the operator may open this one as itself."""
    if state.credentials is None:
        return dict(os.environ)
    # None of a file's, of the web identity's or of the machine's either: the pair below stands alone.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment["AWS_ACCESS_KEY_ID"] = state.credentials.access_key_id
    environment["AWS_SECRET_ACCESS_KEY"] = state.credentials.secret_access_key
    if state.credentials.session_token:
        environment["AWS_SESSION_TOKEN"] = state.credentials.session_token
    return environment


async def run_process(config: MetaUpdateConfig, environment: dict[str, str]) -> tuple[int, bytes, bytes]:
    """Run the meta-update to its end: exit code, standard output and error. Cancelled, it ends the process."""
    with tempfile.TemporaryDirectory(prefix="longtail-fold-") as folder:
        path = Path(folder, "config.json")
        # What it writes goes with the folder, however it ends.
        path.write_text(json.dumps(config.model_copy(update={"workspace": folder}).to_json_dict()))
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "longtail_operator.meta_update", "--config", str(path),
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            env=environment,
        )  # fmt: skip
        try:
            output, errors = await process.communicate()
        except asyncio.CancelledError:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            try:
                await asyncio.wait_for(process.wait(), _KILL_SECONDS)
            except TimeoutError:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
            raise
        return process.returncode or 0, output, errors
