"""After SIGKILL of the operator anywhere in a run, a restart carries the run to the same end."""

import json
from collections.abc import Callable

import pytest

from tests.cluster.workspace import Workspace
from tests.demo import installation
from tests.demo.view import condition

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1200)]

SCENARIO = "scenario-0002"


def kill_operator(workspace: Workspace) -> None:
    """SIGKILL: no grace period, no handler runs; the Deployment starts another."""
    words = ["-n", installation.SYSTEM_NAMESPACE, "-l", "app.kubernetes.io/component=operator"]
    workspace.cluster.kubectl("delete", "pod", *words, "--grace-period=0", "--force")


def moments(workspace: Workspace) -> list[tuple[str, Callable[[], bool]]]:
    """Five moments of one run, each in the middle of what a step does."""

    def job_running(role: str) -> Callable[[], bool]:
        selector = f"longtail.dev/scenario={SCENARIO},longtail.dev/role={role}"
        return lambda: any(job["status"].get("active") for job in workspace.list("jobs", selector))

    def scenario_has(type_: str) -> Callable[[], bool]:
        return lambda: condition(workspace.get("scenario", SCENARIO), type_).get("status") == "True"

    def candidate() -> bool:
        return bool(workspace.list("deployments", f"longtail.dev/scenario={SCENARIO}"))

    return [
        ("prepare runs", job_running("prepare")),
        ("adapt runs", job_running("adapt")),
        ("the search exists", lambda: bool(workspace.list("lightmodelsearch"))),
        ("the light model trains", scenario_has("Searched")),
        ("a candidate is checked", candidate),
    ]


def test_five_kills_in_one_run_lose_nothing_and_repeat_nothing(workspace: Workspace):
    workspace.apply(
        workspace.heavy_model(1), workspace.pool_scenario("scenario-0000"), workspace.pool_scenario("scenario-0001")
    )
    workspace.until_condition("heavymodel", "model", "Ready", "True")
    workspace.apply(workspace.served_scenario(SCENARIO))
    for what, reached in moments(workspace):
        workspace.until(reached, what, 240)
        kill_operator(workspace)
    workspace.until_condition("scenario", SCENARIO, "Ready", "True", seconds=420)

    assert workspace.get("scenario", SCENARIO)["status"]["run"]["number"] == 1
    jobs = workspace.list("jobs", f"longtail.dev/scenario={SCENARIO}")
    roles = sorted(
        job["metadata"]["labels"]["longtail.dev/role"]
        for job in jobs
        if "check" not in job["metadata"]["labels"]["longtail.dev/role"]
    )
    assert len(roles) == len(set(roles)), f"a step had two Jobs: {roles}"

    def folded() -> bool:
        return workspace.get("heavymodel", "model")["status"].get("feedback", {}).get("folded") == 1

    workspace.until(folded, "the feedback is folded")
    versions = [json.loads(workspace.read(key)) for key in workspace.keys("store/agnostic/versions/")]
    assert [version["number"] for version in versions] == list(range(1, len(versions) + 1))
    settled = [(each["scenario"], each["run"]) for version in versions for each in version.get("folded", [])]
    assert len(settled) == len(set(settled)) == 1
