"""One Job of the HeavyModel, many Scenarios that wait for their own part of it."""

import asyncio
import hashlib
from pathlib import Path
from typing import Literal, cast

import pytest

from longtail_api.conditions import ConditionType
from longtail_api.heavy_model import GroupStepStatus, HeavyModelStatus
from longtail_api.methods import METHODS as APIS
from longtail_api.methods import MethodApi
from longtail_api.run_config import StepConfig, StoreAddress
from longtail_api.scenario import ScenarioStatus
from longtail_api.store_layout import result_key
from longtail_api.store_objects import Member, StepResult, Termination
from longtail_operator.heavy_model.group_step import GroupStep, plan_group
from longtail_operator.heavy_model.world import HeavyModelWorld, Members
from longtail_operator.kubernetes.kube import KubeApi
from longtail_operator.kubernetes.objects import Json, Key
from longtail_operator.kubernetes.outputs import outputs_of
from longtail_operator.kubernetes.plan import Draft
from longtail_operator.kubernetes.snapshot import Snapshot
from longtail_operator.kubernetes.trouble import Trouble
from longtail_operator.kubernetes.work_queue import WorkQueue
from longtail_operator.methods import METHODS
from longtail_operator.observer import Observer
from longtail_operator.scenario.gate import waits_for_place
from longtail_operator.scenario.prepare import PREPARE
from longtail_operator.scenario.step import LightTrained, RunContext, Step
from longtail_operator.stores.hub import StoreHub
from longtail_operator.stores.view import Membership, StoreView
from longtail_store import open_store, write_object_if_absent
from tests.methods.alone.plan import Alone
from tests.unit.operator_builders import (
    MODEL_KEY,
    NOON,
    SETTINGS,
    SHA,
    TEMPORARY,
    Story,
    a_heavy_model,
    a_pod,
    initialized,
)

OWN = "shop.spring.01234567"
MANIFEST = f"data/{OWN}/d1/manifest.json"
OWN_RESULT = result_key(OWN, 1, "together")


class Together(GroupStep):
    name = "together"
    condition = ConditionType.TRAINED

    def record(self, context: RunContext, digest: str, status: ScenarioStatus, said: Termination) -> None:
        context.run.light_sha256 = outputs_of(LightTrained, said).model_sha256


class Joint(Alone):
    name = "Joint"
    every_step: tuple[Step, ...] = (PREPARE, Together())


class TogetherConfig(StepConfig):
    """together: what many have in common."""

    step: Literal["together"] = "together"
    manifests: list[str]


@pytest.fixture
def story(monkeypatch: pytest.MonkeyPatch) -> Story:
    """Its data is prepared."""
    monkeypatch.setitem(APIS, "Joint", MethodApi("Joint", {"together": TogetherConfig}))
    monkeypatch.setitem(METHODS, "Joint", Joint())
    story = Story(initialized(a_heavy_model(method="Joint")), serving={})
    story.settle()
    story.succeeds("prepare").settle()
    return story


def a_membership(manifest: str = MANIFEST) -> Membership:
    said = Termination(status="Succeeded", result_sha256=SHA, outputs={"modelSha256": SHA})
    return Membership(Member(manifest=manifest, result_key=OWN_RESULT, result_sha256=SHA), said)


def test_a_scenario_waits_for_the_group_without_a_job_and_without_a_place(story: Story):
    assert story.condition("Trained") == ("False", "Waiting")
    assert "waiting for together of HeavyModel shared, which has not begun" in story.message("Trained")
    assert len(story.jobs_ever) == 1
    assert "step" not in story.status["run"], "it holds no place"
    story.admitted = False
    story.settle()
    assert not waits_for_place(story.status), "and needs none"


def test_a_scenario_goes_on_with_its_own_part(story: Story):
    story.memberships["together"] = a_membership()
    story.settle()
    assert story.condition("Trained") == ("True", "Succeeded")
    assert (story.status["run"]["outcome"], story.status["run"]["lightSha256"]) == ("Succeeded", SHA)


def test_what_was_made_of_other_data_is_not_this_runs(story: Story):
    story.memberships["together"] = a_membership(f"data/{OWN}/d0/manifest.json")
    story.settle()
    assert story.condition("Trained") == ("False", "Waiting")


def a_world(
    *children: object, pods: tuple[object, ...] = (), status: HeavyModelStatus | None = None
) -> HeavyModelWorld:
    return HeavyModelWorld(
        raw={
            "apiVersion": "longtail.dev/v1alpha1", "kind": "HeavyModel", "spec": {},
            "metadata": {"name": "shared", "namespace": "shop", "uid": "m", "generation": 1},
        },
        spec=a_heavy_model(), status=status or HeavyModelStatus(), scenario_count=0, read_members=lambda: Members([]),
        store=StoreView(), settings=SETTINGS,
        children=list(children), pods=list(pods),  # pyright: ignore[reportArgumentType]
    )  # fmt: skip


def config(identity: str = "f" * 32) -> TogetherConfig:
    return TogetherConfig(
        store=StoreAddress(uri="file:///x"), identity=identity, owner="agnostic", run=3, manifests=[MANIFEST]
    )


def test_the_groups_job_is_started_once_and_its_end_is_recorded():
    status, draft = HeavyModelStatus(), Draft()
    plan_group(a_world(), status, draft, NOON, "together", config())
    assert {child["kind"] for child in draft.children} == {"Job", "ConfigMap"}
    job = next(child for child in draft.children if child["kind"] == "Job")

    running = Draft()
    plan_group(a_world(*draft.children), status, running, NOON, "together", config())
    assert not running.deletions
    assert {key.kind for key in running.kept} >= {"Job", "ConfigMap"}

    ended = {**job, "status": {"conditions": [
        {"type": "Complete", "status": "True", "lastTransitionTime": "2026-06-01T12:00:00Z"}
    ]}}  # fmt: skip
    said = Termination(status="Succeeded", result_sha256=SHA).model_dump_json(by_alias=True)
    pod = a_pod(job, {"terminated": {"exitCode": 0, "message": said}})
    plan_group(a_world(ended, pods=(pod,)), status, Draft(), NOON, "together", config())
    assert [(one.step, one.run, one.outcome, one.result) for one in status.groups] == [
        ("together", 3, "Succeeded", SHA)
    ]
    later = Draft()
    plan_group(a_world(), status, later, NOON, "together", config())
    assert not later.children, "its Job's time to live is over"
    plan_group(a_world(), status, later, NOON, "together", config("e" * 32))
    assert later.children, "other inputs"


def membership(folder: Path, group: GroupStepStatus, scenario: str) -> Membership | Trouble | None:
    spec = a_heavy_model(storage={"uri": folder.as_uri()})
    hub = StoreHub(cast(KubeApi, None), allowed_stores=(TEMPORARY,), grace_seconds=60)
    try:
        return asyncio.run(hub.membership(MODEL_KEY, spec, group, scenario, MODEL_KEY))
    finally:
        hub.close()


def test_each_scenario_finds_its_part_in_the_store(tmp_path: Path):
    store = open_store(StoreAddress(uri=tmp_path.as_uri()))

    def put(key: str, result: StepResult) -> str:
        write_object_if_absent(store, key, result)
        return hashlib.sha256(result.to_bytes()).hexdigest()

    own = StepResult(step="together", identity="i", run=1, outputs={"modelSha256": SHA}, flops=7)
    member = Member(manifest=MANIFEST, result_key=OWN_RESULT, result_sha256=put(OWN_RESULT, own))
    listed = StepResult(step="together", identity="i", run=3, members={OWN: member})
    digest = put(result_key("agnostic", 3, "together"), listed)
    group = GroupStepStatus(step="together", run=3, identity="i", result=digest, outcome="Succeeded")
    found = membership(tmp_path, group, OWN)
    assert isinstance(found, Membership)
    assert (found.member, found.said.outputs, found.said.flops) == (member, {"modelSha256": SHA}, 7)
    assert membership(tmp_path, group, "shop.other.00000000") is None
    forged = membership(tmp_path, group.model_copy(update={"result": "0" * 64}), OWN)
    assert isinstance(forged, Trouble)
    assert "has sha256" in forged.message


def test_scenarios_look_again_when_a_group_step_of_their_heavy_model_ends(story: Story):
    async def queued(status: Json) -> list[Key]:
        """What is queued once the HeavyModel's status has become this one."""
        queue: WorkQueue[Key] = WorkQueue()
        observer = Observer(Snapshot(), queue)
        heavy_model: Json = {
            "apiVersion": "longtail.dev/v1alpha1", "kind": "HeavyModel", "spec": {},
            "metadata": {"name": "shared", "namespace": "shop", "uid": "m"},
        }  # fmt: skip
        for version, item in enumerate((story.raw, heavy_model, {**heavy_model, "status": status}), start=1):
            while len(queue):
                queue.done(await queue.get())
            observer.observe({**item, "metadata": {**item["metadata"], "resourceVersion": str(version)}})
        return [await queue.get() for _ in range(len(queue))]

    group = GroupStepStatus(step="together", run=1, identity="i", result=SHA, outcome="Succeeded").to_json_dict()
    assert Key("Scenario", "shop", "spring") in asyncio.run(queued({"groups": [group]}))
    assert Key("Scenario", "shop", "spring") not in asyncio.run(queued({"scenarios": 7}))
