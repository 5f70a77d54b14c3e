"""The operator assembled: everything that runs in one process, from its start to its end."""

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from typing import Any

from longtail_api.labels import MANAGED_BY, MANAGED_BY_LABEL
from longtail_operator import http_endpoint, metrics
from longtail_operator.kubernetes import event_source
from longtail_operator.kubernetes.apply import Applier
from longtail_operator.kubernetes.hearing import Hearing
from longtail_operator.kubernetes.kube import KubeApi, KubeError, NamespaceEnding
from longtail_operator.kubernetes.liveness import Liveness
from longtail_operator.kubernetes.objects import OWN_KINDS, WATCHED_KINDS, Json, Key
from longtail_operator.kubernetes.plan import Note
from longtail_operator.kubernetes.snapshot import Snapshot
from longtail_operator.kubernetes.work_queue import WorkQueue
from longtail_operator.meta_update.folding import Folding
from longtail_operator.observer import Observer
from longtail_operator.reconcile import Now, Reconciler, utc_now
from longtail_operator.settings import Settings
from longtail_operator.stores.hub import StoreHub
from longtail_operator.stores.removal import Removal
from longtail_operator.stores.retention import CONCURRENT_COLLECTIONS, Retention

log = logging.getLogger(__name__)
_SELECTOR = f"{MANAGED_BY_LABEL}={MANAGED_BY}"


class ControlPlane:
    """Snapshot, queue and workers over one API server."""

    def __init__(self, api: KubeApi, settings: Settings, now: Now = utc_now) -> None:
        self.api = api
        self.settings = settings
        self.snapshot = Snapshot()
        self.queue: WorkQueue[Key] = WorkQueue()
        self.observer = Observer(self.snapshot, self.queue)
        self.applier = Applier(api, self.snapshot, self.observer)
        self.hub = StoreHub(api, self.queue.add, settings.allowed_stores)
        self._now = now
        self._notes: set[asyncio.Task[None]] = set()
        self.folding = Folding(self.hub, self.queue, self.report, settings.concurrent_folds)
        self.retention = Retention()
        removal = Removal(api, self.snapshot, self.applier, self.observer, self.hub, self.report, now)
        self.reconciler = Reconciler(
            self.snapshot, self.queue, self.observer.gate, self.observer.upgrade, self.applier, self.hub,
            self.folding, removal, self.retention, self.report, settings, Hearing(api), now,
        )  # fmt: skip
        self.liveness = Liveness(settings.namespaces, asyncio.get_running_loop().time)
        self.listed = False

    def alive(self) -> str | None:
        """What a restart of the process would mend; None where nothing is wrong."""
        wrong = self.liveness.trouble(self.queue.stalled_since())
        if wrong is not None:
            log.error("not alive: %s", wrong)
        return wrong

    def report(self, about: Json, note: Note) -> None:
        """Record an event without waiting for it."""
        task = asyncio.create_task(self._note(about, note))
        self._notes.add(task)
        task.add_done_callback(self._notes.discard)

    async def _note(self, about: Json, note: Note) -> None:
        try:
            await self.applier.note(about, note, self._now())
        except NamespaceEnding as error:
            log.debug("event %s was not recorded: %s", note.reason, error)
        except KubeError as error:
            log.warning("event %s was not recorded: %s", note.reason, error)

    async def resync(self) -> None:
        """List everything, and have every resource looked at: at the first time at once, later at its own moment of the
        time until the next resync, so that no change waits behind all of them. Raises `KubeError`."""
        for kind in WATCHED_KINDS:
            selector = None if kind in OWN_KINDS else _SELECTOR
            for namespace in self.settings.namespaces or (None,):
                before = self.snapshot.uids(kind, namespace)
                items = await self.api.list(kind, namespace, selector)
                if self.observer.replace(items, before) and self.listed:
                    self.liveness.listed_first(kind, namespace)
        metrics.OBJECTS.set(len(self.snapshot))
        keys = self.snapshot.keys(OWN_KINDS)
        for number, key in enumerate(keys):
            self.queue.add_after(key, self.settings.resync_seconds * number / len(keys) if self.listed else 0)
        self.listed = True

    async def resync_for_ever(self) -> None:
        """One list of everything from time to time, for what a watch missed."""
        while True:
            await asyncio.sleep(self.settings.resync_seconds)
            try:
                await self.resync()
            except KubeError as error:
                log.warning("resync failed: %s", error)


async def run(api: KubeApi, settings: Settings, stop: asyncio.Event) -> None:
    """Run the operator until `stop` is set, or until a part of it fails: then that error is raised.

    Another replica may run at the same time: the store's put-if-absent, the status' resourceVersion and
    deterministic names keep both right. A Lease around this call would only save their work.
    """
    # As many threads as wait for stores at once: one that does not answer must not keep the others, or a name to be
    # looked up, waiting for a thread.
    threads = settings.workers + CONCURRENT_COLLECTIONS + 8
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(threads, thread_name_prefix="store"))
    plane = ControlPlane(api, settings)
    watching = asyncio.Event()
    async with AsyncExitStack() as stack:
        stack.callback(plane.hub.close)
        stack.push_async_callback(plane.folding.close)
        stack.push_async_callback(plane.retention.close)
        runner = await http_endpoint.serve(
            settings.http_port,
            alive=plane.alive,
            ready=lambda: None if plane.listed and watching.is_set() else "not everything is listed and watched yet",
        )
        stack.push_async_callback(runner.cleanup)
        # Nothing is decided before everything is known: a Job that is not listed yet is not a missing Job.
        await plane.resync()
        ended = asyncio.Event()
        tasks: list[asyncio.Task[Any]] = [
            asyncio.create_task(
                event_source.watch(plane.observer, plane.liveness, settings.namespaces, ended, watching), name="watch"
            ),
            asyncio.create_task(plane.resync_for_ever(), name="resync"),
            asyncio.create_task(stop.wait(), name="stop"),
            asyncio.create_task(plane.hub.watch_for_ever(), name="stores"),
            *(asyncio.create_task(plane.reconciler.work(), name=f"worker {n}") for n in range(settings.workers)),
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ended.set()
            for task in tasks[1:]:
                task.cancel()
            await asyncio.wait(tasks, timeout=10)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            if not task.cancelled() and task.exception() is not None:
                raise RuntimeError(f"the operator's task {task.get_name()!r} failed") from task.exception()
        # kopf takes SIGTERM and SIGINT over once it runs, and returns then: tasks[0] ending well is an order to stop.
        unexpected = [task.get_name() for task in done if task not in (tasks[0], tasks[2])]
        if unexpected:
            raise RuntimeError(f"the operator's task {unexpected[0]!r} ended by itself")
