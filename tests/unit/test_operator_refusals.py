"""What the API server would not take stands in the condition of the step that it belongs to, or in Ready."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, cast

from longtail_operator.control_plane import ControlPlane
from longtail_operator.kubernetes.hearing import Hearing, look_again, silent
from longtail_operator.kubernetes.kube import KubeApi, KubeError
from longtail_operator.kubernetes.objects import Json, Key, key_of
from longtail_operator.kubernetes.obstacles import LONGEST_RETRY, Obstacle, Obstacles
from longtail_operator.kubernetes.plan import Plan
from longtail_operator.kubernetes.trouble import Trouble
from tests.unit.operator_builders import NOON, SETTINGS, Story, a_pod, a_serving_scenario

OWNER, JOB, SERVICE = Key("Scenario", "shop", "spring"), Key("Job", "shop", "j"), Key("Service", "shop", "s")
POLICY = 'admission webhook "policy.example" denied the request: every Job needs the label cost-center'
REFUSED = Obstacle(Trouble("Refused", POLICY))


def test_what_is_refused_once_may_pass_and_what_is_refused_twice_is_told():
    obstacles = Obstacles()
    assert obstacles.settle(OWNER, {JOB: REFUSED}) == 0.25
    assert obstacles.told(OWNER) == {}
    assert obstacles.settle(OWNER, {JOB: REFUSED}) == 0.0, "the status is written at once"
    assert obstacles.told(OWNER) == {JOB: REFUSED.trouble}


def test_a_taken_name_is_told_the_first_time():
    obstacles = Obstacles()
    assert obstacles.settle(OWNER, {JOB: Obstacle(Trouble("InvalidSpec", "exists"), lasting=True)}) == 0.0


def test_what_is_refused_is_tried_again_ever_more_rarely_but_within_a_minute():
    obstacles = Obstacles()
    waits = [
        # The words hold another pod's name each time.
        obstacles.settle(OWNER, {JOB: Obstacle(Trouble("Refused", f"pod x-{number}"))})
        for number in range(40)
    ]
    assert waits[1] == 0.0
    assert all(waits[2:]), "other words are no reason to try again at once"
    assert waits[-1] == LONGEST_RETRY == 60.0


def test_what_is_taken_is_forgotten():
    obstacles = Obstacles()
    obstacles.settle(OWNER, {JOB: REFUSED})
    obstacles.settle(OWNER, {JOB: REFUSED})
    assert obstacles.settle(OWNER, {}) == 0.0, "the condition is to go"
    assert obstacles.settle(OWNER, {}) is None
    assert obstacles.told(OWNER) == {}


def test_a_job_that_is_refused_stands_in_the_condition_of_its_step():
    story = Story()
    story.settle()
    name = story.job("prepare")["metadata"]["name"]
    story.refuses("Job", name, POLICY)
    plan = story.plan()
    told = {one["type"]: (one["status"], one["reason"], one["message"]) for one in plan.status["conditions"]}
    assert told["DataPrepared"] == ("False", "Refused", POLICY)
    assert told["Ready"][1] == "Refused"
    assert POLICY in told["Ready"][2]
    assert name in [child["metadata"]["name"] for child in plan.children if child["kind"] == "Job"], "it is tried again"


def test_a_search_and_a_deployment_that_are_refused_stand_in_theirs():
    story = a_serving_scenario()
    story.settle()
    story.succeeds("prepare").settle()
    story.succeeds("adapt").settle()
    story.refuses("LightModelSearch", story.names("LightModelSearch")[0], POLICY)
    story.status = story.plan().status
    assert story.condition("Searched") == ("False", "Refused")
    story = a_serving_scenario().trained()
    story.refuses("Deployment", "spring-v1", POLICY)
    story.status = story.plan().status
    assert story.condition("RolledOut") == ("False", "Refused")


def test_a_candidate_whose_service_is_another_ones_is_not_checked():
    story = a_serving_scenario().trained().answers()
    candidate = next(name for name in story.names("Service") if "candidate" in name)
    story.refuses("Service", candidate, "exists and is not this resource's")
    plan = story.plan()
    assert not [child for child in plan.children if child["kind"] == "Job"]
    story.status = plan.status
    assert "not this resource's" in story.message("RolledOut")


class Server:
    """An API server that refuses some objects, and has events."""

    def __init__(self, *refused: str) -> None:
        self.refused = list(refused)
        self.tried: list[str] = []
        self.statuses: list[Json] = []
        self.noted: list[str] = []
        self.events: list[Json] = []
        self.asked: list[str] = []
        self.status_refusal: KubeError | None = None

    async def get(self, key: Key) -> None:
        return None

    async def apply_status(self, item: Json) -> Json:
        if self.status_refusal is not None:
            raise self.status_refusal
        self.statuses.append(item["status"])
        return item

    async def apply(self, item: Json) -> Json:
        self.tried.append(f"{item['kind']} {item['metadata']['name']}")
        if self.tried[-1] in self.refused:
            raise KubeError(422, "Invalid", POLICY, "PATCH /x")
        return {**item, "metadata": {**item["metadata"], "uid": self.tried[-1], "resourceVersion": "2"}}

    async def create(self, item: Json) -> bool:
        self.noted.append(f"{item['type']} {item['reason']}: {item['message']}")
        return True

    async def list(self, kind: str, namespace: str, selector: str | None = None, fields: str = "") -> list[Json]:
        self.asked.append(fields)
        return self.events


def played(server: Server, *turns: Plan | Callable[[], None]) -> None:
    """A control plane carries these plans out for one Scenario in turn; what is no plan happens in between."""
    story = Story()
    story.raw["metadata"]["resourceVersion"] = "1"

    async def play() -> None:
        plane = ControlPlane(cast(KubeApi, server), SETTINGS)
        carry_out: Callable[..., Awaitable[None]] = plane.reconciler._carry_out  # pyright: ignore[reportPrivateUsage]
        for plan in turns:
            if not isinstance(plan, Plan):
                plan()
                continue
            with contextlib.suppress(KubeError):
                await carry_out(story.raw, {}, plan)
            await asyncio.sleep(0)
            await asyncio.sleep(0)

    asyncio.run(play())


def a_child(kind: str, name: str) -> Json:
    version = {"Job": "batch/v1", "ConfigMap": "v1", "Service": "v1"}[kind]
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": "shop"}, "spec": {}}


def a_plan(*children: Json) -> Plan:
    ready = {"type": "Ready", "status": "True", "reason": "Serving", "lastTransitionTime": "2026-06-01T12:00:00Z"}
    return Plan(status={"conditions": [ready]}, children=children)


def test_one_refusal_keeps_nothing_else_from_being_made():
    server = Server("ConfigMap step")
    played(server, a_plan(a_child("ConfigMap", "step"), a_child("Job", "step"), a_child("Service", "spring")))
    assert server.tried == ["ConfigMap step", "Service spring"], "a Job without its ConfigMap would only wait"


def test_what_no_step_tells_ready_does_and_an_event():
    server = Server("Service spring")
    plan = a_plan(a_child("Service", "spring"))
    played(server, plan, plan, plan)
    assert [status["conditions"][0]["reason"] for status in server.statuses] == ["Serving", "Serving", "Refused"]
    message = server.statuses[-1]["conditions"][0]["message"]
    assert message == f"Service spring is refused by the API server: {POLICY}"
    assert f"Warning Refused: Ready: {message}" in server.noted


def test_a_refusal_that_is_mended_goes_from_the_condition():
    server = Server("Service spring")
    plan = a_plan(a_child("Service", "spring"))
    played(server, plan, plan, plan, server.refused.clear, plan, plan)
    assert [status["conditions"][0]["reason"] for status in server.statuses[2:]] == ["Refused", "Refused", "Serving"]


def test_a_status_that_is_refused_is_told_by_an_event():
    server = Server()
    server.status_refusal = KubeError(403, "Forbidden", "no status for you")
    played(server, a_plan())
    assert server.noted == ["Warning Refused: the API server refuses the status: no status for you"]


def at(seconds: float) -> str:
    return (NOON + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def a_job(**spec: Any) -> Json:
    metadata = {"name": "j", "namespace": "shop", "uid": "job", "creationTimestamp": at(0)}
    return {"kind": "Job", "metadata": metadata, "spec": spec, "status": {"startTime": at(0)}}


def a_starting_pod(job: Json, **status: Any) -> Json:
    pod = a_pod(job, {"waiting": {"reason": "ContainerCreating"}}, phase="Pending", **status)
    pod["metadata"]["creationTimestamp"] = at(0)
    return pod


def names(found: list[tuple[Json, Any]]) -> list[str]:
    return [key_of(item).kind for item, _ in found]


def test_what_waits_without_a_word_is_asked_about():
    job = a_job()
    assert names(silent([job], [], NOON)) == ["Job"]
    assert names(silent([job], [a_starting_pod(job)], NOON)) == ["Pod"]


def test_what_says_itself_why_it_waits_or_waits_for_nobody_is_not_asked_about():
    job, now = a_job(), NOON + timedelta(hours=1)
    unscheduled = [{"type": "PodScheduled", "status": "False", "message": "no node"}]
    assert not silent([job], [a_starting_pod(job, conditions=unscheduled)], now)
    assert not silent([a_job(suspend=True)], [], now)
    assert not silent([job], [a_pod(job, {"running": {}}, phase="Running")], now)
    over = {**job, "status": {"conditions": [{"type": "Complete", "status": "True"}]}}
    assert not silent([over], [], now)


def test_an_indexed_job_that_lacks_one_of_its_pods_is_asked_about():
    job = a_job(parallelism=2)
    running = a_pod(job, {"running": {}}, phase="Running")
    running["metadata"]["creationTimestamp"] = at(0)
    assert names(silent([job], [running], NOON)) == ["Job"]


def test_it_is_asked_again_ever_more_rarely_but_within_a_minute():
    waits = [look_again([a_job()], [], NOON + timedelta(seconds=age)) for age in (0, 3, 5, 30, 3600)]
    assert waits == [5, 2, 5, 15, 45]
    assert look_again([], [], NOON) is None


def heard(server: Server, item: Json, age: float) -> dict[str, Trouble]:
    hearing = Hearing(cast(KubeApi, server))
    return asyncio.run(hearing.of(OWNER, [item], [], NOON + timedelta(seconds=age)))


def an_event(reason: str, message: str, seconds: float) -> Json:
    metadata = {"name": reason, "creationTimestamp": at(seconds)}
    return {"metadata": metadata, "reason": reason, "message": message, "lastTimestamp": None,
            "eventTime": at(seconds).replace("Z", ".123456Z")}  # fmt: skip


def test_the_newest_warning_is_heard_and_none_of_before_it_waited():
    server = Server()
    server.events = [an_event("FailedCreate", "quota", 3), an_event("FailedCreate", "older", 1)]
    assert heard(server, a_job(), 6) == {"job": Trouble("FailedCreate", "quota")}
    assert server.asked == ["involvedObject.uid=job,type=Warning"]
    server.events = [an_event("FailedCreate", "of another time", -60)]
    assert heard(server, a_job(), 6) == {}


def test_a_job_that_has_just_begun_is_left_in_peace():
    server = Server()
    assert heard(server, a_job(), 4) == {}
    assert not server.asked


def test_events_that_may_not_be_read_are_no_reason_to_stop():
    class Forbidden(Server):
        async def list(self, kind: str, namespace: str, selector: str | None = None, fields: str = "") -> list[Json]:
            raise KubeError(403, "Forbidden", "events is forbidden")

    assert "events is forbidden" in heard(Forbidden(), a_job(), 6)["job"].message
