"""What others write to our resources and to their children stops nothing, and stays."""

from typing import Any

import pytest

from longtail_api.heavy_model import HeavyModelStatus
from longtail_api.scenario import ScenarioStatus
from longtail_operator.heavy_model.plan import plan_heavy_model
from longtail_operator.heavy_model.world import pool_of
from longtail_operator.kubernetes.apply import difference
from longtail_operator.kubernetes.identity import candidate_name, child_base
from longtail_operator.kubernetes.objects import Json
from longtail_operator.kubernetes.own_status import StatusUnreadable, own_status
from longtail_operator.kubernetes.snapshot import Snapshot
from longtail_operator.scenario.plan import plan_scenario
from longtail_operator.stores.view import StoreView
from longtail_operator.worlds import heavy_model_world, scenario_world
from tests.unit.operator_builders import NOON, SETTINGS, Story, a_heavy_model, a_serving_scenario, initialized

APPROVED = {
    "type": "Approved", "status": "True", "reason": "by somebody", "lastTransitionTime": "2026-06-01T12:00:00Z",
}  # fmt: skip


def foreign(status: Json) -> Json:
    """The status with what a newer operator and another controller might have put there."""
    return {
        **status,
        "fieldOfTomorrow": {"x": 1},
        "run": {**status["run"], "fieldOfTomorrow": [1]},
        "conditions": [APPROVED, *({**one, "fieldOfTomorrow": 1} for one in status["conditions"])],
    }


def test_fields_and_conditions_of_others_are_passed_over():
    story = Story()
    story.settle()
    assert own_status(ScenarioStatus, {"status": foreign(story.status)}).to_json_dict() == story.status


@pytest.mark.parametrize("blocked", [False, True])
def test_a_scenario_with_a_status_that_others_write_to_goes_on(blocked: bool):
    story = Story()
    story.settle()
    raw = {**story.raw, "status": foreign(story.status)}
    plan = plan_scenario(scenario_world(raw, None if blocked else story.heavy_model, Snapshot(), SETTINGS), NOON)
    assert "Approved" not in [condition["type"] for condition in plan.status["conditions"]], "it is not ours to write"
    assert blocked or plan.children


def test_a_value_that_means_nothing_here_is_told_by_its_field():
    with pytest.raises(StatusUnreadable, match=r"status.run.outcome: .*; upgrade the operator"):
        own_status(ScenarioStatus, {"status": {"run": {"number": 1, "outcome": "Abandoned"}}})


def a_raw(kind: str, name: str, spec: Json, status: Json | None = None, **labels: str) -> Json:
    metadata = {
        "name": name, "namespace": "shop", "uid": f"0123-{name}", "resourceVersion": "1", "generation": 1,
        "labels": labels,
    }  # fmt: skip
    return {
        "apiVersion": "longtail.dev/v1alpha1",
        "kind": kind,
        "metadata": metadata,
        "spec": spec,
        "status": status or {},
    }


@pytest.mark.parametrize(
    "unreadable",
    [
        {"status": {"run": {"number": 1, "outcome": "Abandoned"}}},
        {"spec": {"heavyModelRef": {"name": "shared"}, "new": 1}},
    ],
)
def test_a_heavy_model_counts_a_scenario_that_it_cant_read_and_goes_on_without_it(unreadable: Json):
    spec = a_heavy_model(initialization={"scenarioSelector": {"matchLabels": {"pool": "yes"}}}).to_json_dict()
    heavy_model = a_raw("HeavyModel", "shared", spec)
    snapshot = Snapshot()
    for item in (
        heavy_model,
        a_raw("Scenario", "good", {"heavyModelRef": {"name": "shared"}}, pool="yes"),
        {**a_raw("Scenario", "other", {"heavyModelRef": {"name": "shared"}}, pool="yes"), **unreadable},
    ):
        snapshot.observe(item)
    world = heavy_model_world(heavy_model, snapshot, SETTINGS, StoreView())
    pool = pool_of(world)
    assert [one.key.name for one in world.members.scenarios] == ["good"]
    assert pool.selected == 2
    assert [(one.name, one.coming) for one in pool.absent] == [("shop/good", True), ("shop/other", False)]
    assert plan_heavy_model(world, NOON).status["scenarios"] == 2


def test_conditions_of_others_on_a_heavy_model_are_passed_over():
    own = initialized().status.to_json_dict()
    status = own | {"conditions": [*own["conditions"], APPROVED], "more": 1}
    assert own_status(HeavyModelStatus, {"status": status}) == initialized().status


def made(story: Story, kind: str) -> tuple[Json, Json]:
    """A child as it is wanted, and as it is on the server with somebody else's owner, label, annotation, finalizer."""
    wanted = next(item for item in story.plan().children if item["kind"] == kind)
    applied = difference({"metadata": {}}, wanted) if kind != "Job" else wanted
    assert applied is not None
    theirs = {"apiVersion": "v1", "kind": "ConfigMap", "name": "theirs", "uid": "t"}
    metadata: dict[str, Any] = {
        **applied["metadata"],
        "ownerReferences": [*wanted["metadata"]["ownerReferences"], theirs],
        "labels": {**wanted["metadata"]["labels"], "team": "x"},
        "annotations": {**applied["metadata"]["annotations"], "theirs": "x"},
        "finalizers": ["theirs/finalizer"],
    }
    return wanted, {**wanted, "metadata": metadata}


@pytest.mark.parametrize("kind", ["Job", "Service", "Deployment"])
def test_marks_of_others_on_a_child_are_no_difference(kind: str):
    story = a_serving_scenario().serves() if kind != "Job" else Story()
    wanted, known = made(story, kind)
    assert difference(known, wanted) is None


def test_a_job_whose_labels_are_put_right_keeps_the_owners_that_others_gave_it():
    wanted, known = made(Story(), "Job")
    known["metadata"]["labels"] = {"team": "x"}
    patch = difference(known, wanted)
    assert patch is not None
    assert {one["uid"] for one in patch["metadata"]["ownerReferences"]} == {"t", "0123-4567-89"}


NAMES = ["ads", "ads-candidate", "ads-v1", "ads.candidate", "1ads", "a" * 40, "ads-trust", "ads-candidate-0123456789ab"]


def test_no_two_scenarios_share_an_object():
    owned: dict[tuple[str, str], str] = {}
    for name in NAMES:
        story = a_serving_scenario()
        story.raw["metadata"].update(name=name, uid=f"uid-of-{name}")
        story.trained().answers().settle()
        for key in story.children:
            assert owned.setdefault((key.kind, key.name), name) == name, f"{key} is of two Scenarios"
            assert len(key.name) <= 63


def test_a_scenario_named_as_the_candidate_of_another_has_a_service_of_its_own():
    taken = candidate_name("ads", "0123")
    assert child_base(taken) != taken


def test_no_selector_of_one_scenario_selects_a_pod_of_another():
    selectors: list[tuple[str, Json]] = []
    pods: list[tuple[str, Json]] = []
    for name in NAMES:
        story = a_serving_scenario()
        story.raw["metadata"].update(name=name, uid=f"uid-of-{name}")
        for item in story.serves().children.values():
            if item["kind"] == "Deployment":
                pods.append((name, item["spec"]["template"]["metadata"]["labels"]))
                selectors.append((name, item["spec"]["selector"]["matchLabels"]))
            elif item["kind"] == "Service":
                selectors.append((name, item["spec"]["selector"]))
    assert all(
        (one == other) == (selector.items() <= labels.items()) for one, selector in selectors for other, labels in pods
    )
