"""Effects of the demo: the cluster, the chart, the bucket and the tables in it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

from tests.demo.manifests import BUCKET
from tests.devcluster import layout
from tests.devcluster.binaries import binary
from tests.devcluster.errors import ClusterError
from tests.devcluster.kubernetes import Cluster
from tests.devcluster.processes import end, free_port, listens
from tests.devcluster.versitygw import Endpoint

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

CHART = layout.REPOSITORY / "helm" / "longtail"
RELEASE = "longtail"
SYSTEM_NAMESPACE = "longtail-system"


def run(command: list[str | Path], environment: dict[str, str] | None = None) -> str:
    """Standard output of a command. Raises `ClusterError` with what it said where it fails."""
    words = [str(word) for word in command]
    result = subprocess.run(words, capture_output=True, text=True, check=False, env=os.environ | (environment or {}))
    if result.returncode:
        raise ClusterError(f"{' '.join(words[:6])} …: {(result.stderr or result.stdout).strip()[-2000:]}")
    return result.stdout


def bring_up_cluster() -> Path:
    """The cluster of KUBECONFIG, or this machine's own, running; its kubeconfig."""
    devcluster = [sys.executable, "-m", "tests.devcluster"]
    if subprocess.run([*devcluster, "up", "--s3"], check=False).returncode:
        raise ClusterError("the cluster did not come up; `python -m tests.devcluster logs` shows what its parts say")
    return Path(run([*devcluster, "kubeconfig"]).strip())


def image_references() -> dict[str, str]:
    """The three images by name, built where need be; LONGTAIL_IMAGES (operator=REF,trainer=REF,…) wins."""
    given = os.environ.get("LONGTAIL_IMAGES")
    if given:
        return dict(pair.split("=", 1) for pair in given.split(","))
    process = subprocess.run(
        [sys.executable, "-m", "tests.devcluster", "images"], stdout=subprocess.PIPE, text=True, check=False
    )
    if process.returncode:
        raise ClusterError("the images could not be built")
    return dict(line.split(" ", 1) for line in process.stdout.splitlines())


def install_chart(kubeconfig: Path, images: dict[str, str], say: Callable[[str], None]) -> None:
    """`helm upgrade --install`, waiting until the operator is ready."""
    command: list[str | Path] = [binary("helm"), "upgrade", "--install", RELEASE, CHART]
    command += ["--namespace", SYSTEM_NAMESPACE, "--wait", "--timeout", "180s"]
    for name, reference in images.items():
        repository, _, tag = reference.rpartition(":")
        command += ["--set", f"image.{name}.repository={repository}", "--set", f"image.{name}.tag={tag}"]
    if pending(kubeconfig):
        say("an interrupted installation is in the way: uninstalling it")
        uninstall_chart(kubeconfig)
    cluster = Cluster(kubeconfig)
    if not cluster.succeeds("get", "namespace", SYSTEM_NAMESPACE):
        cluster.kubectl("create", "namespace", SYSTEM_NAMESPACE)
    cluster.kubectl(
        "label", "namespace", SYSTEM_NAMESPACE, "--overwrite", "pod-security.kubernetes.io/enforce=restricted"
    )
    say("installing the chart (helm upgrade --install)")
    run(command, {"KUBECONFIG": str(kubeconfig)})


def pull_images(cluster: Cluster, images: dict[str, str], namespace: str) -> None:
    """Have the node pull the images of training and serving, which takes minutes the first time."""
    for name in ("trainer", "serving"):
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": f"pull-{name}", "namespace": namespace},
            "spec": {
                "restartPolicy": "Never",
                "securityContext": {
                    "runAsNonRoot": True,
                    "runAsUser": 65532,
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "containers": [
                    {
                        "name": "pull",
                        "image": images[name],
                        "command": ["true"],
                        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                    }
                ],
            },
        }
        cluster.apply_text(json.dumps(pod))
        done = "--for=jsonpath={.status.phase}=Succeeded"
        cluster.kubectl("wait", "pod", f"pull-{name}", "-n", namespace, done, "--timeout=900s")
        cluster.kubectl("delete", "pod", f"pull-{name}", "-n", namespace, "--wait=false")


def pending(kubeconfig: Path) -> bool:
    """Was Helm ended in the middle of installing? It refuses to go on then."""
    command = [str(binary("helm")), "status", RELEASE, "--namespace", SYSTEM_NAMESPACE, "--output", "json"]
    environment = os.environ | {"KUBECONFIG": str(kubeconfig)}
    status = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    return status.returncode == 0 and json.loads(status.stdout)["info"]["status"].startswith("pending")


def uninstall_chart(kubeconfig: Path) -> None:
    run(
        [binary("helm"), "uninstall", RELEASE, "--namespace", SYSTEM_NAMESPACE, "--ignore-not-found", "--wait"],
        {"KUBECONFIG": str(kubeconfig)},
    )


def upload_tables(endpoint: Endpoint, folder: Path) -> None:
    """Put the tables below s3://BUCKET/data, after removing what an earlier demo left in the bucket."""
    client = s3_client(endpoint)
    if BUCKET not in {each["Name"] for each in client.list_buckets()["Buckets"]}:
        client.create_bucket(Bucket=BUCKET)
    empty_bucket(endpoint)
    for path in sorted(folder.rglob("*.parquet")):
        client.upload_file(str(path), BUCKET, f"data/{table_key(folder, path)}")


def table_key(folder: Path, path: Path) -> str:
    """Key of a table's file: a behavior table is always a folder, so that one address fits both forms."""
    relative = path.relative_to(folder)
    if relative.parts[0] == "behaviors" and len(relative.parts) == 2:
        return f"behaviors/{path.stem}/{path.name}"
    return relative.as_posix()


def empty_bucket(endpoint: Endpoint) -> None:
    client = s3_client(endpoint)
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET):
        for each in page.get("Contents", []):
            client.delete_object(Bucket=BUCKET, Key=each["Key"])


def s3_client(endpoint: Endpoint) -> "S3Client":
    return boto3.client(
        "s3",
        endpoint_url=endpoint.url,
        aws_access_key_id=endpoint.access_key,
        aws_secret_access_key=endpoint.secret_key,
        region_name="us-east-1",
        config=Config(s3={"addressing_style": "path"}, proxies={}),
    )


@contextmanager
def port_forward(kubeconfig: Path, namespace: str, service: str, port: int) -> Iterator[int]:
    """A loopback port that leads to a Service's port, for the time of the block."""
    local = free_port()
    process = subprocess.Popen(
        [binary("cluster"), "kubectl", "port-forward", "-n", namespace, f"service/{service}", f"{local}:{port}"],
        env=os.environ | {"KUBECONFIG": str(kubeconfig)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(100):
            if listens("127.0.0.1", local):
                break
            if process.poll() is not None:
                raise ClusterError(f"kubectl port-forward to {service} ended with {process.returncode}")
            subprocess.run(["sleep", "0.1"], check=True)
        yield local
    finally:
        end(process)
