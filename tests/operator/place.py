"""A namespace of an API server with the three definitions, an operator as a process, and a simulated node below."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import yaml

from longtail_api.run_config import StoreAddress
from longtail_operator.kubernetes.kube import HttpKubeApi, KubeError
from longtail_operator.kubernetes.objects import Json, Key, section
from longtail_store import Store, open_store
from tests.operator.simulated_node import SimulatedNode

ROOT = Path(__file__).parents[2]


class Place:
    """One namespace, one store, one operator. node: what stands for a cluster's controllers and its kubelet."""

    def __init__(
        self, kubeconfig: Path, namespace: str, folder: Path, node: type[SimulatedNode] = SimulatedNode
    ) -> None:
        self.kubeconfig = kubeconfig
        self.namespace = namespace
        self.folder = folder
        self.store_uri = f"file://{folder / 'store'}"
        (folder / "store").mkdir()
        self.store: Store = open_store(StoreAddress(uri=self.store_uri))
        self.operator: subprocess.Popen[bytes] | None = None
        self._node = node
        self.api: HttpKubeApi
        self.node: SimulatedNode

    @asynccontextmanager
    async def alive(self) -> AsyncIterator["Place"]:
        """The namespace with its node; whatever still runs at the end is ended."""
        self.api = await HttpKubeApi.connect()
        await self._define()
        self.node = self._node(self.api, self.namespace)
        task = asyncio.create_task(self.node.run_for_ever())
        try:
            yield self
            assert not task.done(), f"the simulated node broke: {task.exception()!r}"
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            if self.operator is not None and self.operator.poll() is None:
                self.operator.kill()
                self.operator.wait()
            await self.api.close()

    async def _define(self) -> None:
        for path in sorted((ROOT / "crds").glob("*.yaml")):
            await self._post(
                "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", yaml.safe_load(path.read_text())
            )
        await self.eventually(self._defined, "the definitions are served")
        await self._post("/api/v1/namespaces", {"metadata": {"name": self.namespace}})
        await self._post(f"/api/v1/namespaces/{self.namespace}/serviceaccounts", {"metadata": {"name": "default"}})

    async def _post(self, path: str, body: Json) -> None:
        try:
            await self.api.request("POST", path, {}, body)
        except KubeError as error:
            if error.status != 409:
                raise

    async def _defined(self) -> bool:
        try:
            for kind in ("HeavyModel", "Scenario", "LightModelSearch"):
                await self.api.list(kind, self.namespace)
        except KubeError:
            return False
        return True

    def start_operator(self, **settings: str) -> None:
        """Start the operator as a process of its own."""
        environment = os.environ | {
            "KUBECONFIG": str(self.kubeconfig),
            "LONGTAIL_TRAINER_IMAGE": "registry.example/trainer:1",
            "LONGTAIL_SERVING_IMAGE": "registry.example/serving:1",
            "LONGTAIL_HTTP_PORT": "0",
            "LONGTAIL_ALLOWED_STORES": self.folder.as_uri(),
            "LONGTAIL_DRAIN_SECONDS": "0.1",
            "LONGTAIL_RESYNC_SECONDS": "2",
            **{f"LONGTAIL_{name}": value for name, value in settings.items()},
        }
        log = (self.folder / "operator.log").open("ab")
        self.operator = subprocess.Popen(
            [sys.executable, "-m", "longtail_operator", "run", "--namespace", self.namespace],
            env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
        log.close()

    def kill_operator(self) -> None:
        """SIGKILL, as a machine that loses power."""
        assert self.operator is not None
        self.operator.send_signal(signal.SIGKILL)
        self.operator.wait()

    def stop_operator(self) -> int:
        """SIGTERM; returns the exit code."""
        assert self.operator is not None
        self.operator.terminate()
        return self.operator.wait(timeout=30)

    async def heavy_model(self, name: str = "shared", **spec: object) -> None:
        await self.create(
            "HeavyModel", name,
            {
                "schema": {"labels": [{"name": "click"}], "context": {"numeric": ["price"]}},
                "data": {"samples": "s3://warehouse/samples"},
                "initialization": {"scenarioSelector": {"matchLabels": {"pool": "yes"}}},
                "metaUpdate": {"flushIntervalSeconds": 1},
                "storage": {"uri": self.store_uri},
                **spec,
                "trainer": {"podTemplate": self.mounted(), **cast(Json, spec.get("trainer", {}))},
            },
        )  # fmt: skip

    async def scenario(self, name: str, labels: dict[str, str] | None = None, **spec: object) -> None:
        if "serving" in spec:
            spec["serving"] = {"podTemplate": self.mounted(), **cast(Json, spec["serving"])}
        await self.create("Scenario", name, {"heavyModelRef": {"name": "shared"}, **spec}, labels)

    def mounted(self) -> Json:
        """What a podTemplate says so that pods have the store."""
        return {
            "volumes": [{"name": "store", "hostPath": {"path": str(self.folder)}}],
            "volumeMounts": [{"name": "store", "mountPath": str(self.folder)}],
        }

    async def create(self, kind: str, name: str, spec: Json, labels: dict[str, str] | None = None) -> None:
        metadata = {"name": name, "namespace": self.namespace, "labels": labels or {}}
        body = {"apiVersion": "longtail.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}
        assert await self.api.create(body), f"{kind} {name} exists"

    async def get(self, kind: str, name: str) -> Json:
        return await self.api.get(Key(kind, self.namespace, name)) or {}

    async def names(self, kind: str) -> list[str]:
        return sorted(item["metadata"]["name"] for item in await self.api.list(kind, self.namespace))

    async def condition(self, kind: str, name: str, type_: str) -> tuple[str, str, str]:
        """Status, reason and message; three times "" where there is none."""
        for condition in section(await self.get(kind, name), "status").get("conditions") or []:
            if condition["type"] == type_:
                return condition["status"], condition["reason"], condition["message"]
        return "", "", ""

    async def becomes(self, kind: str, name: str, type_: str, status: str, reason: str | None = None) -> str:
        """Wait until a condition has a status (and reason); returns its message."""

        async def holds() -> bool:
            found = await self.condition(kind, name, type_)
            return found[0] == status and reason in (None, found[1])

        await self.eventually(holds, f"{kind} {name}: {type_}={status} {reason or ''}", (kind, name))
        return (await self.condition(kind, name, type_))[2]

    async def eventually(
        self, holds: Callable[[], Awaitable[bool]], what: str, about: tuple[str, str] | None = None, seconds: float = 60
    ) -> None:
        """Wait for something that must come; a generous limit, since it is no measurement."""
        deadline = time.monotonic() + seconds
        while not await holds():
            if time.monotonic() > deadline:
                log = self.folder / "operator.log"
                words = log.read_text()[-3000:] if log.exists() else ""
                status = section(await self.get(*about), "status") if about else {}
                raise AssertionError(f"never: {what}\n{yaml.safe_dump(status)}\n{words}")
            await asyncio.sleep(0.05)
