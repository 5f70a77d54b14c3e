"""`kubectl apply -f manifests/examples`, as shipped, ends in a light model that serves."""

import json
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.workspace import Workspace
from tests.demo import installation
from tests.devcluster import layout
from tests.devcluster.kubernetes import Cluster
from tests.devcluster.versitygw import Endpoint

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1200)]

EXAMPLES = layout.REPOSITORY / "manifests" / "examples"
TABLES, STORE = "warehouse", "longtail"
"""The buckets that the examples name."""
SERVED = "homepage-banner"


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As docs/installing.md says."""
    words = "python -m benchmarks.datasets synthetic tables --scenarios 5 --rows 2000 --events 20000"
    assert f"`{words}`" in (layout.REPOSITORY / "docs" / "installing.md").read_text()
    folder = tmp_path_factory.mktemp("data") / "tables"
    command = [str(folder) if word == "tables" else word for word in words.split()[1:]]
    subprocess.run([sys.executable, *command], check=True, capture_output=True)
    return folder


@pytest.fixture
def workspace(cluster: Cluster, endpoint: Endpoint, tables: Path) -> Iterator[Workspace]:
    """What the head of the examples asks for: a Secret, a bucket for the store, the generated tables."""
    space = Workspace(cluster, endpoint, f"test-{secrets.token_hex(4)}", tables, named_bucket=STORE)
    client = installation.s3_client(endpoint)
    for bucket in (TABLES, STORE):
        client.create_bucket(Bucket=bucket)
    for path in sorted(tables.rglob("*.parquet")):
        client.upload_file(str(path), TABLES, f"ads/{installation.table_key(tables, path)}")
    cluster.kubectl("create", "namespace", space.namespace)
    words = [f"--from-literal=AWS_ACCESS_KEY_ID={endpoint.access_key}"]
    words.append(f"--from-literal=AWS_SECRET_ACCESS_KEY={endpoint.secret_key}")
    cluster.kubectl("create", "secret", "generic", "longtail-store", "-n", space.namespace, *words)
    try:
        yield space
    finally:
        Workspace(cluster, endpoint, space.namespace, tables, named_bucket=TABLES).empty()
        space.remove()


def infer(workspace: Workspace, scenario: str) -> dict:
    """The answer of a served model to its first recorded row, by curl through a port-forward."""
    key = next(
        key
        for key in workspace.keys(f"ad-slots/data/{workspace.namespace}.{scenario}.")
        if key.endswith("requests.jsonl")
    )
    row = json.loads(workspace.read(key).decode().splitlines()[0])
    forward = installation.port_forward(workspace.cluster.kubeconfig, workspace.namespace, scenario, 8080)
    with forward as port:
        url = f"http://127.0.0.1:{port}/v2/models/{scenario}/infer"
        body = json.dumps({"inputs": row["inputs"]})
        return json.loads(installation.run(["curl", "-sS", "--fail-with-body", "--noproxy", "*", "--json", body, url]))


def test_the_examples_go_from_manifests_to_prediction_and_feed_the_shared_model(workspace: Workspace):
    workspace.cluster.kubectl("apply", "-f", str(EXAMPLES), "-n", workspace.namespace)
    workspace.until_condition("heavymodel", "ad-slots", "Ready", "True")
    pool = [each["metadata"]["name"] for each in workspace.list("scenario", "pool=initial")]
    assert len(pool) == 3
    for name in pool:
        workspace.until_condition("scenario", name, "Ready", "True", "Contributing")
    workspace.until_condition("scenario", SERVED, "Ready", "True", seconds=420)

    scenario = workspace.get("scenario", SERVED)
    status = scenario["status"]
    assert status["lineage"]["agnosticVersion"] == 1
    assert 0 < status["metrics"]["light"]["flops"] <= 250_000
    answer = infer(workspace, SERVED)
    assert all(0 <= value <= 1 for output in answer["outputs"] for value in output["data"])

    def version_two() -> bool:
        return workspace.get("heavymodel", "ad-slots")["status"]["version"]["number"] == 2

    workspace.until(version_two, "the feedback makes version 2")
    record = json.loads(workspace.read("ad-slots/agnostic/versions/000000000002.json"))
    assert [folded["run"] for folded in record["folded"]] == [1]
    # A pool member gave its rows, and no feedback: only the scenario that arrived did.
    assert [key.split("/")[3].split(".")[1] for key in workspace.keys("ad-slots/agnostic/feedback/")] == [SERVED]
    workspace.until_condition("lightmodelsearch", "homepage-banner-half", "Complete", "True")
    still_ready(workspace)
    children_are_put_right(workspace)


def still_ready(workspace: Workspace) -> None:
    """A new agnostic version starts no run: the Scenario's run number stays."""
    assert workspace.get("scenario", SERVED)["status"]["run"]["number"] == 1


def children_are_put_right(workspace: Workspace) -> None:
    """An edited child, a deleted child, and a finished Job that somebody removed."""
    deployment = workspace.list("deployments", f"longtail.dev/scenario={SERVED}")[0]
    name = deployment["metadata"]["name"]
    image = deployment["spec"]["template"]["spec"]["containers"][0]["image"]
    container = deployment["spec"]["template"]["spec"]["containers"][0]["name"]
    workspace.cluster.kubectl(
        "set", "image", f"deployment/{name}", f"{container}=nowhere.invalid/x", "-n", workspace.namespace
    )

    def image_now() -> bool:
        found = workspace.get("deployment", name)["spec"]["template"]["spec"]["containers"][0]
        return found["image"] == image

    workspace.until(image_now, "the edited Deployment is put right", 60)
    workspace.delete("service", SERVED)
    workspace.until(
        lambda: SERVED in {each["metadata"]["name"] for each in workspace.list("services")},
        "the Service is back",
        60,
    )
    jobs = workspace.list("jobs", f"longtail.dev/scenario={SERVED}")
    for job in jobs:
        workspace.delete("job", job["metadata"]["name"])
    workspace.until_condition("scenario", SERVED, "Ready", "True", seconds=120)
    assert not workspace.list("jobs", f"longtail.dev/scenario={SERVED}"), "a finished step ran again"
