"""Steps that several processes share: how many there are, how they find each other, and what can't be shared.

One process a GPU, in as many pods as there are nodes. Several pods are an Indexed Job, whose pods a headless Service
gives names: pod 0 is where the others meet. The variables PET_* are those that torchrun reads in place of its flags.
"""

from dataclasses import dataclass

from longtail_api.heavy_model import HeavyModelSpec
from longtail_api.methods import METHODS
from longtail_api.shared_specs import GPU, Resources
from longtail_operator.kubernetes.children import child
from longtail_operator.kubernetes.objects import Json

PORT = 29500
_JOB_NAME = "batch.kubernetes.io/job-name"
_INDEX = "batch.kubernetes.io/job-completion-index"


@dataclass(frozen=True)
class Ranks:
    """nodes: pods of a step; processes: of each pod, one a GPU."""

    nodes: int = 1
    processes: int = 1

    @property
    def world_size(self) -> int:
        return self.nodes * self.processes


def gpus(resources: Resources) -> int:
    """GPUs of one container."""
    return int(resources.limits.get(GPU, "0"))


def too_many(spec: HeavyModelSpec) -> str | None:
    """Why the HeavyModel's trainer asks for more processes than any step of its method can share; None: it doesn't."""
    if METHODS[spec.method].distributed:
        return None
    if spec.trainer.nodes > 1:
        return f"trainer.nodes: no step of method {spec.method} trains on several nodes; set it to 1"
    if gpus(spec.trainer.resources) > 1:
        return f"trainer.resources: no step of method {spec.method} trains on several GPUs; set {GPU} to 1"
    return None


def fitting(resources: Resources, ranks: Ranks) -> Resources:
    """The resources of a container of the step: no GPU stands idle beside its processes."""
    if gpus(resources) <= ranks.processes:
        return resources
    one = {GPU: str(ranks.processes)}
    requests = {**resources.requests, **one} if GPU in resources.requests else resources.requests
    return resources.model_copy(update={"limits": {**resources.limits, **one}, "requests": requests})


def environment(name: str, namespace: str, ranks: Ranks) -> list[Json]:
    """What a container of the Job `name` is told of the others; nothing where it is alone.

    LONGTAIL_PROCESSES, the number of all processes, tells the image to start them by torchrun.
    """
    if ranks.world_size == 1:
        return []
    index: Json = {"value": "0"}
    address = "localhost"
    if ranks.nodes > 1:
        index = {"valueFrom": {"fieldRef": {"fieldPath": f"metadata.annotations['{_INDEX}']"}}}
        address = f"{name}-0.{name}.{namespace}.svc"
    return [
        {"name": "LONGTAIL_PROCESSES", "value": str(ranks.world_size)},
        {"name": "PET_NNODES", "value": str(ranks.nodes)},
        {"name": "PET_NPROC_PER_NODE", "value": str(ranks.processes)},
        {"name": "PET_NODE_RANK", **index},
        {"name": "PET_MASTER_ADDR", "value": address},
        {"name": "PET_MASTER_PORT", "value": str(PORT)},
    ]


def indexed(ranks: Ranks, backoff_limit: int) -> Json:
    """What an Indexed Job's spec has beside or in place of a plain one's; nothing for one pod.

    A rank that is lost takes the others down with it: all are started again, and each counts as a failure.
    """
    if ranks.nodes == 1:
        return {}
    return {
        "completionMode": "Indexed",
        "completions": ranks.nodes,
        "parallelism": ranks.nodes,
        "backoffLimit": backoff_limit * ranks.nodes,
    }


def headless_service(owner: Json, name: str, step: str, more_labels: dict[str, str] | None) -> Json:
    """Gives each pod of the Indexed Job `name` a name; also before it is ready, as they meet before that."""
    spec: Json = {
        "clusterIP": "None",
        "publishNotReadyAddresses": True,
        "selector": {_JOB_NAME: name},
        "ports": [{"name": "rendezvous", "port": PORT, "targetPort": PORT, "protocol": "TCP"}],
    }
    return child("Service", name, owner, step, {"spec": spec}, more_labels)
