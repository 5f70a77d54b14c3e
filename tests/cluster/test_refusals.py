"""What the cluster refuses a step, or takes from it, stands in its condition within a minute: one namespace a case.

All cases wait at once and are looked at one after the other, so that the whole takes little more than the slowest.
No step of them ever works: what it would work on is not there.
"""

import json
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from longtail_api.base import API_VERSION
from tests.cluster.workspace import CREDENTIALS, Resource
from tests.demo import installation
from tests.demo.view import condition
from tests.devcluster import store
from tests.devcluster.containerd import SANDBOX_IMAGE
from tests.devcluster.kubernetes import Cluster
from tests.devcluster.versitygw import Endpoint

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]
SECONDS = 60
"""From when the API server shows it until the condition does."""


@dataclass(frozen=True)
class Case:
    """What is there beside a HeavyModel and a Scenario, and what the condition is to say."""

    words: str
    beside: Callable[[str], list[Resource]] = field(default=lambda namespace: [])
    """Made first; given the namespace."""
    trainer: dict[str, Any] = field(default_factory=dict[str, Any])
    reason: str = "Refused"
    shows: Callable[[Cluster, str], bool] | None = None
    """Whether the API server shows it, which may take something to be done; None: from the beginning."""
    is_replaced: bool = False
    """Whether another pod follows at once, so that of what the condition said a moment later only its event is left."""


def an_object(api_version: str, kind: str, namespace: str, spec: dict[str, Any], **metadata: Any) -> Resource:
    return {
        "apiVersion": api_version, "kind": kind, "metadata": {"name": "case", "namespace": namespace, **metadata},
        "spec": spec,
    }  # fmt: skip


def a_policy(namespace: str) -> list[Resource]:
    admission = "admissionregistration.k8s.io/v1"
    rule = {"apiGroups": ["batch"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["jobs"]}
    matched = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}, "resourceRules": [rule],
    }  # fmt: skip
    demand = {
        "expression": "'cost-center' in object.metadata.labels",
        "message": "every Job needs the label cost-center",
    }
    metadata = {"name": namespace}
    binding = {"policyName": namespace, "validationActions": ["Deny"]}
    return [
        {"apiVersion": admission, "kind": "ValidatingAdmissionPolicy", "metadata": metadata,
         "spec": {"matchConstraints": matched, "validations": [demand]}},
        {"apiVersion": admission, "kind": "ValidatingAdmissionPolicyBinding", "metadata": metadata, "spec": binding},
    ]  # fmt: skip


def restricted(namespace: str) -> list[Resource]:
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    return [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": labels}}]


def has_warning(reason: str) -> Callable[[Cluster, str], bool]:
    def shows(cluster: Cluster, namespace: str) -> bool:
        found = cluster.get("events", "-n", namespace, "--field-selector", f"reason={reason}")["items"]
        return any(event["involvedObject"]["kind"] in ("Job", "Pod") for event in found)

    return shows


def evicts(cluster: Cluster, namespace: str) -> bool:
    """Evict the pod once it runs."""
    for pod in cluster.get("pods", "-n", namespace)["items"]:
        if pod["status"].get("phase") == "Running":
            name = pod["metadata"]["name"]
            body = {
                "apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": namespace},
            }  # fmt: skip
            path = f"/api/v1/namespaces/{namespace}/pods/{name}/eviction"
            cluster.kubectl("create", "--raw", path, "-f", "-", text=json.dumps(body))
            return True
    return False


def ran_out_of_memory(cluster: Cluster, namespace: str) -> bool:
    return "OOMKilled" in cluster.kubectl("get", "pods", "-n", namespace, "-o", "json")


SMALL = {"requests": {"memory": "32Mi", "cpu": "10m"}, "limits": {"memory": "32Mi"}}
IDLE = {"image": SANDBOX_IMAGE, "resources": SMALL}
CASES = {
    "quota": Case(
        "exceeded quota: case",
        lambda namespace: [an_object("v1", "ResourceQuota", namespace, {"hard": {"limits.memory": "16Mi"}})],
        trainer=IDLE,
        shows=has_warning("FailedCreate"),
    ),
    "limits": Case(
        "maximum memory usage per Container is 16Mi",
        lambda namespace: [
            an_object("v1", "LimitRange", namespace, {"limits": [{"type": "Container", "max": {"memory": "16Mi"}}]})
        ],
        trainer=IDLE,
        shows=has_warning("FailedCreate"),
    ),
    "pod-security": Case(
        'violates PodSecurity "restricted:latest": runAsNonRoot != true',
        restricted,
        trainer={**IDLE, "podTemplate": {"securityContext": {"runAsNonRoot": False, "runAsUser": 0}}},
        shows=has_warning("FailedCreate"),
    ),
    "account": Case(
        'serviceaccount "nobody" not found',
        trainer={**IDLE, "podTemplate": {"serviceAccountName": "nobody"}},
        shows=has_warning("FailedCreate"),
    ),
    "class": Case(
        "no PriorityClass with name never-made was found",
        trainer={**IDLE, "podTemplate": {"priorityClassName": "never-made"}},
        shows=has_warning("FailedCreate"),
    ),
    "policy": Case("every Job needs the label cost-center", a_policy, trainer=IDLE),
    "image": Case(
        "127.0.0.1:5000/longtail/never-made:1", trainer={**IDLE, "image": "127.0.0.1:5000/longtail/never-made:1"},
        reason="ImageNotPulled", shows=has_warning("Failed"),
    ),
    "evicted": Case("EvictionByEvictionAPI", trainer=IDLE, reason="", shows=evicts, is_replaced=True),
    "memory": Case("OOMKilled", trainer={"resources": SMALL}, reason="", shows=ran_out_of_memory),
}  # fmt: skip


def heavy_model(namespace: str, bucket: str, trainer: dict[str, Any]) -> Resource:
    spec = {
        "schema": {"labels": [{"name": "click"}], "context": {"numeric": ["price"]}},
        "data": {"samples": f"s3://{bucket}/samples.parquet"},
        "storage": {
            "uri": f"s3://{bucket}/{namespace}", "endpoint": store.INSIDE_URL,
            "credentialsSecretRef": {"name": CREDENTIALS},
        },
        "trainer": trainer,
    }  # fmt: skip
    return {
        "apiVersion": API_VERSION, "kind": "HeavyModel", "metadata": {"name": "model", "namespace": namespace},
        "spec": spec,
    }  # fmt: skip


@pytest.fixture(scope="module")
def namespaces(cluster: Cluster, endpoint: Endpoint, images: dict[str, str]) -> Iterator[dict[str, str]]:
    """By case, the namespace in which it waits."""
    root = f"refused-{secrets.token_hex(3)}"
    client = installation.s3_client(endpoint)
    client.create_bucket(Bucket=root)
    keys = {"AWS_ACCESS_KEY_ID": endpoint.access_key, "AWS_SECRET_ACCESS_KEY": endpoint.secret_key}
    found = {name: f"{root}-{name}" for name in CASES}
    beside, scenarios = [], []
    for name, namespace in found.items():
        case = CASES[name]
        trainer = case.trainer if "image" in case.trainer else {**case.trainer, "image": images["operator"]}
        beside += [
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}},
            {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": CREDENTIALS, "namespace": namespace},
             "stringData": keys},
            *case.beside(namespace),
            heavy_model(namespace, root, trainer),
        ]  # fmt: skip
        scenarios.append(
            {"apiVersion": API_VERSION, "kind": "Scenario", "metadata": {"name": "scenario", "namespace": namespace},
             "spec": {"heavyModelRef": {"name": "model"}}}
        )  # fmt: skip
    cluster.apply_text("\n---\n".join(map(json.dumps, beside)))
    # A policy holds a moment after it was made.
    time.sleep(3)
    cluster.apply_text("\n---\n".join(map(json.dumps, scenarios)))
    yield found
    for kind in ("validatingadmissionpolicybinding", "validatingadmissionpolicy"):
        cluster.kubectl("delete", kind, found["policy"])
    cluster.kubectl("delete", "namespace", "--wait=false", *found.values())
    for each in client.list_objects_v2(Bucket=root).get("Contents", []):
        client.delete_object(Bucket=root, Key=each.get("Key", ""))
    client.delete_bucket(Bucket=root)


def until(seen: Callable[[], bool], seconds: float, what: Callable[[], str]) -> None:
    deadline = time.monotonic() + seconds
    while not seen():
        assert time.monotonic() < deadline, what()
        time.sleep(0.5)


@pytest.mark.parametrize("name", CASES)
def test_what_the_cluster_says_against_a_step_stands_in_its_condition(
    name: str, cluster: Cluster, namespaces: dict[str, str]
):
    case, namespace = CASES[name], namespaces[name]

    def told() -> bool:
        found = condition(cluster.get("scenario", "scenario", "-n", namespace), "DataPrepared")
        if case.words in found.get("message", "") and case.reason in ("", found["reason"]):
            return True
        return case.is_replaced and any(
            case.words in event["message"]
            for event in cluster.get("events", "-n", namespace, "--field-selector", "involvedObject.name=scenario")[
                "items"
            ]
        )

    def all_that_is_said() -> str:
        return cluster.kubectl("get", "scenario,job,pod,event", "-n", namespace, "-o", "yaml")[-6000:]

    shows = case.shows
    if shows is not None:
        until(lambda: shows(cluster, namespace), 120, all_that_is_said)
    until(told, SECONDS, all_that_is_said)
