"""One `kubectl apply` of a Scenario ends in a light model that serves."""

import json

import pytest

from tests.cluster.workspace import Workspace
from tests.demo import installation

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]


def infer(workspace: Workspace, scenario: str) -> dict:
    """The answer of a served model to its first recorded row, by curl through a port-forward."""
    key = next(
        key for key in workspace.keys(f"store/data/{workspace.namespace}.{scenario}.") if key.endswith("requests.jsonl")
    )
    row = json.loads(workspace.read(key).decode().splitlines()[0])
    forward = installation.port_forward(workspace.cluster.kubeconfig, workspace.namespace, scenario, 8080)
    with forward as port:
        url = f"http://127.0.0.1:{port}/v2/models/{scenario}/infer"
        body = json.dumps({"inputs": row["inputs"]})
        return json.loads(installation.run(["curl", "-sS", "--fail-with-body", "--noproxy", "*", "--json", body, url]))


def test_a_scenario_goes_from_manifest_to_prediction_and_feeds_the_shared_model(workspace: Workspace):
    pool = ["scenario-0000", "scenario-0001", "scenario-0002"]
    workspace.apply(workspace.heavy_model(len(pool)), *(workspace.pool_scenario(name) for name in pool))
    workspace.until_condition("heavymodel", "model", "Ready", "True")
    for name in pool:
        workspace.until_condition("scenario", name, "Ready", "True", "Contributing")
    first = workspace.get("heavymodel", "model")["status"]["version"]
    assert first["number"] == 1
    budget = workspace.get("heavymodel", "model")["status"]["flops"] // 2

    workspace.apply(workspace.served_scenario("scenario-0003", budget={"maxFlops": budget}))
    workspace.until_condition("scenario", "scenario-0003", "Ready", "True", seconds=420)

    status = workspace.get("scenario", "scenario-0003")["status"]
    assert status["lineage"]["agnosticVersion"] == 1
    assert 0 < status["metrics"]["light"]["flops"] <= budget
    answer = infer(workspace, "scenario-0003")
    assert all(0 <= value <= 1 for output in answer["outputs"] for value in output["data"])

    def version_two() -> bool:
        return workspace.get("heavymodel", "model")["status"]["version"]["number"] == 2

    workspace.until(version_two, "the feedback makes version 2")
    record = json.loads(workspace.read("store/agnostic/versions/000000000002.json"))
    assert [folded["run"] for folded in record["folded"]] == [1]
    # A pool member gave its rows, and no feedback: only the scenario that arrived did.
    assert [key.split("/")[3].split(".")[1] for key in workspace.keys("store/agnostic/feedback/")] == ["scenario-0003"]
    still_ready(workspace)
    children_are_put_right(workspace)


def still_ready(workspace: Workspace) -> None:
    """A new agnostic version starts no run: the Scenario's run number stays."""
    assert workspace.get("scenario", "scenario-0003")["status"]["run"]["number"] == 1


def children_are_put_right(workspace: Workspace) -> None:
    """An edited child, a deleted child, and a finished Job that somebody removed."""
    deployment = workspace.list("deployments", "longtail.dev/scenario=scenario-0003")[0]
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
    workspace.delete("service", "scenario-0003")
    workspace.until(
        lambda: "scenario-0003" in {each["metadata"]["name"] for each in workspace.list("services")},
        "the Service is back",
        60,
    )
    jobs = workspace.list("jobs", "longtail.dev/scenario=scenario-0003")
    for job in jobs:
        workspace.delete("job", job["metadata"]["name"])
    workspace.until_condition("scenario", "scenario-0003", "Ready", "True", seconds=120)
    assert not workspace.list("jobs", "longtail.dev/scenario=scenario-0003"), "a finished step ran again"
