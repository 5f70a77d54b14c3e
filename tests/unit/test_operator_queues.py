"""Jobs of a Kueue queue: who holds them, who lets them go."""

import pytest

from longtail_operator.kubernetes.apply import difference
from longtail_operator.kubernetes.objects import Json
from tests.unit.operator_builders import Story, a_heavy_model, initialized

QUEUE = "kueue.x-k8s.io/queue-name"


def queued(queue: str | None = "team-a") -> Story:
    story = Story(initialized(a_heavy_model(trainer={"queueName": queue} if queue else {})))
    story.settle()
    return story


def as_it_stands(job: Json, *, suspended: bool) -> Json:
    return {**job, "spec": {**job["spec"], "suspend": suspended}}


@pytest.mark.parametrize("suspended", [True, False], ids=["held by the queue", "admitted"])
def test_whether_a_queued_job_runs_is_left_to_its_queue(suspended: bool):
    job = queued().job("prepare")
    assert "suspend" not in job["spec"]
    assert difference(as_it_stands(job, suspended=suspended), job) is None


def test_a_person_who_suspends_a_scenario_holds_its_admitted_job_and_resumes_it_by_the_queue():
    story = queued()
    admitted = as_it_stands(story.job("prepare"), suspended=False)
    story.change(suspend=True).settle()
    held = story.job("prepare")
    assert difference(admitted, held) == {"spec": {"suspend": True}}
    story.change(suspend=False).settle()
    assert difference(as_it_stands(held, suspended=True), story.job("prepare")) is None


def test_a_waiting_job_leaves_a_queue_that_is_no_longer_asked_for_and_then_runs():
    waiting = as_it_stands(queued().job("prepare"), suspended=True)
    free = queued(None).job("prepare")
    patch = difference(waiting, free)
    assert patch is not None
    assert patch["metadata"]["labels"][QUEUE] is None
    assert "spec" not in patch
    without = {name: value for name, value in waiting["metadata"]["labels"].items() if name != QUEUE}
    out_of_it = {**waiting, "metadata": {**waiting["metadata"], "labels": without}}
    assert difference(out_of_it, free) == {"spec": {"suspend": False}}


def test_a_waiting_job_moves_to_another_queue_and_an_admitted_one_stays():
    job, other = queued().job("prepare"), queued("team-b").job("prepare")
    patch = difference(as_it_stands(job, suspended=True), other)
    assert patch is not None
    assert patch["metadata"]["labels"][QUEUE] == "team-b"
    assert difference(as_it_stands(job, suspended=False), other) is None


def test_who_waits_for_a_queue_says_so():
    story = queued()
    story.job("prepare")["spec"]["suspend"] = True
    story.status = story.plan().status
    assert story.condition("DataPrepared") == ("False", "Queued")
    assert "waits for admission by queue team-a" in story.message("DataPrepared")
