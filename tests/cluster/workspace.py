"""A namespace, its store and what tests do in it."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from longtail_api.base import API_VERSION
from tests.demo import installation
from tests.demo.view import condition
from tests.devcluster import store
from tests.devcluster.kubernetes import Cluster
from tests.devcluster.versitygw import Endpoint

Resource = dict[str, Any]
CREDENTIALS = "store-credentials"
POOL = {"pool": "initial"}


@dataclass(frozen=True)
class Workspace:
    """Everything of one test: a namespace, and a bucket, of the same name where nothing else is said."""

    cluster: Cluster
    endpoint: Endpoint
    namespace: str
    tables: Path
    named_bucket: str = ""

    @property
    def bucket(self) -> str:
        return self.named_bucket or self.namespace

    def create(self) -> None:
        self.cluster.kubectl("create", "namespace", self.namespace)
        self.cluster.kubectl("label", "namespace", self.namespace, "pod-security.kubernetes.io/enforce=restricted")
        keys = {"AWS_ACCESS_KEY_ID": self.endpoint.access_key, "AWS_SECRET_ACCESS_KEY": self.endpoint.secret_key}
        metadata = {"name": CREDENTIALS, "namespace": self.namespace}
        self.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": keys})
        client = installation.s3_client(self.endpoint)
        client.create_bucket(Bucket=self.bucket)
        for path in sorted(self.tables.rglob("*.parquet")):
            client.upload_file(str(path), self.bucket, f"data/{installation.table_key(self.tables, path)}")

    def remove(self) -> None:
        self.cluster.kubectl("delete", "namespace", self.namespace, "--wait", "--timeout=180s")
        self.empty()

    def empty(self) -> None:
        """Remove the bucket, with all that is in it."""
        client = installation.s3_client(self.endpoint)
        for key in self.keys():
            client.delete_object(Bucket=self.bucket, Key=key)
        client.delete_bucket(Bucket=self.bucket)

    def keys(self, prefix: str = "") -> list[str]:
        """Keys in the bucket."""
        pages = installation.s3_client(self.endpoint).get_paginator("list_objects_v2")
        found = pages.paginate(Bucket=self.bucket, Prefix=prefix)
        return [each["Key"] for page in found for each in page.get("Contents", []) if "Key" in each]

    def read(self, key: str) -> bytes:
        return installation.s3_client(self.endpoint).get_object(Bucket=self.bucket, Key=key)["Body"].read()

    def apply(self, *resources: Resource) -> None:
        self.cluster.apply_text("\n---\n".join(json.dumps(each) for each in resources))

    def get(self, kind: str, name: str) -> Resource:
        return self.cluster.get(kind, name, "-n", self.namespace)

    def list(self, kind: str, selector: str = "") -> list[Resource]:
        words = ["-l", selector] if selector else []
        return self.cluster.get(kind, "-n", self.namespace, *words)["items"]

    def delete(self, kind: str, name: str, *words: str) -> None:
        self.cluster.kubectl("delete", kind, name, "-n", self.namespace, *words)

    def patch(self, kind: str, name: str, patch: Resource) -> None:
        self.cluster.kubectl("patch", kind, name, "-n", self.namespace, "--type=merge", f"--patch={json.dumps(patch)}")

    def until(self, seen: Callable[[], Any], what: str, seconds: float = 240) -> Any:
        """The first true value of `seen`; fails with `what` was waited for after `seconds`."""
        deadline = time.monotonic() + seconds
        while True:
            value = seen()
            if value:
                return value
            assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}\n{self.describe()}"
            time.sleep(1)

    def until_condition(
        self, kind: str, name: str, type_: str, status: str, reason: str = "", seconds: float = 300
    ) -> Resource:
        """The condition, once it has this status (and reason) for the spec as it is now."""

        def seen() -> Resource | None:
            resource = self.get(kind, name)
            found = condition(resource, type_)
            current = found.get("observedGeneration") == resource["metadata"]["generation"]
            return found if current and found["status"] == status and reason in ("", found["reason"]) else None

        return self.until(seen, f"{kind} {name} {type_}={status} {reason}", seconds)

    def describe(self) -> str:
        """What a person would look at."""
        lines: list[str] = []
        for kind in ("heavymodel", "scenario", "lightmodelsearch"):
            for each in self.list(kind):
                for found in each.get("status", {}).get("conditions", []):
                    words = f"{found['type']}={found['status']} {found['reason']}: {found.get('message', '')}"
                    lines.append(f"{kind}/{each['metadata']['name']} {words}")
        for kind in ("jobs", "pods"):
            lines.append(self.cluster.kubectl("get", kind, "-n", self.namespace))
        return "\n".join(lines)

    def heavy_model(self, pool_size: int, **spec: Any) -> Resource:
        """A HeavyModel that trains in seconds; `spec` overrides."""
        schema = yaml.safe_load((self.tables / "schema.yaml").read_text())
        bucket = f"s3://{self.bucket}"
        behaviors = {each["name"]: f"{bucket}/data/behaviors/{each['name']}" for each in schema["behaviors"]}
        return {
            "apiVersion": API_VERSION,
            "kind": "HeavyModel",
            "metadata": {"name": "model", "namespace": self.namespace},
            "spec": {
                "schema": schema,
                "data": {
                    "samples": f"{bucket}/data/samples.parquet",
                    "profile": f"{bucket}/data/profile.parquet",
                    "behaviors": behaviors,
                },
                "training": {"epochs": 2, "fineTuneEpochs": 1},
                "initialization": {"scenarioSelector": {"matchLabels": POOL}, "minScenarios": pool_size},
                "metaUpdate": {"bufferSize": 1, "flushIntervalSeconds": 5},
                "storage": {
                    "uri": f"{bucket}/store",
                    "endpoint": store.INSIDE_URL,
                    "credentialsSecretRef": {"name": CREDENTIALS},
                },
                "trainer": {
                    "resources": {
                        "requests": {"cpu": "100m", "memory": "256Mi"},
                        "limits": {"cpu": "1", "memory": "3Gi"},
                    }
                },
                **spec,
            },
        }

    def scenario(self, name: str, labels: dict[str, str] | None = None, **spec: Any) -> Resource:
        """A Scenario of that HeavyModel; contributing only, where `spec` names no serving."""
        return {
            "apiVersion": API_VERSION,
            "kind": "Scenario",
            "metadata": {"name": name, "namespace": self.namespace, "labels": labels or {}},
            "spec": {"heavyModelRef": {"name": "model"}, **spec},
        }

    def pool_scenario(self, name: str) -> Resource:
        return self.scenario(name, labels=POOL)

    def served_scenario(self, name: str, p99: int | str = 1000, **spec: Any) -> Resource:
        """A Scenario to be served, with a search of one epoch."""
        search = {"layers": 2, "operations": ["conv1", "conv3", "max_pool3"]}
        light = {"algorithm": {"name": "gdas", "gdas": {"epochs": 1}}, "searchSpace": search}
        serving = {
            "resources": {"requests": {"cpu": "50m", "memory": "128Mi"}},
            "slo": {"p99Milliseconds": p99},
            "rollout": {"checkSeconds": 2},
            "maxRegression": "1",
        }
        return self.scenario(name, **({"budget": {"maxFlops": "1M"}, "light": light, "serving": serving} | spec))
