"""What lies around a step holds it and does not fail it; what its pod is made of takes effect once it is mended."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longtail_api.heavy_model import HeavyModelStatus
from longtail_operator.heavy_model.group_step import plan_group
from longtail_operator.kubernetes.clock import written
from longtail_operator.kubernetes.job_follower import FIRST_PAUSE, LONGEST_PAUSE
from longtail_operator.kubernetes.objects import Json, Key
from longtail_operator.kubernetes.plan import Draft
from longtail_operator.kubernetes.snapshot import Snapshot
from longtail_operator.kubernetes.work_queue import WorkQueue
from longtail_operator.methods.alt.meta_training import pauses_folding
from longtail_operator.observer import Observer
from tests.unit import test_operator_group_step as together
from tests.unit.heavy_model_story import Model, member
from tests.unit.operator_builders import NOON, Story, a_heavy_model, a_pod, store_ready
from tests.unit.search_story import SearchStory
from tests.unit.test_operator_meta_training import at_night, trained

AROUND = ["StoreUnreachable", "ConnectionRefused", "AccessDenied", "CredentialsInvalid", "QuotaExceeded", "Terminated"]
ENDING = ["DataInvalid", "BudgetUnreachable", "ConfigInvalid", "Corrupt", "InvalidAddress"]


def preparing(**trainer: Any) -> Story:
    story = Story()
    return made_with(story, **trainer)


def made_with(story: Story, **trainer: Any) -> Story:
    """A person edits HeavyModel.spec.trainer."""
    story.heavy_model = replace(story.heavy_model, spec=a_heavy_model(trainer=trainer))
    story.settle()
    return story


def store(story: Story, holds: bool) -> Story:
    """The store of its HeavyModel goes away, or comes back."""
    known = store_ready(
        holds, "Succeeded" if holds else "StoreUnreachable", "" if holds else "no answer from store:7070"
    )
    status = story.heavy_model.status.model_copy(update={"conditions": [known]})
    story.heavy_model = replace(story.heavy_model, status=HeavyModelStatus.model_validate(status))
    return story


def jobs(story: Story) -> list[str]:
    return story.names("Job")


@pytest.mark.parametrize("reason", AROUND)
def test_a_step_that_its_surroundings_ended_is_tried_again_as_often_as_it_takes(reason: str):
    story = preparing()
    for attempt in range(12):
        story.fails("prepare", reason, "no answer", 75).settle()
        assert story.condition("Failed")[0] == "False"
        assert story.condition("DataPrepared") == ("False", reason)
        assert "no answer; it is tried again at 2026-06-01T" in story.message("Ready")
        assert "step" not in story.status["run"], "it does nothing meanwhile"
        story.later(min(FIRST_PAUSE.total_seconds() * 2**attempt, LONGEST_PAUSE.total_seconds()) - 1).settle()
        assert story.job("prepare")["status"], "not yet"
        story.later(1).settle()
        assert not story.job("prepare")["status"], "a new one"
    story.succeeds("prepare").settle()
    assert story.condition("DataPrepared")[0] == "True"
    assert set(story.jobs_ever[:13]) == {story.jobs_ever[0]}, "the step's identity is the same"


@pytest.mark.parametrize("code", [137, 143])
def test_a_step_that_its_node_killed_is_tried_again(code: int):
    story = preparing()
    job = story.job("prepare")
    over = {"type": "Failed", "reason": "BackoffLimitExceeded", "status": "True", "lastTransitionTime": written(NOON)}
    job["status"] = {"conditions": [over]}
    story.pods.append(a_pod(job, {"terminated": {"exitCode": code, "reason": "Error"}}))
    story.settle()
    assert story.condition("Failed")[0] == "False"
    assert story.condition("DataPrepared") == ("False", "Killed")
    assert "requests.memory" in story.message("Ready")
    story.later(FIRST_PAUSE.total_seconds()).settle()
    assert not story.job("prepare")["status"], "a new one"


def test_a_pod_that_was_deleted_and_did_not_end_by_itself_says_so():
    story = preparing()
    job = story.job("prepare")
    job["status"] = {"failed": 1}
    pod = a_pod(job, {"terminated": {"exitCode": 137, "reason": "Error"}})
    pod["metadata"]["deletionTimestamp"] = written(NOON)
    story.pods.append(pod)
    story.settle()
    assert "exit code 137, as its pod was deleted" in story.message("DataPrepared")


@pytest.mark.parametrize("reason", ["Unschedulable", "ImageNotPulled"])
def test_a_deadline_that_passed_before_the_step_could_start_is_no_failure(reason: str):
    story = preparing()
    job = story.job("prepare")
    no_node = {"type": "PodScheduled", "status": "False", "message": "0/3 nodes"}
    waiting = {"waiting": {"reason": "ErrImagePull", "message": "no such image"}}
    status: Json = {"conditions": [no_node], "containerStatuses": []} if reason == "Unschedulable" else {}
    story.pods.append(a_pod(job, waiting, phase="Pending", **status))
    story.settle()
    assert story.condition("DataPrepared") == ("False", reason)
    at = story.now.strftime("%Y-%m-%dT%H:%M:%SZ")
    over = {"type": "Failed", "reason": "DeadlineExceeded", "status": "True", "lastTransitionTime": at}
    story.job("prepare")["status"] = {"conditions": [over]}
    story.pods.clear()
    story.settle()
    assert story.condition("DataPrepared") == ("False", reason)
    story.later(15).settle()
    assert len(story.jobs_ever) == 2


def test_a_deadline_that_passed_while_the_step_worked_ends_the_run():
    story = preparing()
    over = {"type": "Failed", "reason": "DeadlineExceeded", "status": "True"}
    story.job("prepare")["status"] = {"conditions": [over]}
    story.settle()
    assert story.condition("Failed") == ("True", "DeadlineExceeded")


@pytest.mark.parametrize("reason", ENDING)
def test_what_a_person_has_to_change_ends_the_run(reason: str):
    story = preparing()
    story.fails("prepare", reason, "why").settle()
    story.later(86_400).settle()
    assert story.condition("Failed") == ("True", reason)
    assert story.status["run"]["outcome"] == "Failed"


def test_what_was_told_of_a_job_outlives_its_pod():
    story = preparing()
    story.fails("prepare", "AccessDenied", "not yours", 64).settle()
    story.pods.clear()  # as the garbage collector does, or a node that is removed
    story.settle()
    assert story.condition("DataPrepared") == ("False", "AccessDenied")
    story.later(86_400).settle()
    assert len(story.jobs_ever) == 2


def test_a_bucket_that_a_table_names_and_there_is_not_ends_the_run():
    story = preparing()
    story.fails("prepare", "BucketMissing", "samples (s3://nowhere/x): there is no bucket 'nowhere'", 65).settle()
    assert story.condition("Failed") == ("True", "BucketMissing")


def test_the_scenarios_of_a_store_that_comes_back_are_looked_at_at_once():
    spring = Key("Scenario", "shop", "spring")

    def named(name: str, version: int) -> Json:
        return {"name": name, "namespace": "shop", "uid": name, "resourceVersion": str(version)}

    async def story() -> list[bool]:
        snapshot, queue = Snapshot(), WorkQueue[Key]()
        observer = Observer(snapshot, queue)
        scenario = {"kind": "Scenario", "metadata": named("spring", 1), "spec": {"heavyModelRef": {"name": "shared"}}}
        looked_at: list[bool] = []
        observer.observe(scenario)
        for version, holds in enumerate([True, False, False, True], start=2):
            known = store_ready(holds).model_dump(mode="json", by_alias=True)
            status: Json = {"conditions": [known]}
            observer.observe({"kind": "HeavyModel", "metadata": named("shared", version), "status": status})
            taken = [await queue.get() for _ in range(len(queue))]
            looked_at.append(spring in taken)
            for key in taken:
                queue.done(key)
        return looked_at

    assert asyncio.run(story()) == [True, True, False, True]


def test_while_the_store_is_away_nothing_is_tried_and_the_condition_says_what_is_waited_for():
    story = preparing()
    story.fails("prepare", "StoreUnreachable", "runs/x: no answer", 75)
    store(story, holds=False).settle()
    story.later(86_400).settle()
    assert len(story.jobs_ever) == 1
    assert "runs/x: no answer; it goes on once the store does: no answer from store:7070" in story.message("Ready")
    store(story, holds=True).settle()
    assert len(story.jobs_ever) == 2


def test_no_step_begins_while_the_store_is_away():
    story = preparing()
    story.succeeds("prepare")
    store(story, holds=False).settle()
    assert story.condition("DataPrepared")[0] == "True", "what ended well has"
    assert len(story.jobs_ever) == 1
    assert story.condition("Adapted") == ("False", "StoreUnreachable")
    assert story.plan().requeue_after is not None
    store(story, holds=True).settle()
    assert len(story.jobs_ever) == 2


def test_a_pod_that_the_cluster_ended_is_no_failure_of_the_run():
    story = preparing()
    job = story.job("prepare")
    at = story.now.strftime("%Y-%m-%dT%H:%M:%SZ")
    job["status"] = {"conditions": [{"type": "Failed", "status": "True", "lastTransitionTime": at}]}
    story.pods.append(a_pod(job, {}, reason="NodeLost", message="the node is gone", containerStatuses=[]))
    story.settle()
    assert story.condition("DataPrepared") == ("False", "NodeLost")
    assert story.status["run"].get("outcome") is None


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(AROUND), st.booleans()), max_size=8))
def test_once_the_world_is_well_every_run_goes_on(blows: list[tuple[str, bool]]):
    story = preparing()
    for reason, outage in blows:
        if not story.job("prepare")["status"]:
            story.fails("prepare", reason, "why", 75)
        store(story, holds=not outage).settle()
        story.later(60).settle()
    store(story, holds=True)
    story.pods.clear()
    story.later(LONGEST_PAUSE.total_seconds()).settle()
    story.succeeds("prepare").settle()
    assert story.condition("DataPrepared")[0] == "True"


def out_of_memory(story: Story) -> Story:
    job = story.job("prepare")
    at = story.now.strftime("%Y-%m-%dT%H:%M:%SZ")
    failed = {"type": "Failed", "reason": "BackoffLimitExceeded", "status": "True", "lastTransitionTime": at}
    job["status"] = {"conditions": [failed]}
    story.pods.append(a_pod(job, {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}))
    story.settle()
    return story


def limits(job: Json) -> Json:
    return job["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]


@pytest.mark.parametrize("removed", [False, True])
def test_more_memory_for_a_step_that_had_too_little_takes_effect_at_once(removed: bool):
    story = out_of_memory(preparing(resources={"limits": {"memory": "200Mi"}}))
    assert story.condition("Failed") == ("True", "OutOfMemory")
    if removed:  # its own time to live, or a person
        story.children.pop(Key("Job", "shop", jobs(story)[0]))
        story.pods.clear()
    made_with(story, resources={"limits": {"memory": "3Gi"}})
    assert story.condition("Failed")[0] == "False"
    assert limits(story.job("prepare")) == {"memory": "3Gi"}
    assert not story.job("prepare")["status"]
    assert story.status["run"]["number"] == 1


def test_one_that_fails_again_stays_failed_until_something_else_is_mended():
    story = out_of_memory(preparing(resources={"limits": {"memory": "200Mi"}}))
    out_of_memory(made_with(story, resources={"limits": {"memory": "300Mi"}}))
    assert story.condition("Failed") == ("True", "OutOfMemory")
    story.later(86_400).settle()
    assert len(story.jobs_ever) == 2


@pytest.mark.parametrize("reason", ["DataInvalid", "BudgetUnreachable"])
def test_another_image_mends_no_data(reason: str):
    story = preparing()
    story.fails("prepare", reason, "no rows").settle()
    made_with(story, image="trainer:2")
    assert len(story.jobs_ever) == 1
    assert story.condition("Failed") == ("True", reason)


def test_a_suspended_scenario_takes_nothing_up_again():
    story = out_of_memory(preparing(resources={"limits": {"memory": "200Mi"}}))
    story.change(suspend=True)
    made_with(story, resources={"limits": {"memory": "3Gi"}})
    assert len(story.jobs_ever) == 1


def waits_for_its_image(story: Story) -> Story:
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "trainer:nope: not found"}}
    story.pods.append(a_pod(story.job("prepare"), waiting, phase="Pending"))
    story.settle()
    return story


def image(story: Story) -> str:
    return story.job("prepare")["spec"]["template"]["spec"]["containers"][0]["image"]


def test_a_job_that_does_not_start_is_made_anew_of_what_was_mended_once_its_pod_has_ended():
    story = waits_for_its_image(preparing(image="trainer:nope"))
    assert story.condition("DataPrepared") == ("False", "ImageNotPulled")
    made_with(story, image="trainer:2")
    assert jobs(story) == [], "its pod may still be there"
    assert "waiting until pod" in story.message("DataPrepared")
    story.pods.clear()
    story.settle()
    assert image(story) == "trainer:2"


@pytest.mark.parametrize("state", [{"running": {}}, None])
def test_a_job_that_works_is_left_alone(state: Json | None):
    story = preparing(image="trainer:1")
    if state is not None:
        story.pods.append(a_pod(story.job("prepare"), state, phase="Running"))
    made_with(story, image="trainer:2")
    assert image(story) == "trainer:1" or not story.removed
    assert story.removed == []
    assert len(story.jobs_ever) == 1


def test_a_job_of_an_operator_that_left_no_mark_is_left_alone():
    story = preparing(image="trainer:nope")
    story.job("prepare")["metadata"]["annotations"].pop("longtail.dev/made-of")
    made_with(waits_for_its_image(story), image="trainer:2")
    assert story.removed == []


def test_a_deleted_jobs_pod_ends_before_another_one_begins():
    story = preparing()
    story.pods.append(a_pod(story.job("prepare"), {"running": {}}, phase="Running"))
    story.children.pop(Key("Job", "shop", jobs(story)[0]))
    story.settle()
    assert jobs(story) == []
    assert story.condition("DataPrepared") == ("False", "Pending")
    story.pods[-1]["status"]["phase"] = "Failed"
    story.later(timedelta(seconds=1).total_seconds()).settle()
    assert len(jobs(story)) == 1


def initializing() -> Model:
    model = Model(member("a"), member("b"))
    model.settle()
    return model


def later(model: Model, seconds: float) -> Model:
    model.now += timedelta(seconds=seconds)
    model.settle()
    return model


def with_memory(model: Model, memory: str) -> Model:
    trainer = {"resources": {"limits": {"memory": memory}}}
    model.spec = model.spec.model_copy(update={"trainer": a_heavy_model(trainer=trainer).trainer})
    model.settle()
    return model


def test_an_initialization_goes_on_with_its_frozen_pool_once_its_store_does():
    model = initializing()
    pool, job = model.pool(), model.jobs()[0]["metadata"]["name"]
    model.ends(75, status="Failed", reason="StoreUnreachable", message="no answer")
    model.settle()
    assert model.condition("Initialized") == ("False", "StoreUnreachable")
    model.members.append(member("c"))
    later(model, 15)
    assert not model.jobs()[0]["status"], "a new one"
    assert (model.pool(), model.jobs()[0]["metadata"]["name"]) == (pool, job)


@pytest.mark.parametrize("reason", ["OutOfMemory", "DataInvalid"])
def test_a_meta_training_that_failed_goes_on_at_once_with_what_was_mended(reason: str):
    model = at_night()
    model.ends(status="Failed", reason=reason, message="why")
    model.settle()
    later(model, 60)
    assert model.status["metaTraining"]["outcome"] == "Failed"
    with_memory(model, "3Gi")
    mended = reason == "OutOfMemory"
    assert model.status["metaTraining"].get("outcome") == (None if mended else "Failed")
    assert limits(model.jobs()[-1]) == {"memory": "3Gi"} if mended else model.jobs()[-1]["status"]


@pytest.mark.parametrize("removed", [False, True])
def test_an_initialization_that_ran_out_of_memory_goes_on_with_more(removed: bool):
    model = initializing()
    model.ends(status="Failed", reason="OutOfMemory", message="give it more memory")
    later(model, 86_400)
    assert model.condition("Initialized") == ("False", "OutOfMemory")
    assert model.jobs()[0]["status"], "nothing was mended"
    if removed:
        model.children.clear()
        model.pods.clear()
    with_memory(model, "3Gi")
    assert limits(model.jobs()[0]) == {"memory": "3Gi"}
    assert not model.jobs()[0]["status"]
    assert model.condition("Initialized") == ("False", "Running")


def test_a_meta_training_that_its_surroundings_hold_up_goes_on_and_lets_feedback_be_folded():
    model = at_night()
    assert pauses_folding(model.status)
    model.ends(64, status="Failed", reason="AccessDenied", message="not yours")
    model.jobs()[-1]["status"]["conditions"][0]["lastTransitionTime"] = written(model.now)
    model.settle()
    assert model.condition("MetaTrained") == ("False", "AccessDenied")
    later(model, 15)
    assert not model.jobs()[-1]["status"], "a new one"
    assert not pauses_folding(model.status)
    model.ends(**trained())
    model.settle()
    assert model.condition("MetaTrained") == ("True", "Succeeded")


def test_a_search_goes_on_once_its_store_does():
    search = SearchStory()
    search.ends("Failed", exit_code=75, reason="StoreUnreachable", message="no answer")
    assert search.condition("Failed") == ("", "")
    assert search.condition("Ready") == ("False", "StoreUnreachable")
    store(search.target, holds=False)
    search.now += timedelta(hours=8)
    search.settle()
    assert search.job is not None
    assert search.job["status"]
    store(search.target, holds=True)
    search.settle()
    assert search.job is not None
    assert not search.job["status"], "a new one"
    search.ends(flops=3)
    assert search.condition("Complete") == ("True", "Succeeded")


def test_a_search_that_had_too_little_memory_goes_on_with_more_and_so_does_the_run_that_asked_for_it():
    search = SearchStory()
    search.ends("Failed", exit_code=75, reason="OutOfMemory", message="give it more memory")
    assert search.condition("Failed") == ("True", "OutOfMemory")
    search.target.heavy_model = replace(
        search.target.heavy_model, spec=a_heavy_model(trainer={"resources": {"limits": {"memory": "3Gi"}}})
    )
    search.settle()
    assert search.condition("Failed") == ("", "")
    assert search.job is not None
    assert limits(search.job) == {"memory": "3Gi"}


def test_a_run_whose_search_was_taken_up_again_goes_on():
    story = Story(serving={})
    story.settle()
    for step in ("prepare", "adapt"):
        story.succeeds(step).settle()
    search = next(item for item in story.children.values() if item["kind"] == "LightModelSearch")
    key = Key("LightModelSearch", "shop", search["metadata"]["name"])
    failed = {"type": "Failed", "status": "True", "reason": "OutOfMemory", "lastTransitionTime": "2026-06-01T12:00:00Z"}
    story.children[key]["status"] = {"conditions": [failed]}
    story.settle()
    assert story.condition("Failed") == ("True", "OutOfMemory")
    story.children[key]["status"] = {"conditions": []}
    story.settle()
    assert story.condition("Failed")[0] == "False"
    story.found_an_architecture().settle()
    assert story.condition("Searched")[0] == "True"


def test_a_step_for_many_goes_on_with_what_was_mended():
    status, config = HeavyModelStatus(), together.config()

    def planned(*children: Json, pods: tuple[Json, ...] = (), memory: str = "1Gi") -> Draft:
        draft, world = Draft(), together.a_world(*children, pods=pods)
        spec = a_heavy_model(trainer={"resources": {"limits": {"memory": memory}}})
        plan_group(replace(world, spec=spec), status, draft, NOON, "together", config)
        return draft

    made = planned().children
    job = next(item for item in made if item["kind"] == "Job")
    over = {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}
    ended = [{**item, "status": {"conditions": [over]}} if item is job else item for item in made]
    pod = a_pod(job, {"terminated": {"exitCode": 137, "reason": "OOMKilled"}})
    planned(*ended, pods=(pod,))
    assert status.groups[0].outcome == "Failed"
    assert not planned(*ended, pods=(pod,)).deletions
    assert Key("Job", "shop", job["metadata"]["name"]) in planned(*ended, pods=(pod,), memory="3Gi").deletions
    assert status.groups[0].outcome is None
