"""Suspend, refused candidates, schedules and deletion, as a person meets them."""

import time

import pytest

from tests.cluster.workspace import Workspace
from tests.demo.view import condition

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]


@pytest.fixture
def ready(workspace: Workspace) -> Workspace:
    """A workspace whose HeavyModel has its first version."""
    workspace.apply(workspace.heavy_model(1), workspace.pool_scenario("scenario-0000"))
    workspace.until_condition("heavymodel", "model", "Ready", "True")
    return workspace


def test_a_suspended_scenario_starts_nothing_and_resumes_where_it_was(ready: Workspace):
    ready.apply(ready.served_scenario("scenario-0001", suspend=True))
    ready.until_condition("scenario", "scenario-0001", "Ready", "False", "Suspended", 60)
    time.sleep(5)
    assert not ready.list("jobs", "longtail.dev/scenario=scenario-0001")
    ready.patch("scenario", "scenario-0001", {"spec": {"suspend": False}})
    ready.until_condition("scenario", "scenario-0001", "DataPrepared", "True")
    ready.patch("scenario", "scenario-0001", {"spec": {"suspend": True}})
    ready.until_condition("scenario", "scenario-0001", "Ready", "False", "Suspended", 60)
    ready.patch("scenario", "scenario-0001", {"spec": {"suspend": False}})
    ready.until_condition("scenario", "scenario-0001", "Ready", "True", seconds=420)
    status = ready.get("scenario", "scenario-0001")["status"]
    assert status["run"]["number"] == 1
    refused_candidates_leave_the_stable_version(ready)
    deletion_removes_what_it_owns(ready)


def refused_candidates_leave_the_stable_version(ready: Workspace) -> None:
    """An SLO nobody can meet, then a new run: its candidate is refused, the stable one goes on."""
    before = ready.get("scenario", "scenario-0001")["status"]["serving"]
    ready.patch("scenario", "scenario-0001", {"spec": {"serving": {"slo": {"p99Milliseconds": "0.001"}}}})
    ready.cluster.kubectl("annotate", "scenario", "scenario-0001", "-n", ready.namespace, "longtail.dev/run=again")
    found = ready.until_condition("scenario", "scenario-0001", "RolledOut", "False", "SLOCheckFailed", 420)
    assert "0.001" in found["message"]
    after = ready.get("scenario", "scenario-0001")["status"]
    assert after["run"]["number"] == 2
    assert after["serving"]["stable"] == before["stable"]
    assert after["serving"]["refused"] != before["stable"]
    selector = ready.get("service", "scenario-0001")["spec"]["selector"]
    assert selector["longtail.dev/version"] == before["stable"]

    def one_deployment() -> bool:
        return len(ready.list("deployments", "longtail.dev/scenario=scenario-0001")) == 1

    ready.until(one_deployment, "the refused candidate is removed", 60)


def deletion_removes_what_it_owns(ready: Workspace) -> None:
    others = {job["metadata"]["name"] for job in ready.list("jobs", "longtail.dev/scenario=scenario-0000")}
    ready.delete("scenario", "scenario-0001", "--timeout=60s")
    for kind in ("jobs", "deployments", "services", "configmaps", "lightmodelsearch"):
        ready.until(
            lambda kind=kind: not ready.list(kind, "longtail.dev/scenario=scenario-0001"), f"{kind} are gone", 90
        )
    assert others == {job["metadata"]["name"] for job in ready.list("jobs", "longtail.dev/scenario=scenario-0000")}


def test_a_schedule_refreshes_the_data_and_runs_never_overlap(ready: Workspace):
    ready.apply(ready.scenario("scenario-0001", refresh={"data": "* * * * *"}))
    ready.until_condition("scenario", "scenario-0001", "DataPrepared", "True")
    first = ready.get("scenario", "scenario-0001")["status"]["run"]["number"]

    def active_jobs() -> int:
        jobs = ready.list("jobs", "longtail.dev/scenario=scenario-0001")
        return sum(1 for job in jobs if job["status"].get("active"))

    def next_run() -> bool:
        assert active_jobs() <= 1
        status = ready.get("scenario", "scenario-0001")["status"]
        done = condition(ready.get("scenario", "scenario-0001"), "DataPrepared").get("status") == "True"
        return status["run"]["number"] > first and done

    ready.until(next_run, "the schedule starts a run of its own", 200)
    manifests = [key for key in ready.keys("store/data/") if ".scenario-0001." in key and key.endswith("manifest.json")]
    assert len(manifests) >= 2


def test_two_pods_train_the_pool_though_one_of_them_is_lost(workspace: Workspace):
    model = workspace.heavy_model(1)
    model["spec"]["training"] = {"epochs": 40, "fineTuneEpochs": 1}
    model["spec"]["trainer"]["nodes"] = 2
    workspace.apply(model, workspace.pool_scenario("scenario-0000"))
    selector = "longtail.dev/role=initialize"

    def both_run() -> bool:
        pods = workspace.list("pods", selector)
        return [pod["status"]["phase"] for pod in pods] == ["Running", "Running"]

    workspace.until(both_run, "both pods of the training run")
    (job,) = workspace.list("jobs", selector)
    assert job["spec"]["completionMode"] == "Indexed"
    lost = workspace.list("pods", selector)[1]["metadata"]["name"]
    workspace.delete("pod", lost, "--grace-period=0", "--force")
    workspace.until_condition("heavymodel", "model", "Ready", "True", seconds=420)
    (job,) = workspace.list("jobs", selector)
    assert job["status"]["completedIndexes"] == "0,1"
    versions = [key for key in workspace.keys("store/agnostic/versions/") if key.endswith(".json")]
    assert len(versions) == 1
