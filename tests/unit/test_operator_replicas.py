"""How many pods serve: a person, an autoscaler or nobody in particular says so."""

import pytest

from longtail_operator.kubernetes.apply import difference
from longtail_operator.kubernetes.objects import Json, Key
from tests.unit.operator_builders import Story, a_serving_scenario

V1 = Key("Deployment", "shop", "spring-v1")
AUTOSCALER = Key("HorizontalPodAutoscaler", "shop", "spring")


def wanted(least: int = 1) -> Json:
    """The Deployment of a Scenario with this many minReplicas."""
    return served(minReplicas=least, maxReplicas=least).children[V1]


def served(**serving: object) -> Story:
    return a_serving_scenario(serving={"slo": {"p99Milliseconds": 20}, **serving}).serves()


def applied(least: int = 1) -> Json:
    """It, as it was applied."""
    change = difference({**wanted(least), "metadata": {**wanted(least)["metadata"], "annotations": {}}}, wanted(least))
    assert change is not None
    return change


def scaled(item: Json, replicas: int) -> Json:
    return {**item, "spec": {**item["spec"], "replicas": replicas}}


@pytest.mark.parametrize("replicas", [0, 1, 5])
def test_a_deployment_that_another_has_scaled_is_left_alone(replicas: int):
    assert difference(scaled(applied(least=2), replicas), wanted(least=2)) is None


def test_another_change_of_it_keeps_the_number_that_another_gave():
    other = wanted()
    other["spec"]["revisionHistoryLimit"] = 9
    change = difference(scaled(applied(), 5), other)
    assert change is not None
    assert change["spec"]["replicas"] == 5


@pytest.mark.parametrize(
    ("there", "before", "least", "comes_to"),
    [(1, 1, 3, 3), (3, 3, 1, 1), (5, 1, 3, 5), (5, 3, 1, 5), (0, 1, 2, 2)],
    ids=["raised", "lowered", "raised below an autoscaler's", "lowered below an autoscaler's", "raised from nothing"],
)
def test_a_new_minimum_moves_what_was_ours_and_raises_what_was_not(there: int, before: int, least: int, comes_to: int):
    change = difference(scaled(applied(before), there), wanted(least))
    assert change is not None
    assert change["spec"]["replicas"] == comes_to
    assert difference(change, wanted(least)) is None


def test_a_candidate_begins_with_as_many_pods_as_the_version_it_replaces():
    story = served()
    story.annotate("again").settle()
    for step in ("prepare", "adapt"):
        story.succeeds(step).settle()
    story.found_an_architecture().settle()
    story.children[V1]["spec"]["replicas"] = 4
    [candidate] = [one for one in story.succeeds("train-light", modelSha256="a" * 64).plan().children
                   if one["metadata"]["name"] == "spring-v2" and one["kind"] == "Deployment"]  # fmt: skip
    assert candidate["spec"]["replicas"] == 4


def test_between_two_numbers_of_replicas_an_autoscaler_decides_by_the_cpu():
    story = served(minReplicas=2, maxReplicas=4, resources={"requests": {"cpu": "100m"}})
    spec = story.children[AUTOSCALER]["spec"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (2, 4)
    assert spec["scaleTargetRef"]["name"] == "spring-v1"
    assert spec["metrics"][0]["resource"]["name"] == "cpu"
    story.annotate("again").serves()
    assert story.children[AUTOSCALER]["spec"]["scaleTargetRef"]["name"] == "spring-v2"
    story.change(serving={"minReplicas": 2, "maxReplicas": 2}).settle()
    assert AUTOSCALER in story.removed


def test_who_scaled_the_pods_away_is_told_so():
    story = served()
    story.children[V1]["spec"]["replicas"] = 0
    story.children[V1]["status"] = {"observedGeneration": 1}
    story.status = story.plan().status
    assert story.condition("Ready") == ("False", "DeploymentUnavailable")
    assert "kubectl scale deployment spring-v1 --replicas=1" in story.message("Ready")
