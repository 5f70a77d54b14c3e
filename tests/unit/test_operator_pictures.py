"""Links to pictures in a status: bounded, and always the newest."""

import json

from longtail_api.pictures import NAME_LIMIT, PICTURES_LIMIT, URI_LIMIT, Picture
from longtail_operator.pictures import links, replaced
from tests.unit.operator_builders import a_serving_scenario

CURVES = {"learning-curves": "runs/a/1/adapt/pictures/learning-curves.svg"}


def test_a_link_is_the_stores_address_and_the_key():
    assert links("adapt", CURVES, "s3://bucket/models/") == [
        Picture(name="adapt-learning-curves", uri="s3://bucket/models/runs/a/1/adapt/pictures/learning-curves.svg")
    ]


def test_what_does_not_fit_into_a_status_is_left_out():
    assert links("adapt", CURVES, "s3://bucket/" + "x" * URI_LIMIT) == []
    assert links("adapt", {"x" * NAME_LIMIT: "k"}, "s3://bucket") == []


def test_a_steps_newer_pictures_take_the_place_of_its_older_ones_alone():
    known = [*links("adapt", {"a": "1"}, "s3://b"), *links("search", {"cell": "1", "old": "1"}, "s3://b")]
    after = replaced(known, "search", links("search", {"cell": "2"}, "s3://b"))
    assert [(one.name, one.uri) for one in after] == [("adapt-a", "s3://b/1"), ("search-cell", "s3://b/2")]


def test_there_are_never_more_than_fit():
    many = links("search", {f"p{number:02d}": "k" for number in range(20)}, "s3://b")
    assert len(replaced([], "search", many)) == PICTURES_LIMIT


def test_a_scenario_shows_the_pictures_of_all_its_steps():
    story = a_serving_scenario().draws().serves()
    names = [one["name"] for one in story.status["pictures"]]
    assert names == ["adapt-learning-curves", "search-cell", "train-light-cell", "train-light-quality-cost"]
    first = {one["uri"] for one in story.status["pictures"]}
    story.annotate("again").serves()
    assert [one["name"] for one in story.status["pictures"]] == names
    again = {one["uri"] for one in story.status["pictures"]}
    assert len(first & again) == 1, "the search of the first run is still in use"


def test_the_longest_links_leave_a_status_small():
    story = a_serving_scenario().draws().serves()
    longest = [{"name": f"{n:02d}".ljust(NAME_LIMIT, "x"), "uri": "s" * URI_LIMIT} for n in range(PICTURES_LIMIT)]
    assert len(json.dumps({**story.status, "pictures": longest})) < 10_000
