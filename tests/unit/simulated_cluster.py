"""A whole cluster in memory, and in a time of its own: API server, controllers, containers, store, and the operator.

Everything that belongs to the operator is the real thing, but for the process that folds feedback, which is left out.
Nothing waits: an hour passes in as long as its work takes.
"""

import asyncio
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any, cast
from unittest import mock

from longtail_api.labels import OWNER_ANNOTATION
from longtail_api.store_objects import CheckReport, Termination
from longtail_operator.control_plane import ControlPlane
from longtail_operator.kubernetes.clock import written
from longtail_operator.kubernetes.objects import HEAVY_MODEL, SCENARIO, Json, Key, key_of, section
from longtail_operator.stores import hub as store_hub
from longtail_operator.stores import reading
from longtail_store import ObjectMissing, StoreUnreachable
from longtail_store.store import ObjectInfo
from tests.operator.simulated_node import STEPS, sha256
from tests.unit.operator_builders import SETTINGS
from tests.unit.simulated_api_server import ApiServer
from tests.unit.simulated_time import SimulatedTime

BEGINNING = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
TICK = 5.0
"""Seconds between two looks of the controllers."""


class MemoryStore:
    """A store that can be away."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.objects: dict[str, tuple[bytes, datetime]] = {}
        self.away = False
        self.now = now

    def _asked(self) -> None:
        if self.away:
            raise StoreUnreachable("the store is away")

    def get(self, key: str) -> bytes:
        self._asked()
        if key not in self.objects:
            raise ObjectMissing(f"there is no {key}")
        return self.objects[key][0]

    def download(self, key: str, path: Path) -> None:
        path.write_bytes(self.get(key))

    def put_if_absent(self, key: str, data: bytes | Path) -> bool:
        self._asked()
        if key in self.objects:
            return False
        self.put_advisory(key, data)
        return True

    def put_advisory(self, key: str, data: bytes | Path) -> None:
        self._asked()
        self.objects[key] = (data if isinstance(data, bytes) else data.read_bytes(), self.now())

    def exists(self, key: str) -> bool:
        self._asked()
        return key in self.objects

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        self._asked()
        for key in sorted(self.objects):
            if key.startswith(prefix):
                yield ObjectInfo(key, len(self.objects[key][0]), self.objects[key][1])

    def delete(self, *keys: str) -> None:
        self._asked()
        for key in keys:
            self.objects.pop(key, None)


class Cluster:
    """All of it. What is wrong with it is set from outside; `healthy()` mends what no person has to."""

    def __init__(self) -> None:
        self.loop = SimulatedTime()
        self.server = ApiServer(self.now)
        self.store = MemoryStore(self.now)
        self.chance = Random(0)
        self.lost_events = 0.0
        """Part of the events that no watch brings."""
        self.confused_events = 0.0
        """Part of the events that come twice, or after later ones."""
        self.next_end: dict[str, str] = {}
        """By role: how its next Job ends instead of well: `fails`, `loses its words`, `is refused`, `can't measure`."""
        self.held: set[str] = set()
        """Roles whose Jobs run on and on."""
        self.no_pods_answer = False
        mock.patch.object(store_hub, "open_store", return_value=self.store).start()
        atomic = SimpleNamespace(atomic=True, message="")
        mock.patch.object(reading, "race_conditional_puts", return_value=atomic).start()
        self._tasks: list[asyncio.Task[None]] = []
        self.plane: ControlPlane
        self.loop.run_until_complete(self._start())

    def now(self) -> datetime:
        return BEGINNING + timedelta(seconds=self.loop.time())

    async def _start(self) -> None:
        self.plane = ControlPlane(self.server, SETTINGS, self.now)
        mock.patch.object(self.plane.folding, "look").start()
        self.server.feed.clear()
        await self.plane.resync()
        self._tasks = [asyncio.create_task(self.plane.reconciler.work()) for _ in range(4)]

    async def _stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.plane.retention.close()
        self.plane.hub.close()

    def restart(self) -> None:
        """The operator ends, in the middle of whatever it does, and starts anew."""
        away, self.server.away = self.server.away, False

        async def again() -> None:
            await self._stop()
            await self._start()

        self.loop.run_until_complete(again())
        self.server.away = away

    def close(self) -> None:
        self.loop.run_until_complete(self._stop())
        mock.patch.stopall()
        self.loop.close()

    def healthy(self) -> None:
        self.store.away = self.server.away = self.no_pods_answer = False
        self.server.refuses.clear()
        self.held.clear()
        self.next_end.clear()
        self.lost_events = self.confused_events = 0.0

    def passes(self, seconds: float) -> None:
        """Time passes, and everybody works."""
        self.loop.run_until_complete(self._passes(seconds))

    async def _passes(self, seconds: float) -> None:
        end = self.loop.time() + seconds
        resync = self.loop.time() + SETTINGS.resync_seconds
        while True:
            self._deliver()
            await asyncio.sleep(0)
            self._control()
            if self.loop.time() >= end:
                return
            if self.loop.time() >= resync:
                resync += SETTINGS.resync_seconds
                if not self.server.away:
                    await self.plane.resync()
            await asyncio.sleep(min(TICK, max(end - self.loop.time(), 0.01)))

    def _deliver(self) -> None:
        events, self.server.feed = self.server.feed, []
        late: list[tuple[str, Json]] = []
        for event in events:
            fate = self.chance.random()
            if fate < self.lost_events:
                continue
            if fate < self.lost_events + self.confused_events:
                late.append(event)
                if self.chance.random() < 0.5:
                    continue
            self._told(*event)
        for event in late:
            self._told(*event)

    def _told(self, what: str, item: Json) -> None:
        if what == "deleted":
            self.plane.observer.forget(item)
        else:
            self.plane.observer.observe(item)

    def _control(self) -> None:
        """The controllers of Jobs and Deployments, and the containers, do what there is to be done."""
        for key in sorted(self.server.objects):
            item = self.server.objects.get(key)
            if item is None:
                continue
            if key.kind == "Job":
                self._carry_on(key, item)
            elif key.kind == "Deployment":
                self._roll_out(key, item)

    def _carry_on(self, key: Key, job: Json) -> None:
        role, status = job["metadata"]["labels"]["longtail.dev/role"], section(job, "status")
        if status.get("conditions"):
            ended = datetime.fromisoformat(status["conditions"][0]["lastTransitionTime"])
            if self.now() - ended > timedelta(seconds=job["spec"].get("ttlSecondsAfterFinished") or 86_400):
                self.server.remove(key)
            return
        pod = Key("Pod", key.namespace, f"{key.name}-pod")
        if job["spec"].get("suspend"):
            self.server.remove(pod)
            return
        if pod not in self.server.objects:
            self.server.put(_pod_of(job, pod.name, {"phase": "Running"}))
            return
        if role in self.held or (self.store.away and role != "check"):
            return  # a step waits for its store
        if role != "check" and self._config_of(job) is None:
            return  # as a kubelet does: the pod starts once what it mounts is there
        ending = self.next_end.pop(role, "well")
        code, message = self._words(job, role, ending)
        state = {"terminated": {"exitCode": code, "reason": "Completed" if code == 0 else "Error", "message": message}}
        phase = "Succeeded" if code == 0 else "Failed"
        name = job["spec"]["template"]["spec"]["containers"][0]["name"]
        self.server.put(_pod_of(job, pod.name, {"phase": phase, "containerStatuses": [{"name": name, "state": state}]}))
        condition: Json = {"type": "Complete" if code == 0 else "Failed", "status": "True"}
        condition |= {"lastTransitionTime": written(self.now()), "reason": "" if code == 0 else "PodFailurePolicy"}
        self.server.edit(key, lambda item: item.update(status={"conditions": [condition]}))
        if ending == "loses its words":
            self.server.remove(pod)

    def _words(self, job: Json, role: str, ending: str) -> tuple[int, str]:
        if role == "check":
            verdict = {"is refused": "Failed", "can't measure": "Inconclusive"}.get(ending, "Passed")
            reason = {"Failed": "SLOCheckFailed", "Inconclusive": "CheckInconclusive"}.get(verdict, "Succeeded")
            report = CheckReport(verdict=cast(Any, verdict), reason=reason, message="measured", candidate="?")
            return 0, report.model_dump_json(by_alias=True)
        if ending == "fails":
            said = Termination(status="Failed", reason="DataInvalid", message="column 'price' is missing; add it")
            return 65, said.model_dump_json(by_alias=True)
        found = self._config_of(job)
        assert found is not None
        config = json.loads(found["data"]["config.json"])
        outputs, metrics, flops = STEPS[role](self.store, config)
        said = Termination(
            status="Succeeded", result_key="r", result_sha256=sha256(config["identity"]), outputs=outputs,
            metrics=metrics, flops=flops,
        )  # fmt: skip
        return 0, said.model_dump_json(by_alias=True)

    def _config_of(self, job: Json) -> Json | None:
        volumes = job["spec"]["template"]["spec"]["volumes"]
        (name,) = (volume["configMap"]["name"] for volume in volumes if "configMap" in volume)
        return self.server.objects.get(Key("ConfigMap", job["metadata"]["namespace"], name))

    def _roll_out(self, key: Key, deployment: Json) -> None:
        replicas, generation = deployment["spec"].get("replicas", 1), deployment["metadata"]["generation"]
        ready = 0 if self.no_pods_answer else replicas
        wanted = {
            "observedGeneration": generation, "replicas": replicas, "updatedReplicas": replicas,
            "readyReplicas": ready, "availableReplicas": ready,
        }  # fmt: skip
        if section(deployment, "status") != wanted:
            self.server.edit(key, lambda item: item.update(status=wanted))

    def of(self, kind: str) -> list[Json]:
        return [self.server.objects[key] for key in sorted(self.server.objects) if key.kind == kind]

    def scenario(self, name: str, namespace: str = "shop", **spec: Any) -> Key:
        return self._made(SCENARIO, namespace, name, {"heavyModelRef": {"name": "shared", "namespace": "shop"}, **spec})

    def heavy_model(self, **spec: Any) -> Key:
        defaults = {
            "schema": {"labels": [{"name": "click"}], "context": {"numeric": ["price"]}},
            "data": {"samples": "s3://warehouse/samples"},
            "storage": {"uri": "s3://store/shared", "credentialsSecretRef": {"name": "keys"}},
        }
        return self._made(HEAVY_MODEL, "shop", "shared", defaults | spec)

    def _made(self, kind: str, namespace: str, name: str, spec: Json) -> Key:
        metadata = {"name": name, "namespace": namespace}
        item = {"apiVersion": "longtail.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec, "status": {}}
        return key_of(self.server.put(item))

    def secret(self, there: bool) -> None:
        key = Key("Secret", "shop", "keys")
        if there and key not in self.server.objects:
            data = {"AWS_ACCESS_KEY_ID": "a2V5", "AWS_SECRET_ACCESS_KEY": "c2VjcmV0"}
            metadata = {"name": key.name, "namespace": key.namespace}
            self.server.put({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data})
        elif not there:
            self.server.remove(key)


def _pod_of(job: Json, name: str, status: Json) -> Json:
    metadata, template = job["metadata"], job["spec"]["template"]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": metadata["namespace"],
            "labels": {**template["metadata"]["labels"], "batch.kubernetes.io/job-name": metadata["name"]},
            "annotations": {OWNER_ANNOTATION: template["metadata"]["annotations"][OWNER_ANNOTATION]},
            "ownerReferences": [
                {"apiVersion": "batch/v1", "kind": "Job", "name": metadata["name"], "uid": metadata["uid"]}
            ],
        },
        "spec": {},
        "status": status,
    }
