"""Stands for the controllers of Jobs and Deployments, the kubelet and the containers of one namespace."""

import asyncio
import hashlib
import json
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from longtail_api.architecture import Architecture
from longtail_api.run_config import StoreAddress
from longtail_api.store_layout import model_card_key
from longtail_api.store_objects import AltHeavy, AltLight, CheckReport, Metric, ModelCard, Termination, Version
from longtail_operator.kubernetes.kube import HttpKubeApi, KubeError
from longtail_operator.kubernetes.objects import Json, Key, section
from longtail_store import Chain, Store, new_nonce, open_store, write_object_if_absent
from longtail_store.feedback import write_feedback

WEIGHTS = {"weight": np.zeros((2, 3), dtype=np.float32)}


def stamp() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


class SimulatedNode:
    """Carries out Jobs and Deployments at once, unless told otherwise.

    `hold(role, name)`: True keeps a Job running. `ends`: by role, what its container ends with instead of success: exit
    code and termination message. `late_words`: news of a pod's end come after those of its Job's. `unschedulable`: what
    the scheduler says of every pod, if anything. `no_pods`: why the controller of Jobs may make none.
    """

    def __init__(self, api: HttpKubeApi, namespace: str) -> None:
        self.api = api
        self.namespace = namespace
        self.hold: Callable[[str, str], bool] = lambda role, name: False
        self.ends: dict[str, tuple[int, str]] = {}
        self.unschedulable: str | None = None
        self.no_pods: str | None = None
        self.late_words = False
        self.started: list[str] = []
        """Names of all Jobs that got a pod, in order; twice where one ran again."""

    async def run_for_ever(self) -> None:
        while True:
            await self.once()
            await asyncio.sleep(0.05)

    async def once(self) -> None:
        jobs = await self.api.list("Job", self.namespace)
        pods = {pod["metadata"]["name"]: pod for pod in await self.api.list("Pod", self.namespace)}
        await self._collect_garbage(jobs, pods)
        for job in jobs:
            try:
                await self._carry_on(job, pods)
            except KubeError as error:
                if error.status not in (404, 409):
                    raise
        for deployment in await self.api.list("Deployment", self.namespace):
            await self._roll_out(deployment)

    async def _collect_garbage(self, jobs: list[Json], pods: dict[str, Json]) -> None:
        alive = {job["metadata"]["uid"] for job in jobs}
        for pod in pods.values():
            if pod["metadata"]["ownerReferences"][0]["uid"] not in alive:
                await self.api.delete(self._key("Pod", pod["metadata"]["name"]), pod["metadata"]["uid"])

    def _key(self, kind: str, name: str) -> Key:
        return Key(kind, self.namespace, name)

    async def _carry_on(self, job: Json, pods: dict[str, Json]) -> None:
        name, role = job["metadata"]["name"], job["metadata"]["labels"]["longtail.dev/role"]
        pod_name = f"{name}-{job['metadata']['uid'][:5]}"
        status = section(job, "status")
        if status.get("conditions") or job["spec"].get("suspend"):
            return
        if self.no_pods is not None:
            await self._warn(job, "FailedCreate", f"Error creating: {self.no_pods}")
            return
        if pod_name not in pods:
            self.started.append(name)
            await self._start(job, pod_name)
        if self.unschedulable is not None:
            await self._pod_status(pod_name, {"conditions": [_not_scheduled(self.unschedulable)]})
            return
        if not self.hold(role, name):
            await self._finish(job, pod_name, role)

    async def _finish(self, job: Json, pod_name: str, role: str) -> None:
        code, message = self.ends.get(role) or (0, await self._words(job, role))
        terminated = {"exitCode": code, "reason": "Completed" if code == 0 else "Error", "message": message,
                      "startedAt": stamp(), "finishedAt": stamp(), "containerID": "x://y"}  # fmt: skip
        container = job["spec"]["template"]["spec"]["containers"][0]
        ended = {
            "phase": "Succeeded" if code == 0 else "Failed",
            "conditions": [],
            "containerStatuses": [
                {"name": container["name"], "image": "i", "imageID": "i", "ready": False, "restartCount": 0,
                 "state": {"terminated": terminated}}
            ],
        }  # fmt: skip
        if self.late_words:
            await self._end(job, code)
            await asyncio.sleep(1)
        await self._pod_status(pod_name, ended)
        if not self.late_words:
            await self._end(job, code)

    async def _start(self, job: Json, pod_name: str) -> None:
        template = job["spec"]["template"]
        metadata = {
            "name": pod_name,
            "namespace": self.namespace,
            "labels": {**template["metadata"]["labels"], "batch.kubernetes.io/job-name": job["metadata"]["name"]},
            "annotations": template["metadata"]["annotations"],
            "ownerReferences": [
                {"apiVersion": "batch/v1", "kind": "Job", "name": job["metadata"]["name"],
                 "uid": job["metadata"]["uid"], "controller": True}
            ],
        }  # fmt: skip
        await self.api.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]})

    async def _warn(self, about: Json, reason: str, message: str) -> None:
        metadata = about["metadata"]
        await self.api.create(
            {
                "apiVersion": "v1", "kind": "Event", "type": "Warning", "reason": reason, "message": message,
                "metadata": {"name": f"{metadata['name']}.1", "namespace": self.namespace},
                "involvedObject": {
                    "apiVersion": about["apiVersion"], "kind": about["kind"], "name": metadata["name"],
                    "namespace": self.namespace, "uid": metadata["uid"],
                },
                "source": {"component": "job-controller"}, "firstTimestamp": stamp(), "lastTimestamp": stamp(),
            }
        )  # fmt: skip

    async def _pod_status(self, name: str, status: Json) -> None:
        await self._status("Pod", name, status)

    async def _end(self, job: Json, code: int) -> None:
        condition = {"status": "True", "lastTransitionTime": stamp(), "lastProbeTime": stamp()}
        if code == 0:
            conditions = [{"type": "SuccessCriteriaMet", **condition}, {"type": "Complete", **condition}]
            more: Json = {"succeeded": 1, "completionTime": stamp()}
        else:
            said = {"reason": "PodFailurePolicy", "message": f"exit code {code}"}
            conditions = [{"type": "FailureTarget", **condition, **said}, {"type": "Failed", **condition, **said}]
            more = {"failed": 1}
        status = {"startTime": stamp(), "conditions": conditions, "uncountedTerminatedPods": {}, **more}
        await self._status("Job", job["metadata"]["name"], status)

    async def _roll_out(self, deployment: Json) -> None:
        replicas, generation = deployment["spec"]["replicas"], deployment["metadata"]["generation"]
        status = {
            "observedGeneration": generation, "replicas": replicas, "updatedReplicas": replicas,
            "readyReplicas": replicas, "availableReplicas": replicas,
        }  # fmt: skip
        if section(deployment, "status").get("observedGeneration") != generation:
            await self._status("Deployment", deployment["metadata"]["name"], status)

    async def _status(self, kind: str, name: str, status: Json) -> None:
        path = {"Pod": "/api/v1", "Job": "/apis/batch/v1", "Deployment": "/apis/apps/v1"}[kind]
        await self.api.request(
            "PATCH", f"{path}/namespaces/{self.namespace}/{kind.lower()}s/{name}/status", {}, {"status": status},
            "application/merge-patch+json",
        )  # fmt: skip

    async def _words(self, job: Json, role: str) -> str:
        """The termination message, once what the container does to the store is done."""
        if role == "check":
            return CheckReport(
                verdict="Passed", reason="Succeeded", message="fast enough", candidate="?"
            ).model_dump_json(by_alias=True)
        found = await self.api.get(
            self._key("ConfigMap", job["spec"]["template"]["spec"]["volumes"][1]["configMap"]["name"])
        )
        assert found is not None, f"the Job {job['metadata']['name']} has no config"
        return await asyncio.to_thread(_work, json.loads(found["data"]["config.json"]), role)


def _work(config: Json, role: str) -> str:
    outputs, metrics, flops = STEPS[role](open_store(StoreAddress.model_validate(config["store"])), config)
    return Termination(
        status="Succeeded", result_key="result.json", result_sha256=sha256(config["identity"]), outputs=outputs,
        metrics=metrics, flops=flops, pictures={"learning-curves": f"runs/{config['owner']}/{role}.svg"},
    ).model_dump_json(by_alias=True)  # fmt: skip


Metrics = dict[str, dict[str, Metric]]
Result = tuple[dict[str, Any], Metrics, int | None]
FIGURES: Metrics = {
    "test": {
        "auc": Metric(value=0.75, low=0.7, high=0.8, rows=100), "logLoss": Metric(value=0.4), "ece": Metric(value=0.02),
    }
}  # fmt: skip


def _prepare(store: Store, config: Json) -> Result:
    return {}, {}, None


def _initialize(store: Store, config: Json) -> Result:
    chain = Chain(store)
    number = chain.head_number() + 1
    nonce = new_nonce()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model")
        save_file(WEIGHTS, path)
        checkpoint = chain.write_checkpoint(number, nonce, path)
    chain.commit(
        Version(
            number=number, kind="initial", generation=config["generation"], checkpoint=checkpoint,
            features_sha256=sha256("features"), model=AltHeavy(
                encoder=config["encoder"], architecture=Architecture.model_validate(config["architecture"])
            ), schema_hash=config["schemaHash"],
            pool=config["pool"], nonce=nonce, created=datetime.now(UTC), flops=1000,
        )
    )  # fmt: skip
    return {}, {}, 1000


def _adapt(store: Store, config: Json) -> Result:
    head = Chain(store).version(config["baseVersion"])
    write_feedback(
        store, {"weight": np.ones((2, 3), dtype=np.float32)}, scenario=config["owner"], run=config["run"],
        base_version=head.number, generation=head.generation, examples=10, loss=0.5,
    )  # fmt: skip
    return {"agnosticVersion": head.number}, FIGURES, 1000


def _search(store: Store, config: Json) -> Result:
    return {"flops": 300, "architecture": "conv3"}, {"validation": FIGURES["test"]}, 300


def _train_light(store: Store, config: Json) -> Result:
    assert config["searchResult"], "there is no architecture to train"
    digest = sha256(config["owner"] + config["lightVersion"])
    card = ModelCard(
        scenario=config["owner"], version=config["lightVersion"], sha256=digest, bytes=1, inputs=[], outputs=[],
        labels=["click"], data_version="d1", agnostic_version=config["baseVersion"],
        model=AltLight(width=1, layers=[]), flops=300, heavy_flops=1000, requests_key="r",
    )  # fmt: skip
    write_object_if_absent(store, model_card_key(config["owner"], config["lightVersion"]), card)
    return {"modelSha256": digest}, FIGURES, 300


STEPS: dict[str, Callable[[Store, Json], Result]] = {
    "prepare": _prepare,
    "initialize": _initialize,
    "adapt": _adapt,
    "search": _search,
    "train-light": _train_light,
}


def _not_scheduled(message: str) -> Json:
    return {
        "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message,
        "lastTransitionTime": stamp(),
    }  # fmt: skip
