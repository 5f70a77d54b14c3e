"""What is away comes back and what was wrong is mended: runs under way wait meanwhile, and go on by themselves.

No test here annotates or deletes anything to get on: whoever mends what a message names has done all there is to do.
"""

import base64
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.cluster.workspace import CREDENTIALS, Workspace
from tests.devcluster import store

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1200)]

SERVED = "scenario-0001"


def test_what_a_message_names_is_mended_by_writing_it(workspace: Workspace):
    model = workspace.heavy_model(1)
    # A Job that fails is over at once: what goes on beyond that, the operator does.
    little = {"requests": {"cpu": "100m", "memory": "32Mi"}, "limits": {"cpu": "1", "memory": "64Mi"}}
    no_image = "127.0.0.1:5000/longtail/trainer:no-such-tag"
    model["spec"]["trainer"] = {"image": no_image, "backoffLimit": 0, "resources": little}
    workspace.apply(model, workspace.pool_scenario("scenario-0000"))
    workspace.until_condition("scenario", "scenario-0000", "DataPrepared", "False", "ImageNotPulled")
    workspace.patch("heavymodel", "model", {"spec": {"trainer": {"image": None}}})
    workspace.until_condition("scenario", "scenario-0000", "DataPrepared", "False", "OutOfMemory")
    workspace.patch("heavymodel", "model", {"spec": {"trainer": {"resources": {"limits": {"memory": "3Gi"}}}}})
    workspace.until_condition("heavymodel", "model", "Ready", "True")
    a_search_outlives_a_store_that_is_away_and_keys_that_do_not_work_yet(workspace)
    how_many_pods_serve_is_whoevers_who_set_it(workspace)


def a_search_outlives_a_store_that_is_away_and_keys_that_do_not_work_yet(workspace: Workspace) -> None:
    search = {"layers": 2, "operations": ["conv1", "conv3", "max_pool3"]}
    light = {"algorithm": {"name": "gdas", "gdas": {"epochs": 10}}, "searchSpace": search}
    workspace.apply(workspace.served_scenario(SERVED, light=light))
    workspace.until(lambda: search_has(workspace, "active"), "a pod searches")
    with wrong_keys(workspace):
        with store_away(workspace):
            workspace.until(lambda: search_has(workspace, "failed"), "the search's Job has failed")
            workspace.until_condition("heavymodel", "model", "StoreReady", "False")
        workspace.until_condition("heavymodel", "model", "StoreReady", "False", "CredentialsInvalid")
        assert "outcome" not in workspace.get("scenario", SERVED)["status"]["run"]
    workspace.until_condition("scenario", SERVED, "Ready", "True", seconds=420)
    run = workspace.get("scenario", SERVED)["status"]["run"]
    assert (run["number"], run["outcome"]) == (1, "Succeeded")


def search_has(workspace: Workspace, count: str) -> bool:
    """Whether the search's Job counts such pods."""
    jobs = workspace.list("jobs", "longtail.dev/role=search")
    return any(job["status"].get(count) for job in jobs)


@contextmanager
def wrong_keys(workspace: Workspace) -> Iterator[None]:
    """A rotation in the wrong order: the Secret has a key that does not work yet."""

    def write(key: str) -> None:
        workspace.patch("secret", CREDENTIALS, {"data": {"AWS_SECRET_ACCESS_KEY": key}})

    right = workspace.get("secret", CREDENTIALS)["data"]["AWS_SECRET_ACCESS_KEY"]
    write(base64.b64encode(b"not-yet-what-the-store-knows").decode())
    try:
        yield
    finally:
        write(right)


@contextmanager
def store_away(workspace: Workspace) -> Iterator[None]:
    """The store's Service has no endpoints; the store itself, and what is in it, stays."""

    def select(labels: dict[str, str]) -> None:
        patch = json.dumps([{"op": "replace", "path": "/spec/selector", "value": labels}])
        workspace.cluster.kubectl(
            "patch", "service", store.NAME, "-n", store.NAMESPACE, "--type=json", f"--patch={patch}"
        )

    labels = workspace.cluster.get("service", store.NAME, "-n", store.NAMESPACE)["spec"]["selector"]
    select({"nobody": "has-this"})
    try:
        yield
    finally:
        select(labels)


def how_many_pods_serve_is_whoevers_who_set_it(workspace: Workspace) -> None:
    (deployment,) = workspace.list("deployments", f"longtail.dev/scenario={SERVED}")
    name = deployment["metadata"]["name"]
    workspace.cluster.kubectl("scale", f"deployment/{name}", "--replicas=2", "-n", workspace.namespace)

    def both_are_ready() -> bool:
        return workspace.get("deployment", name)["status"].get("readyReplicas") == 2

    workspace.until(both_are_ready, "the second pod serves")
    time.sleep(5)
    assert workspace.get("deployment", name)["spec"]["replicas"] == 2
