"""Decisions about one Scenario: its runs and their steps."""

import json
from typing import Any

import pytest

from longtail_operator.kubernetes.objects import Key
from longtail_operator.kubernetes.plan import Note
from longtail_operator.notes import notes_of
from tests.unit.operator_builders import (
    Story,
    a_heavy_model,
    a_pod,
    a_serving_scenario,
    initialized,
    not_initialized,
)


def test_the_run_is_in_the_status_of_the_plan_that_makes_its_first_job():
    plan = a_serving_scenario().plan()
    assert plan.status["run"]["number"] == 1
    assert plan.status["run"]["steps"][0]["name"] == "prepare"
    assert {child["kind"] for child in plan.children} == {"Job", "ConfigMap"}


def test_a_new_scenario_goes_through_its_steps_to_serving():
    story = a_serving_scenario().serves()
    assert story.condition("Ready") == ("True", "Serving")
    assert story.traffic_goes_to == "v1"
    assert [name.rsplit("-", 1)[0] for name in story.jobs_ever] == [
        "spring-prepare", "spring-adapt", "spring-train-light", "spring-check",
    ]  # fmt: skip


def test_an_unchanged_world_changes_nothing():
    story = a_serving_scenario().serves()
    before = story.status
    assert story.later(3600).plan().status == before
    assert not story.plan().deletions


def test_tables_whose_keys_do_not_meet_are_told_by_condition_and_warning():
    story = Story(not_initialized())
    said = "no entity of the samples is in profile: the samples have '7' (int64), profile has '000007' (string)"
    before = json.loads(json.dumps(story.settle().status))
    story.succeeds("prepare", unjoined=[said]).settle()
    assert story.condition("DataPrepared") == ("True", "Succeeded")
    assert story.message("DataPrepared") == f"run 1: {said}"
    assert Note("Warning", "FewKeysMeet", said) in notes_of(before, story.status)
    assert not notes_of(story.status, story.status)


def test_a_scenario_in_the_pool_prepares_before_there_is_a_version():
    story = Story(not_initialized())
    story.settle()
    story.succeeds("prepare").settle()
    assert story.condition("DataPrepared") == ("True", "Succeeded")
    assert story.condition("Ready") == ("False", "HeavyModelNotReady")
    assert story.names("Job") == [story.job("prepare")["metadata"]["name"]]


def test_the_base_version_is_pinned_and_later_versions_do_not_move_it():
    story = a_serving_scenario()
    story.settle()
    story.succeeds("prepare").settle()
    assert story.status["run"]["baseVersion"] == 1
    adapting = story.job("adapt")["metadata"]["name"]
    story.heavy_model = initialized(version=7)
    story.settle()
    assert story.status["run"]["baseVersion"] == 1
    assert story.job("adapt")["metadata"]["name"] == adapting


def test_a_new_agnostic_version_or_image_starts_no_run():
    story = a_serving_scenario().serves()
    story.heavy_model = initialized(a_heavy_model(trainer={"image": "trainer:2"}), version=9)
    story.settle()
    assert story.status["run"]["number"] == 1


@pytest.mark.parametrize(
    "change",
    [{"budget": {"maxFlops": "100k"}}, {"light": {"searchSpace": {"layers": 2}}}, {"data": {"scenarioKey": "other"}}],
)
def test_a_change_of_a_listed_field_starts_a_run(change: dict[str, object]):
    story = a_serving_scenario().serves()
    story.change(**change).settle()
    assert (story.status["run"]["number"], story.status["run"]["trigger"]) == (2, "SpecChanged")
    assert story.condition("Ready")[0] == "False"
    assert story.traffic_goes_to == "v1"


def test_a_change_of_serving_alone_starts_no_run():
    story = a_serving_scenario().serves()
    story.change(serving={"minReplicas": 3, "maxReplicas": 3, "slo": {"p99Milliseconds": 20}}).settle()
    assert story.status["run"]["number"] == 1
    assert story.children[Key("Deployment", "shop", "spring-v1")]["spec"]["replicas"] == 3


def test_a_new_value_of_the_annotation_starts_one_run():
    story = a_serving_scenario().serves()
    story.annotate("please").settle()
    assert (story.status["run"]["number"], story.status["run"]["trigger"]) == (2, "Annotation")
    story.serves()
    assert story.status["run"]["number"] == 2


def test_a_run_that_is_replaced_loses_its_unfinished_jobs_alone():
    story = a_serving_scenario()
    story.settle()
    story.succeeds("prepare").settle()
    prepared, adapting = (story.job(step)["metadata"]["name"] for step in ("prepare", "adapt"))
    story.change(budget={"maxFlops": "1k"}).settle()
    assert Key("Job", "shop", adapting) in story.removed
    assert Key("Job", "shop", prepared) not in story.removed


def test_a_failed_step_ends_the_run_with_the_containers_own_words():
    story = a_serving_scenario()
    story.settle()
    story.fails("prepare", "DataInvalid", "samples: column 'price' is missing").settle()
    assert story.condition("DataPrepared") == ("False", "DataInvalid")
    assert story.condition("Failed") == ("True", "DataInvalid")
    assert story.message("Ready") == "prepare: samples: column 'price' is missing"


def test_a_failed_run_is_not_run_again_when_its_job_is_gone():
    story = a_serving_scenario()
    story.settle()
    story.fails("prepare", "DataInvalid", "no").settle()
    before = story.status
    story.children.clear()
    story.pods.clear()
    story.later(90_000).settle()
    assert story.status == before
    assert not story.names("Job")


def test_a_job_that_was_deleted_before_its_result_runs_again_by_the_same_name():
    story = a_serving_scenario()
    story.settle()
    name = story.job("prepare")["metadata"]["name"]
    story.children.clear()
    story.settle()
    assert story.jobs_ever == [name, name]


def test_a_job_whose_pod_is_lost_runs_again():
    story = a_serving_scenario()
    story.settle()
    story.succeeds("prepare")
    story.pods.clear()
    assert story.settle().requeue_after is not None
    assert len(story.jobs_ever) == 1
    story.later(31).settle()
    assert len(story.jobs_ever) == 2


def test_without_serving_the_pools_data_gives_no_feedback():
    story = Story()
    story.settle()
    manifest = f"data/shop.spring.01234567/{story.plan().status['run'].get('dataVersion', 'd1')}/manifest.json"
    story.heavy_model = initialized(pool=frozenset({manifest}))
    story.succeeds("prepare").settle()
    assert story.condition("Ready") == ("True", "Contributing")
    assert all("adapt" not in name for name in story.jobs_ever)


def test_without_serving_a_latecomer_gives_feedback_and_serves_nothing():
    story = Story()
    story.settle()
    story.succeeds("prepare").settle()
    story.succeeds("adapt").settle()
    assert story.condition("Ready") == ("True", "Contributing")
    assert not story.names("LightModelSearch")
    assert not story.names("Deployment")


def asked_for_feedback(story: Story) -> bool:
    """What the current run's adapt is told."""
    config = story.children[Key("ConfigMap", "shop", story.job("adapt")["metadata"]["name"])]
    return json.loads(config["data"]["config.json"])["feedback"]


def test_a_serving_scenario_of_the_pool_gives_no_feedback():
    story = a_serving_scenario()
    story.settle()
    story.heavy_model = initialized(pool=frozenset({"data/shop.spring.01234567/d1/manifest.json"}))
    story.succeeds("prepare").settle()
    assert not asked_for_feedback(story)


@pytest.mark.parametrize(
    ("said", "again"),
    [
        ({"generation": 1}, False),
        ({"generation": 1, "feedbackReason": "EmptyQuerySet"}, True),
        ({"generation": 2}, True),
    ],
)
def test_a_new_model_of_the_same_data_gives_feedback_once_in_a_generation(said: dict[str, object], again: bool):
    story = a_serving_scenario(refresh={"model": "0 * * * *", "data": "0 0 1 1 *"})
    story.settle()
    story.succeeds("prepare").settle()
    assert asked_for_feedback(story)
    story.succeeds("adapt", **said).settle()
    story.serves()
    story.later(3600).settle()
    assert (story.status["run"]["number"], story.status["run"]["dataVersion"]) == (2, "d1")
    assert asked_for_feedback(story) is again


def test_new_data_gives_feedback_again():
    story = a_serving_scenario()
    story.settle()
    story.succeeds("prepare").settle()
    story.succeeds("adapt", generation=1).settle()
    story.serves()
    assert story.status["data"]["taughtGeneration"] == 1
    story.annotate("again").settle()
    story.succeeds("prepare").settle()
    assert asked_for_feedback(story)


@pytest.mark.parametrize(("fingerprint", "again"), [("f1", False), ("f2", True)])
def test_a_refresh_gives_feedback_again_only_where_its_rows_have_changed(fingerprint: str, again: bool):
    story = a_serving_scenario()
    story.settle()
    story.succeeds("prepare", trainingFingerprint="f1").settle()
    story.succeeds("adapt", generation=1).settle()
    story.serves()
    for _ in range(2):
        story.annotate(f"again {story.status['run']['number']}").settle()
        story.succeeds("prepare", trainingFingerprint=fingerprint).settle()
        assert asked_for_feedback(story) is again
        story.succeeds("adapt", generation=1, **({} if again else {"feedbackReason": "AlreadyLearned"})).settle()
        story.serves()
        again = False  # what a refresh has taught, the next one with the same rows doesn't teach again


def test_a_refresh_of_what_the_pool_was_trained_on_gives_no_feedback():
    story = a_serving_scenario()
    story.settle()
    story.heavy_model = initialized(pool=frozenset({"data/shop.spring.01234567/d1/manifest.json"}))
    story.succeeds("prepare", trainingFingerprint="f1").settle()
    story.succeeds("adapt", generation=1, feedbackReason="AlreadyLearned").settle()
    story.serves()
    story.annotate("again").settle()
    story.succeeds("prepare", trainingFingerprint="f1").settle()
    assert not asked_for_feedback(story)


def test_suspend_stops_new_work_and_what_serves_goes_on():
    story = a_serving_scenario().serves()
    story.change(suspend=True, budget={"maxFlops": "1k"}).settle()
    assert story.status["run"]["number"] == 1
    assert story.condition("Suspended") == ("True", "Suspended")
    assert story.traffic_goes_to == "v1"


def test_suspend_holds_the_running_job_and_resumes_it():
    story = a_serving_scenario()
    story.settle()
    name = story.job("prepare")["metadata"]["name"]
    story.change(suspend=True).settle()
    assert story.job("prepare")["spec"]["suspend"] is True
    assert story.condition("Ready")[:2] == ("False", "Suspended")
    story.change(suspend=False).settle()
    assert story.job("prepare")["spec"]["suspend"] is False
    assert story.jobs_ever == [name]


def test_a_missing_heavy_model_is_said_and_everything_stays():
    story = a_serving_scenario().serves()
    story.heavy_model = None
    story.settle()
    assert story.condition("Ready") == ("False", "HeavyModelNotFound")
    assert story.traffic_goes_to == "v1"


def test_another_namespace_has_to_be_allowed():
    story = a_serving_scenario(heavyModelRef={"name": "shared", "namespace": "platform"})
    story.settle()
    assert story.condition("Ready") == ("False", "NamespaceNotAllowed")
    story.heavy_model = initialized(a_heavy_model(allowedNamespaces=["shop"]))
    story.settle()
    assert story.names("Job")


def test_a_scenario_that_is_not_admitted_waits_without_a_job():
    story = a_serving_scenario()
    story.admitted, story.holders = False, "held by autumn and 3 other Scenarios"
    story.settle()
    assert not story.names("Job")
    assert "step" not in story.status["run"]
    assert story.condition("Ready") == ("False", "WaitingForPlace")
    assert "maxConcurrentRuns of HeavyModel shared is 4; held by autumn and 3 other" in story.message("Ready")
    story.admitted = True
    story.settle()
    assert story.status["run"]["step"] == "prepare"


def test_one_that_was_suspended_gets_its_job_going_when_there_is_a_place_again():
    story = a_serving_scenario()
    story.settle()
    story.change(suspend=True).settle()
    assert story.job("prepare")["spec"]["suspend"]
    story.admitted = False
    story.change(suspend=False).settle()
    assert story.job("prepare")["spec"]["suspend"], "its place is another's meanwhile"
    assert story.condition("DataPrepared") == ("False", "WaitingForPlace")
    story.admitted = True
    story.settle()
    assert not story.job("prepare")["spec"]["suspend"]
    assert story.condition("DataPrepared") == ("False", "Running")


def test_a_search_that_was_suspended_waits_for_a_place_as_well():
    story = a_serving_scenario()
    story.settle()
    for step in ("prepare", "adapt"):
        story.succeeds(step).settle()
    story.change(suspend=True).settle()
    story.admitted = False
    story.change(suspend=False).settle()
    [search] = [item for key, item in story.children.items() if key.kind == "LightModelSearch"]
    assert search["spec"]["suspend"]
    assert story.condition("Searched") == ("False", "WaitingForPlace")


def test_the_schedulers_words_stand_in_the_conditions():
    story = a_serving_scenario()
    story.settle()
    said = "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."
    scheduled = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": said}
    story.pods.append(a_pod(story.job("prepare"), {}, phase="Pending", conditions=[scheduled]))
    story.settle()
    assert story.condition("Ready") == ("False", "Unschedulable")
    assert said in story.message("Ready")


def test_an_image_that_is_not_pulled_is_said():
    story = a_serving_scenario()
    story.settle()
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "manifest unknown"}}
    story.pods.append(a_pod(story.job("prepare"), waiting, phase="Pending"))
    story.settle()
    assert story.condition("DataPrepared") == ("False", "ImageNotPulled")
    assert "manifest unknown" in story.message("DataPrepared")


def test_an_architecture_is_searched_once_and_found_again():
    story = a_serving_scenario().serves()
    searched = story.names("LightModelSearch")
    story.annotate("again").settle()
    story.succeeds("prepare").settle()
    story.succeeds("adapt").settle()
    assert story.names("LightModelSearch") == searched
    config = story.children[Key("ConfigMap", "shop", story.job("train-light")["metadata"]["name"])]
    assert json.loads(config["data"]["config.json"])["searchResult"] == "runs/x/1/search/architecture.json"


def test_under_always_each_run_searches():
    story = a_serving_scenario(light={"search": "Always"}).serves()
    first = story.names("LightModelSearch")
    story.annotate("again").settle()
    story.succeeds("prepare").settle()
    story.succeeds("adapt").settle()
    assert len(story.names("LightModelSearch")) == 1
    assert story.names("LightModelSearch") != first


def test_a_schedule_never_overlaps_a_run():
    story = a_serving_scenario(refresh={"model": "0 * * * *"})
    story.settle()
    story.later(7200).settle()
    assert story.status["run"]["number"] == 1
    story.serves()
    assert story.status["run"]["number"] == 2, "the start that came due meanwhile, once"
    assert story.status["run"]["trigger"] == "Schedule"


@pytest.mark.parametrize(("seconds", "runs"), [(60, 1), (600, 2)])
def test_a_start_that_comes_later_than_its_deadline_is_let_go(seconds: int, runs: int):
    refresh = {"model": "0 * * * *", "jitterSeconds": 0, "startingDeadlineSeconds": seconds}
    story = a_serving_scenario(refresh=refresh)
    story.serves()
    story.later(3600 + 300).settle()
    assert story.status["run"]["number"] == runs


@pytest.mark.parametrize("when", ["at creation", "while its run works", "once it serves"])
def test_a_schedule_that_cannot_be_is_said_at_once_and_what_stands_stays(when: str):
    story = a_serving_scenario()
    if when == "while its run works":
        story.settle()
    elif when == "once it serves":
        story.serves()
    standing = set(story.children)
    story.change(refresh={"model": "5-1 * * * *"}).settle()
    assert story.condition("Ready") == ("False", "InvalidSpec")
    assert story.message("Ready").startswith("refresh.model: '5-1 * * * *' has a range that runs backwards; ")
    assert set(story.children) == standing
    story.change(refresh={"model": "5-59,0-1 * * * *"}).settle()
    assert story.condition("Ready")[1] != "InvalidSpec"
    assert story.status["run"]["number"] == 1


def test_a_refresh_keeps_the_scenario_ready():
    story = a_serving_scenario(refresh={"model": "0 * * * *"}).serves()
    story.later(3600).settle()
    assert story.status["run"]["number"] == 2
    assert story.condition("Ready") == ("True", "Serving")


def test_a_run_for_new_data_alone_ends_with_it():
    story = a_serving_scenario(refresh={"data": "0 * * * *"}).serves()
    story.later(3600).settle()
    assert story.status["run"]["trigger"] == "DataSchedule"
    story.succeeds("prepare").settle()
    assert story.status["run"]["outcome"] == "Succeeded"
    assert story.status["data"]["version"] == "d2"
    assert story.traffic_goes_to == "v1"
    assert story.condition("Ready") == ("True", "Serving")


def test_the_status_stays_small_whatever_happened():
    story = a_serving_scenario().serves()
    for value in range(30):
        story.annotate(f"run {value}").serves()
    assert story.status["run"]["number"] == 31
    assert len(json.dumps(story.status)) < 10_000
    assert len(story.names("Deployment")) == 1


ITEMS: dict[str, Any] = {
    "labels": [{"name": "click"}],
    "context": {"categorical": ["item"]},
    "behaviors": [{"name": "visits", "categorical": ["item"]}],
}


def attentive(**schema: Any) -> Story:
    """A Scenario whose light model is to attend to its history."""
    shared = a_heavy_model(
        schema=ITEMS | schema, data={"samples": "s3://warehouse/samples", "behaviors": {"visits": "s3://warehouse/v"}}
    )
    return Story(initialized(shared), light={"searchSpace": {"targetAttention": True}})


def test_attention_to_a_history_that_shares_nothing_with_the_candidate_is_refused_before_anything_runs():
    story = attentive()
    story.settle()
    assert story.condition("Ready") == ("False", "InvalidSpec")
    assert "light.searchSpace.targetAttention: no context feature of HeavyModel shared" in story.message("Ready")
    assert story.names("Job") == []


def test_attention_to_a_history_that_shares_a_vocabulary_with_the_candidate_runs():
    story = attentive(sharedVocabularies={"item": ["context.item", "behaviors.visits.item"]})
    story.settle()
    assert len(story.names("Job")) == 1
