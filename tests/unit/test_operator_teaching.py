"""What a light model learns from: the teacher that the Scenario asks for, and the rows that it may be shown."""

import json
from typing import Any

import pytest

from longtail_api.methods.alt import TrainLightConfig
from longtail_operator.search.plan import plan_search
from tests.unit.operator_builders import NOON, SHA, Story, a_heavy_model, a_serving_scenario, initialized
from tests.unit.test_operator_searches import a_search, adapted, search_config

TEACHER = {"temperature": 2, "weight": "0.5", "transferRows": 10}


def taught(story: Story) -> TrainLightConfig:
    """What `train-light` is told at the end of the story's run."""
    story.settle()
    for step in ("prepare", "adapt"):
        story.succeeds(step).settle()
    story.found_an_architecture().settle()
    found = next(item for key, item in story.children.items() if key.kind == "ConfigMap" and "train-light" in key.name)
    return TrainLightConfig.model_validate(json.loads(found["data"]["config.json"]))


def test_the_scenarios_teacher_is_that_of_its_search_and_of_its_light_model():
    story = a_serving_scenario(light={"teacher": TEACHER})
    config = taught(story)
    search = next(item for key, item in story.children.items() if key.kind == "LightModelSearch")
    assert config.teacher.to_json_dict() == TEACHER
    assert search["spec"]["teacher"] == TEACHER


def test_another_teacher_is_another_search_and_another_run():
    story = a_serving_scenario()
    taught(story)
    story.succeeds("train-light", modelSha256=SHA).settle()
    before = story.names("LightModelSearch")
    taught(story.change(light={"teacher": TEACHER}))
    assert story.status["run"]["number"] == 2
    assert story.names("LightModelSearch") != before


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, ["shop."]),
        ({"allowedNamespaces": ["bank"]}, ["shop."]),
        ({"allowedNamespaces": ["bank"], "shareRows": "AllowedNamespaces"}, ["bank.", "shop."]),
        ({"allowedNamespaces": ["bank"], "shareRows": "None"}, []),
    ],
)
def test_rows_of_other_namespaces_are_read_where_the_heavy_model_says_so(spec: dict[str, Any], expected: list[str]):
    story = Story(initialized(a_heavy_model(**spec)), serving={})
    assert taught(story).transfer_from == expected
    assert search_config(plan_search(a_search(story), NOON))["transferFrom"] == expected


def test_a_search_is_told_how_long_a_trial_may_take_and_when_one_is_hopeless():
    trials = {"budget": {"maxTrials": 4, "trialDeadlineSeconds": 300}, "earlyStopping": {"patience": 5}}
    config = search_config(plan_search(a_search(adapted(), algorithm={"name": "random"}, **trials), NOON))
    assert (config["maxTrials"], config["trialDeadlineSeconds"]) == (4, 300)
    assert config["earlyStopping"] == {"patience": 5}
