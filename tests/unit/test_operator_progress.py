"""Whatever is edited while a run works, the run goes on with what it began with."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from longtail_operator.kubernetes.objects import Key
from longtail_operator.scenario.world import HeavyModelView
from tests.unit.operator_builders import Story, a_heavy_model, a_serving_scenario


def while_it_searches(**spec: Any) -> Story:
    story = a_serving_scenario(**spec)
    story.settle()
    story.succeeds("prepare").settle()
    story.succeeds("adapt").settle()
    return story


def of_another_shape(model: HeavyModelView, **spec: Any) -> HeavyModelView:
    """The same HeavyModel after an edit that begins another generation, of which there is no version yet."""
    return HeavyModelView(model.key, a_heavy_model(**spec), model.status, model.pool)


def searched_for(story: Story) -> str | None:
    """Whose result the light model of the current run is trained with."""
    config = story.children[Key("ConfigMap", "shop", story.job("train-light")["metadata"]["name"])]
    return json.loads(config["data"]["config.json"]).get("searchResult")


EDITS: dict[str, Callable[[Story], object]] = {
    "the HeavyModel's architecture": lambda story: setattr(
        story, "heavy_model", of_another_shape(story.heavy_model, architecture={"behaviorWidth": 8})
    ),
    "the HeavyModel's encoder": lambda story: setattr(
        story, "heavy_model", of_another_shape(story.heavy_model, encoder="Transformer")
    ),
    "when to search again: in each run": lambda story: story.change(light={"search": "Always"}),
    "when to search again: never": lambda story: story.change(light={"search": "Once"}),
}


@pytest.mark.parametrize("edit", EDITS)
def test_a_search_under_way_is_used_whatever_is_edited_meanwhile(edit: str):
    story = while_it_searches()
    searching = story.names("LightModelSearch")
    EDITS[edit](story)
    story.settle()
    assert story.names("LightModelSearch") == searching
    story.found_an_architecture().settle()
    assert searched_for(story) == "runs/x/1/search/architecture.json"
    story.succeeds("train-light", modelSha256="a" * 64).settle()
    assert (story.status["run"]["number"], story.status["run"]["outcome"]) == (1, "Succeeded")
    assert story.status["lineage"]["search"] == searching[0]


def test_an_architecture_that_was_found_is_used_although_its_search_is_removed():
    story = while_it_searches()
    story.found_an_architecture()
    story.status = story.plan().status
    for key in [key for key in story.children if key.kind == "LightModelSearch"]:
        del story.children[key]
    story.settle()
    assert searched_for(story) == "runs/x/1/search/architecture.json"


def test_a_run_whose_status_does_not_name_the_result_still_finds_it():
    story = while_it_searches()
    story.found_an_architecture()
    story.status = story.plan().status
    for step in story.status["run"]["steps"]:
        step.pop("resultKey", None)
    story.settle()
    assert searched_for(story) == "runs/x/1/search/architecture.json"


def test_what_was_prepared_from_tables_that_were_replaced_meanwhile_is_not_taken_for_the_new_ones():
    story = a_serving_scenario()
    story.settle()
    story.succeeds("prepare")
    story.change(suspend=True, data={"samples": "s3://warehouse/others"}).settle()
    before = story.status["data"]["sourceHash"]
    story.change(suspend=False).settle()
    story.succeeds("prepare").settle()
    assert story.status["data"]["sourceHash"] != before


def test_ready_says_that_the_newest_run_failed_although_the_old_model_serves():
    story = a_serving_scenario(refresh={"model": "0 * * * *"}).serves()
    story.later(3600).settle()
    story.fails("prepare", "DataInvalid", "samples: column 'price' is missing").settle()
    assert story.condition("Ready") == ("True", "Serving")
    assert "v1 serves" in story.message("Ready")
    assert story.message("Ready").endswith("; run 2 failed, prepare: samples: column 'price' is missing")
    story.annotate("again").serves()
    assert story.message("Ready").endswith("/v2/models/spring"), "a run that succeeds takes it away"


def test_ready_says_that_the_newest_model_was_refused_although_the_old_one_serves():
    story = a_serving_scenario(refresh={"model": "0 * * * *"}).serves()
    story.later(3600).settle()
    story.trained().answers().settle()
    story.reports("Failed", "SLOCheckFailed", "p99 is 41.0 ms").settle()
    assert story.condition("Ready") == ("True", "Serving")
    assert "; v2 was refused: p99 is 41.0 ms" in story.message("Ready")
