"""Decisions about a LightModelSearch, and which runs have feedback to hand in."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from longtail_api.light_model_search import LightModelSearchSpec, LightModelSearchStatus
from longtail_api.store_objects import Termination
from longtail_operator.kubernetes.jobs import judge
from longtail_operator.kubernetes.objects import Json
from longtail_operator.kubernetes.plan import Plan
from longtail_operator.meta_update.folding import feedback_of, runs_ahead_of_feedback
from longtail_operator.scenario.world import ScenarioWorld
from longtail_operator.search.plan import plan_search
from longtail_operator.search.world import SearchWorld
from tests.unit.operator_builders import NOON, SETTINGS, SHA, Story, a_pod, a_serving_scenario


def a_search(story: Story, run: str | None = "1", **spec: Any) -> SearchWorld:
    """A search for the Scenario of `story`: made for its run, or by a person where `run` is None."""
    reference = {
        "apiVersion": "longtail.dev/v1alpha1",
        "kind": "Scenario",
        "name": "spring",
        "uid": "u",
        "controller": True,
    }
    raw = {
        "apiVersion": "longtail.dev/v1alpha1", "kind": "LightModelSearch",
        "metadata": {
            "name": "spring-1234", "namespace": "shop", "uid": "9876-5432", "generation": 1,
            "labels": {"longtail.dev/run": run} if run else {}, "ownerReferences": [reference] if run else [],
        },
    }  # fmt: skip
    parsed = LightModelSearchSpec.model_validate({"targetRef": {"name": "spring"}, **spec})
    return SearchWorld(
        raw=raw,
        spec=parsed,
        status=LightModelSearchStatus(),
        target=story.world(),
        children=[],
        pods=[],
        settings=SETTINGS,
    )


def adapted() -> Story:
    story = a_serving_scenario()
    story.settle()
    story.succeeds("prepare").settle()
    story.succeeds("adapt").settle()
    return story


def search_config(plan: Plan) -> Json:
    return json.loads(next(c for c in plan.children if c["kind"] == "ConfigMap")["data"]["config.json"])


def test_a_search_starts_from_the_runs_heavy_model():
    config = search_config(plan_search(a_search(adapted(), budget={"maxFlops": "2k"}), NOON))
    assert config["heavyResult"] == "runs/shop.spring.01234567/1/adapt/result.json"
    assert (config["owner"], config["run"], config["maxFlops"]) == ("shop.spring.01234567", 1, 2000)


def test_a_persons_search_writes_to_a_folder_of_its_own():
    config = search_config(plan_search(a_search(adapted(), run=None), NOON))
    assert (config["owner"], config["run"]) == ("shop.spring-1234.98765432", 1)


def test_a_search_waits_until_its_target_is_adapted():
    story = a_serving_scenario()
    story.settle()
    plan = plan_search(a_search(story, run=None), NOON)
    assert not plan.children
    assert plan.status["conditions"][-1]["message"] == "waiting for Scenario spring to be adapted"


def test_a_search_without_its_target_says_so():
    world = replace(a_search(adapted()), target=None)
    assert plan_search(world, NOON).status["conditions"][-1]["reason"] == "TargetNotFound"


def test_a_search_for_attention_to_a_history_that_shares_nothing_says_so():
    plan = plan_search(a_search(adapted(), searchSpace={"targetAttention": True}), NOON)
    assert not plan.children
    assert plan.status["conditions"][-1]["reason"] == "InvalidSpec"
    assert "searchSpace.targetAttention: no context feature of HeavyModel" in plan.status["conditions"][-1]["message"]


def test_a_search_that_is_suspended_starts_no_job():
    assert not plan_search(a_search(adapted(), suspend=True), NOON).children


def test_a_finished_search_has_its_result_in_its_status_for_ever():
    world = a_search(adapted())
    started = plan_search(world, NOON)
    job = next(child for child in started.children if child["kind"] == "Job")
    done = {"type": "Complete", "status": "True", "lastTransitionTime": "2026-06-01T12:00:00Z"}
    said = Termination(
        status="Succeeded", result_sha256=SHA, flops=900, outputs={"architecture": "conv3"}, pictures={"cell": "k"}
    )
    pod = a_pod(job, {"terminated": {"exitCode": 0, "message": said.model_dump_json(by_alias=True)}})
    finished = replace(world, children=[{**job, "status": {"conditions": [done]}}], pods=[pod])
    status = plan_search(finished, NOON).status
    assert status["resultKey"] == "runs/shop.spring.01234567/1/search/architecture.json"
    assert status["best"] == {"architecture": "conv3", "flops": 900, "figure": "auc"}
    assert [one["name"] for one in status["pictures"]] == ["search-cell"]
    assert status["pictures"][0]["uri"].endswith("/k")
    later = replace(world, status=LightModelSearchStatus.model_validate(status), children=[], pods=[])
    assert plan_search(later, NOON).status == status
    assert not plan_search(later, NOON).children


def with_its_job_over(world: SearchWorld, **said: Any) -> SearchWorld:
    """A search whose Job has ended, with the words of its container."""
    job = next(child for child in plan_search(world, NOON).children if child["kind"] == "Job")
    words = Termination.model_validate({"status": "Succeeded", "resultSha256": SHA} | said)
    done = {"type": "Complete" if words.status == "Succeeded" else "Failed", "status": "True",
            "lastTransitionTime": "2026-06-01T12:00:00Z"}  # fmt: skip
    code = 0 if words.status == "Succeeded" else 65
    pod = a_pod(job, {"terminated": {"exitCode": code, "message": words.model_dump_json(by_alias=True)}})
    return replace(world, children=[{**job, "status": {"conditions": [done]}}], pods=[pod])


def at_another_run(story: Story) -> ScenarioWorld:
    story.annotate("again").settle()
    return story.world()


WHEREABOUTS: dict[str, Callable[[], ScenarioWorld | None]] = {
    "gone": lambda: None,
    "without its HeavyModel": lambda: replace(adapted().world(), heavy_model=None),
    "at another run": lambda: at_another_run(adapted()),
}


@pytest.mark.parametrize("target", WHEREABOUTS)
@pytest.mark.parametrize("run", [None, "1"])
def test_a_search_whose_job_is_over_is_judged_whatever_became_of_its_target(run: str | None, target: str):
    key = "runs/shop.x/1/search/architecture.json"
    over = with_its_job_over(a_search(adapted(), run=run), outputs={"architectureKey": key})
    status = plan_search(replace(over, target=WHEREABOUTS[target]()), NOON).status
    assert {"Complete", "Ready"} <= {one["type"] for one in status["conditions"] if one["status"] == "True"}
    assert (status["resultKey"], status["resultSha256"]) == (key, SHA)
    failed = with_its_job_over(a_search(adapted(), run=run), status="Failed", reason="DataInvalid", message="no rows")
    status = plan_search(replace(failed, target=WHEREABOUTS[target]()), NOON).status
    assert ("Failed", "True", "DataInvalid") in [
        (one["type"], one["status"], one["reason"]) for one in status["conditions"]
    ]


def test_a_search_that_does_not_say_where_its_result_lies_fails_where_nobody_else_knows():
    over = replace(with_its_job_over(a_search(adapted(), run=None)), target=None)
    assert plan_search(over, NOON).status["conditions"][-1]["reason"] == "StepFailed"


@pytest.mark.parametrize(
    ("algorithm", "budget", "planned"),
    [("gdas", {}, 30), ("random", {"maxTrials": 50}, 50), ("random", {}, 8)],
)
def test_a_search_plans_what_it_will_really_run(algorithm: str, budget: dict[str, int], planned: int):
    world = a_search(adapted(), algorithm={"name": algorithm}, budget=budget)
    assert plan_search(world, NOON).status["trials"]["planned"] == planned


def test_a_search_shows_how_far_it_is():
    world = a_search(adapted())
    job = next(child for child in plan_search(world, NOON).children if child["kind"] == "Job")
    running = replace(world, children=[{**job, "status": {}}], progress=0.5)
    plan = plan_search(running, NOON)
    assert plan.status["trials"] == {"planned": 30, "completed": 15, "failed": 0}
    assert plan.requeue_after == 15.0


def test_a_failed_job_without_words_of_its_container_gives_those_of_kubernetes():
    job: Json = {"metadata": {"name": "j"}, "status": {"conditions": [
        {"type": "Failed", "status": "True", "reason": "DeadlineExceeded", "message": "Job was active too long"},
    ]}}  # fmt: skip
    state = judge(job, [], NOON)
    assert (state.state, state.reason) == ("Failed", "DeadlineExceeded")
    assert "Job was active too long" in state.message


def a_failed_job(at: str) -> Json:
    said = {"reason": "PodFailurePolicy", "message": "exit code 65", "lastTransitionTime": at}
    return {"metadata": {"name": "j"}, "status": {"conditions": [{"type": "Failed", "status": "True", **said}]}}


def test_a_job_that_failed_is_under_way_until_its_newest_pod_has_said_why():
    job = a_failed_job("2026-06-01T12:00:00Z")
    failed, later = NOON, NOON + timedelta(seconds=30)
    message = '{"status": "Failed", "reason": "DataInvalid", "message": "no rows"}'
    killed = a_pod(job, {"terminated": {"exitCode": 137, "reason": "OOMKilled"}})
    running = a_pod(job, {"running": {}})
    for pods in ([], [running], [killed, running]):
        assert judge(job, pods, failed).state == "AwaitingWords"
    ended = a_pod(job, {"terminated": {"exitCode": 65, "message": message}})
    state = judge(job, [killed, ended], failed)
    assert (state.state, state.reason, state.message) == ("Failed", "DataInvalid", "no rows")
    state = judge(job, [], later)
    assert (state.state, state.reason, state.message) == ("Failed", "StepFailed", "Job j failed: exit code 65")
    assert judge(job, [killed, running], later).reason == "OutOfMemory"


def test_a_container_that_ran_out_of_memory_says_what_to_do():
    job: Json = {
        "metadata": {"name": "j"},
        "status": {"conditions": [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}]},
    }
    state = judge(job, [a_pod(job, {"terminated": {"exitCode": 137, "reason": "OOMKilled"}})], NOON)
    assert state.reason == "OutOfMemory"
    assert "give it more memory" in state.message


def test_a_run_without_query_rows_has_no_feedback_to_wait_for():
    story = a_serving_scenario()
    story.settle()
    story.succeeds("prepare").settle()
    story.succeeds("adapt", feedbackReason="EmptyQuerySet").settle()
    raw = {**story.raw, "status": story.status}
    assert story.status["run"]["noFeedback"] == "EmptyQuerySet"
    assert feedback_of(raw, "adapt", NOON) is None
    assert runs_ahead_of_feedback([raw], "adapt", {"shop"}) == 0


@pytest.mark.parametrize(
    ("outputs", "said"),
    [
        ({"interpolation": 0.5, "adaptReason": None}, "run 1: adapted, α = 0.5"),
        (
            {"interpolation": 1, "uncovered": {"context.price": 0.75, "profile.city": 1.0}},
            "run 1: adapted, α = 1; of profile.city and 1 more 100% of the values lie outside what the "
            "pool's features know",
        ),
        (
            {"interpolation": 0, "adaptReason": "NotBetter"},
            "run 1: the agnostic model is kept: validation rows show nothing to be better",
        ),
        ({"interpolation": 0, "adaptReason": "Later"}, "run 1: the agnostic model is kept: Later"),
        ({}, "run 1"),
    ],
)
def test_the_condition_says_how_far_a_scenario_was_adapted(outputs: Json, said: str):
    story = a_serving_scenario()
    story.settle()
    story.succeeds("prepare").settle()
    story.succeeds("adapt", **outputs).settle()
    assert story.message("Adapted") == said
    story.later(60).settle()
    assert story.message("Adapted") == said


def test_feedback_comes_from_runs_that_have_adapted():
    story = adapted()
    raw = {**story.raw, "status": story.status}
    found = feedback_of(raw, "adapt", NOON)
    assert found is not None
    assert found.key == "agnostic/feedback/shop.spring.01234567/1.safetensors"
    fresh = Story()
    fresh.settle()
    waiting = {**fresh.raw, "status": fresh.status}
    assert feedback_of(waiting, "adapt", NOON + timedelta(1)) is None
    assert runs_ahead_of_feedback([raw, waiting], "adapt", {"shop"}) == 0, (
        "one has given it, one has not started from a version"
    )
