"""What a trainer says is data: words that mean nothing here fail a step with a reason, and stop nothing."""

from typing import Any

import pytest

from longtail_operator.kubernetes import pods as pod_words
from longtail_operator.kubernetes.objects import Json
from tests.unit.operator_builders import Story, a_pod, a_serving_scenario
from tests.unit.search_story import SearchStory
from tests.unit.test_operator_meta_training import at_night, trained

JOB: Json = {"metadata": {"name": "j"}}


def at_train_light() -> Story:
    story = a_serving_scenario()
    story.settle()
    story.succeeds("prepare").settle()
    story.succeeds("adapt").settle()
    story.found_an_architecture().settle()
    return story


@pytest.mark.parametrize("outputs", [{}, {"modelSha256": None}, {"modelSha256": 3}, {"modelSha256": "none"}])
def test_a_light_model_without_its_hash_fails_the_run_with_the_field(outputs: dict[str, Any]):
    story = at_train_light()
    story.succeeds("train-light", **outputs).settle()
    assert story.condition("Failed") == ("True", "ResultUnusable")
    assert story.message("Failed").startswith("train-light: it ended well, but its result can't be used: modelSha256")
    assert not [step for step in story.status["run"]["steps"] if step["name"] == "train-light" and step.get("result")]


@pytest.mark.parametrize(
    "outputs", [{"interpolation": "much"}, {"uncovered": 3}, {"generation": "x"}, {"feedbackReason": "x" * 99}]
)
def test_an_adaptation_in_words_that_mean_nothing_fails_the_run(outputs: dict[str, Any]):
    story = a_serving_scenario()
    story.settle()
    story.succeeds("prepare").settle()
    story.succeeds("adapt", **outputs).settle()
    assert story.condition("Adapted") == ("False", "ResultUnusable")
    assert next(iter(outputs)) in story.message("Adapted")


@pytest.mark.parametrize("field", ["agnosticVersion", "baseVersion", "committed"])
def test_a_meta_training_that_lacks_a_word_has_failed_and_the_store_is_read_all_the_same(field: str):
    model = at_night()
    said = trained()
    said["outputs"].pop(field)
    model.ends(**said)
    plans = model.settle()
    assert plans.status["metaTraining"]["outcome"] == "Failed"
    assert model.condition("MetaTrained") == ("False", "ResultUnusable")
    assert field in model.message("MetaTrained")
    assert model.condition("Ready")[0] == "True"


@pytest.mark.parametrize("version", [2, 3, -1])
def test_a_result_of_a_version_that_is_not_read_is_named(version: int):
    story = a_serving_scenario()
    story.settle()
    story.succeeds("prepare", result_version=version).settle()
    assert story.condition("DataPrepared") == ("False", "ResultUnusable")
    assert (
        f"the trainer's image writes results of version {version}, this operator reads 0 to 1; use the trainer's image"
        in story.message("DataPrepared")
    )


def test_a_search_that_says_nothing_readable_has_failed():
    search = SearchStory()
    search.ends(outputs={"flops": "many"})
    assert search.condition("Failed") == ("True", "ResultUnusable")


@pytest.mark.parametrize("status", ["Succeeded", "Failed"])
def test_a_reason_that_no_condition_may_have_stands_in_the_message(status: str):
    words = f'{{"status": "{status}", "reason": "oom killed", "message": "why", "resultSha256": "{"a" * 64}"}}'
    said = pod_words.termination([a_pod(JOB, {"terminated": {"exitCode": 1, "message": words}})])
    assert said is not None
    assert (said.reason, said.message) == ("StepFailed" if status == "Failed" else "Succeeded", "oom killed: why")


def test_a_check_with_a_reason_of_its_own_refuses_the_candidate():
    story = a_serving_scenario().trained().answers()
    story.settle()
    story.reports("Failed", reason="too slow", message="by far").settle()
    assert story.condition("RolledOut") == ("False", "CheckFailed")
    assert "too slow: by far" in story.message("RolledOut")
