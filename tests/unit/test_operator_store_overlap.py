"""Stores that lie inside one another: they work, and it is told."""

from typing import Any

import pytest

from longtail_api.shared_specs import Storage
from longtail_operator.heavy_model.plan import plan_heavy_model
from longtail_operator.kubernetes.objects import HEAVY_MODEL, Json
from longtail_operator.kubernetes.snapshot import Snapshot
from longtail_operator.notes import notes_of
from longtail_operator.stores.overlap import overlap
from longtail_operator.stores.view import StoreView
from longtail_operator.worlds import heavy_model_world
from tests.unit.operator_builders import NOON, SETTINGS, a_heavy_model


def a_store(uri: str, endpoint: str | None = None) -> Storage:
    return Storage(uri=uri, endpoint=endpoint)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("s3://bucket/team", "s3://bucket/team/other", True),
        ("s3://bucket", "s3://bucket/team", True),
        ("s3://bucket/", "s3://bucket/team", True),
        ("s3://bucket/team", "s3://bucket/team2", False),
        ("s3://bucket/team", "s3://bucket/team/", False),
        ("s3://bucket", "s3://another/team", False),
        ("file:///stores", "file:///stores/team", True),
        ("file:///bucket", "s3://bucket/team", False),
    ],
)
def test_one_store_lies_inside_the_other_where_its_folder_does(one: str, other: str, expected: bool):
    assert overlap(a_store(one), a_store(other)) is expected
    assert overlap(a_store(other), a_store(one)) is expected


def test_stores_of_two_servers_do_not_overlap_whatever_they_are_called():
    one, other = (
        a_store("s3://bucket", "https://one.example.com"),
        a_store("s3://bucket/team", "https://two.example.com"),
    )
    assert not overlap(one, other)
    assert overlap(
        a_store("s3://bucket", "https://one.example.com/"), a_store("s3://bucket/team", "https://one.example.com")
    )


def a_model(name: str, uri: str, **metadata: Any) -> Json:
    return {
        "apiVersion": "longtail.dev/v1alpha1",
        "kind": HEAVY_MODEL,
        "metadata": {"name": name, "namespace": "shop", "uid": name, "resourceVersion": "1", **metadata},
        "spec": a_heavy_model(storage={"uri": uri}).to_json_dict(),
    }


def status_of(first: Json, *others: Json) -> Json:
    snapshot = Snapshot()
    for item in (first, *others):
        snapshot.observe(item)
    return plan_heavy_model(heavy_model_world(first, snapshot, SETTINGS, StoreView()), NOON).status


def store_ready(status: Json) -> tuple[str, str, str]:
    return next(
        (one["status"], one["reason"], one["message"]) for one in status["conditions"] if one["type"] == "StoreReady"
    )


def test_both_of_two_models_are_told_that_their_stores_overlap():
    outer, inner = a_model("a", "s3://bucket/team"), a_model("b", "s3://bucket/team/other")
    for own, other, words in (
        (outer, inner, "HeavyModel shop/b (s3://bucket/team/other)"),
        (inner, outer, "HeavyModel shop/a (s3://bucket/team)"),
    ):
        status = status_of(own, other)
        holds, reason, message = store_ready(status)
        assert (holds, reason) == ("True", "StoreOverlaps")
        assert words in message
        assert ("Warning", "StoreOverlaps") in [(note.type, note.reason) for note in notes_of({}, status)]


def test_of_many_that_overlap_a_few_are_named():
    others = [a_model(f"m{number}", f"s3://bucket/team/{number}") for number in range(9)]
    _, _, message = store_ready(status_of(a_model("a", "s3://bucket/team"), *others))
    assert "shop/m4 (s3://bucket/team/4) and 4 more;" in message


def test_a_model_that_goes_or_has_gone_and_one_that_cant_be_read_are_in_nobodys_way():
    outer, inner = a_model("a", "s3://bucket/team"), a_model("b", "s3://bucket/team/other")
    going = a_model("b", "s3://bucket/team/other", deletionTimestamp="2026-06-01T12:00:00Z")
    assert store_ready(status_of(outer, going))[1] == "Succeeded"
    assert store_ready(status_of(outer, {**inner, "spec": {"storage": 1}}))[1] == "Succeeded"
    snapshot = Snapshot()
    for item in (outer, inner):
        snapshot.observe(item)
    snapshot.forget(inner)
    assert [item["metadata"]["name"] for item in snapshot.heavy_models()] == ["a"]


def test_a_store_that_is_a_whole_bucket_is_told():
    assert "the store is the whole bucket bucket," in store_ready(status_of(a_model("a", "s3://bucket")))[2]
    assert "whole" not in store_ready(status_of(a_model("a", "s3://bucket/team")))[2]
