"""What cannot work says so in a condition, in words of whoever found it, and what was there stays."""

import polars
import pytest

from tests.cluster.workspace import Workspace
from tests.demo import installation
from tests.demo.view import condition
from tests.devcluster import layout

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]


def test_a_scenario_without_its_heavy_model_waits_for_it_by_name(workspace: Workspace):
    workspace.apply(workspace.scenario("scenario-0000"))
    found = workspace.until_condition("scenario", "scenario-0000", "Ready", "False", "HeavyModelNotFound", 60)
    assert "model" in found["message"]
    workspace.apply(workspace.heavy_model(1))
    workspace.until_condition("scenario", "scenario-0000", "DataPrepared", "True")


def test_wrong_data_fails_at_once_with_table_column_and_remedy(workspace: Workspace):
    broken = workspace.tables.parent / "broken.parquet"
    samples = polars.read_parquet(workspace.tables / "samples.parquet")
    samples.drop("time").write_parquet(broken)
    installation.s3_client(workspace.endpoint).upload_file(str(broken), workspace.namespace, "data/broken.parquet")
    data = {"samples": f"s3://{workspace.namespace}/data/broken.parquet"}
    workspace.apply(workspace.heavy_model(1), workspace.scenario("scenario-0000", data=data))
    found = workspace.until_condition("scenario", "scenario-0000", "Ready", "False", "DataInvalid", 120)
    assert "samples" in found["message"]
    assert "time" in found["message"]
    # A person mends the address: the change of the spec starts a new run, which succeeds.
    workspace.patch("scenario", "scenario-0000", {"spec": {"data": {"samples": None}}})
    workspace.until_condition("scenario", "scenario-0000", "DataPrepared", "True")
    assert workspace.get("scenario", "scenario-0000")["status"]["run"]["number"] == 2


def test_a_pod_without_a_place_shows_the_schedulers_own_words_until_the_node_offers_a_gpu(workspace: Workspace):
    wanted = {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"nvidia.com/gpu": 1}}
    workspace.apply(workspace.heavy_model(1), workspace.scenario("scenario-0000", trainer={"resources": wanted}))
    found = workspace.until_condition("scenario", "scenario-0000", "Ready", "False", "Unschedulable", 120)
    assert "Insufficient nvidia.com/gpu" in found["message"]
    workspace.cluster.set_gpus(layout.NODE_NAME, 1)
    try:
        workspace.until_condition("scenario", "scenario-0000", "DataPrepared", "True")
        limits = workspace.list("jobs")[0]["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]
        assert limits["nvidia.com/gpu"] == "1"
    finally:
        workspace.cluster.set_gpus(layout.NODE_NAME, 0)


def test_a_budget_below_the_cheapest_architecture_says_the_smallest_reachable_figure(workspace: Workspace):
    workspace.apply(
        workspace.heavy_model(1),
        workspace.pool_scenario("scenario-0000"),
        workspace.served_scenario("scenario-0001", budget={"maxFlops": 10}),
    )
    found = workspace.until_condition("scenario", "scenario-0001", "Ready", "False", "BudgetUnreachable")
    assert "10" in found["message"]
    assert condition(workspace.get("scenario", "scenario-0001"), "Adapted")["status"] == "True"
    assert not workspace.list("deployments")
