"""A resource that was deleted and made anew under its name never meets what its predecessor left."""

from collections.abc import Iterator

import pytest

from longtail_operator.kubernetes.objects import SCENARIO, Json, Key, entries, is_of_a_predecessor, section
from longtail_operator.serving.objects import SHA256_ANNOTATION
from tests.unit.simulated_cluster import Cluster

SPRING = Key(SCENARIO, "shop", "spring")
NEW = {"metadata": {"uid": "new", "creationTimestamp": "2026-06-01T13:00:00Z"}}


def a_child(made: str, uid: str | None = None) -> Json:
    """Made at an hour of the day; with its owner's uid, where it has one."""
    reference = {"apiVersion": "longtail.dev/v1alpha1", "kind": "Scenario", "name": "spring", "uid": uid}
    owners = [{**reference, "controller": True}] if uid else []
    return {
        "kind": "Job",
        "metadata": {"name": "x", "creationTimestamp": f"2026-06-01T{made}:00:00Z", "ownerReferences": owners},
    }


def test_a_child_is_its_owners_by_uid_and_by_age_where_it_lost_that():
    assert is_of_a_predecessor(a_child("14", uid="old"), NEW)
    assert is_of_a_predecessor(a_child("12"), NEW)
    assert not is_of_a_predecessor(a_child("12", uid="new"), NEW)
    assert not is_of_a_predecessor(a_child("13"), NEW)
    assert not is_of_a_predecessor(a_child("14"), NEW), "an orphan of its own is adopted again"


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    found = Cluster()
    found.secret(there=True)
    found.heavy_model(initialization={"minScenarios": 1, "waitSeconds": 300})
    made(found)
    found.passes(600)
    yield found
    found.close()


def made(cluster: Cluster) -> None:
    serving = {"slo": {"p99Milliseconds": 20}, "maxReplicas": 2, "resources": {"requests": {"cpu": "1"}}}
    cluster.scenario("spring", serving=serving)


def orphaned(cluster: Cluster) -> set[str]:
    """The Scenario goes, and leaves its children behind; returns their uids."""
    uid = cluster.server.objects[SPRING]["metadata"]["uid"]
    left: set[str] = set()
    for key, item in list(cluster.server.objects.items()):
        if any(owner["uid"] == uid for owner in entries(item, "metadata", "ownerReferences")):
            cluster.server.edit(key, lambda child: child["metadata"].update(ownerReferences=[]))
            left.add(item["metadata"]["uid"])
    cluster.server.remove(SPRING)
    return left


def model_of(cluster: Cluster) -> str:
    """The hash of the model that v1 is."""
    return cluster.server.objects[Key("Deployment", "shop", "spring-v1")]["metadata"]["annotations"][SHA256_ANNOTATION]


def test_a_scenario_made_anew_removes_what_its_predecessor_left_and_serves_its_own_model(cluster: Cluster):
    before, left = model_of(cluster), orphaned(cluster)
    cluster.passes(60)
    assert model_of(cluster) == before, "what is nobody's is left alone"
    made(cluster)
    cluster.passes(900)
    scenario = cluster.server.objects[SPRING]
    ready = next(one for one in section(scenario, "status")["conditions"] if one["type"] == "Ready")
    assert ready["status"] == "True", ready
    assert not [key for key, item in cluster.server.objects.items() if item["metadata"]["uid"] in left]
    assert model_of(cluster) != before
    children = [item for kind in ("Deployment", "Service", "HorizontalPodAutoscaler") for item in cluster.of(kind)]
    owners = {owner["uid"] for item in children for owner in entries(item, "metadata", "ownerReferences")}
    assert owners == {scenario["metadata"]["uid"]}


def test_until_all_of_it_is_gone_the_new_one_makes_nothing_and_says_what_it_waits_for(cluster: Cluster):
    orphaned(cluster)
    held = Key("Deployment", "shop", "spring-v1")
    cluster.server.edit(held, lambda item: item["metadata"].update(finalizers=["example.com/held"]))
    made(cluster)
    cluster.passes(60)
    scenario = cluster.server.objects[SPRING]
    (ready,) = section(scenario, "status")["conditions"]
    assert (ready["status"], ready["reason"]) == ("False", "Pending")
    assert ready["message"] == "waiting until what an earlier Scenario spring left is gone: Deployment spring-v1"
    assert not section(scenario, "status").get("run")
    cluster.server.edit(held, lambda item: item["metadata"].update(finalizers=[]))
    cluster.passes(900)
    assert section(cluster.server.objects[SPRING], "status")["serving"]["stable"] == "v1"
