"""Decisions about a HeavyModel, a LightModelSearch, and when feedback is folded."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from longtail_api.architecture import Architecture
from longtail_api.conditions import Condition
from longtail_api.heavy_model import MODEL_REVISION, HeavyModelStatus
from longtail_api.light_model_search import LightModelSearchSpec, LightModelSearchStatus
from longtail_api.store_objects import AltHeavy, Checkpoint, Termination, Version
from longtail_operator.heavy_model.plan import plan_heavy_model
from longtail_operator.heavy_model.world import HeavyModelWorld
from longtail_operator.kubernetes.jobs import judge
from longtail_operator.kubernetes.objects import Json, Key, key_of
from longtail_operator.kubernetes.plan import Plan
from longtail_operator.kubernetes.trouble import Trouble
from longtail_operator.meta_update.folding import feedback_of, runs_ahead_of_feedback
from longtail_operator.scenario.world import ScenarioWorld, schema_hash
from longtail_operator.search.plan import plan_search
from longtail_operator.search.world import SearchWorld
from longtail_operator.stores.view import StoreView
from tests.unit.operator_builders import NOON, SETTINGS, SHA, Story, a_heavy_model, a_pod, a_serving_scenario

SPEC = a_heavy_model(initialization={"scenarioSelector": {"matchLabels": {"pool": "yes"}}, "minScenarios": 2})


def a_version(number: int = 1, generation: int = 1, digest: str | None = None) -> Version:
    return Version(
        number=number, kind="initial", generation=generation, checkpoint=Checkpoint(key="k", sha256=SHA, bytes=1),
        features_sha256=SHA, model=AltHeavy(encoder="LSTM", architecture=Architecture()),
        schema_hash=digest or schema_hash(SPEC),
        nonce="n", created=NOON, folded_count=3, rejected_count=1,
    )  # fmt: skip


def test_entities_that_are_trained_on_in_one_scenario_and_tested_in_another_are_told():
    model = Model(member("a"), member("b"))
    for shared, said in ((0, "generation 1"), (3, "generation 1; 3 entities have training rows in one scenario")):
        model.store = StoreView(head=a_version().model_copy(update={"shared_entities": shared}))
        model.settle()
        message = next(one["message"] for one in model.status["conditions"] if one["type"] == "Initialized")
        assert message.startswith(said)
        assert ("entities" in message) == bool(shared)


def member(name: str, prepared: bool = True, outcome: str | None = None, **labels: str) -> ScenarioWorld:
    """A Scenario of the pool."""
    story = Story(name=name)
    story.raw["metadata"]["labels"] = {"pool": "yes", **labels}
    story.raw["metadata"]["uid"] = name * 8
    story.settle()
    if prepared:
        story.succeeds("prepare").settle()
    world = story.world()
    if outcome and world.status.run:
        world.status.run.outcome = outcome
    return replace(world, heavy_model=None, children=[], pods=[])


class Model:
    """A HeavyModel and the world around it."""

    def __init__(self, *members: ScenarioWorld, store: StoreView | None = None) -> None:
        self.members = list(members)
        self.spec = SPEC
        self.store: StoreView | None = store or StoreView()
        self.status: Json = {}
        self.now = NOON
        self.folding = False
        self.notes: list[str] = []
        """Reasons of the events so far."""
        self.children: dict[Key, Json] = {}
        self.pods: list[Json] = []
        self.raw: Json = {
            "apiVersion": "longtail.dev/v1alpha1", "kind": "HeavyModel", "spec": {},
            "metadata": {"name": "shared", "namespace": "shop", "uid": "m", "generation": 1, "annotations": {}},
        }  # fmt: skip

    def settle(self) -> Plan:
        for _ in range(10):
            world = HeavyModelWorld(
                raw=self.raw,
                spec=self.spec,
                status=HeavyModelStatus.model_validate(self.status),
                scenarios=self.members,
                children=list(self.children.values()),
                pods=self.pods,
                settings=SETTINGS,
                store=self.store,
                folding=self.folding,
            )
            plan = plan_heavy_model(world, self.now)
            self.notes += [note.reason for note in plan.notes]
            before = (self.status, dict(self.children))
            self.status = plan.status
            for child in plan.children:
                known = self.children.get(key_of(child), {**child, "status": {}})
                # What is applied to an object that is there changes its metadata: a Job's template can't change.
                self.children[key_of(child)] = {**known, "metadata": child["metadata"]}
            for key in plan.deletions:
                self.children.pop(key, None)
            if (self.status, self.children) == before:
                return plan
        raise AssertionError("the plans never come to rest")

    def jobs(self) -> list[Json]:
        return [child for child in self.children.values() if child["kind"] == "Job"]

    def pool(self) -> list[str]:
        """Names of the Scenarios whose data the running Job reads."""
        config = self.children[Key("ConfigMap", "shop", self.jobs()[0]["metadata"]["name"])]
        return [key.split(".")[1] for key in json.loads(config["data"]["config.json"])["pool"]]

    def ends(self, code: int = 65, **said: Any) -> None:
        job = self.jobs()[-1]
        failed = said.get("status") == "Failed"
        condition = {
            "type": "Failed" if failed else "Complete",
            "status": "True",
            "lastTransitionTime": "2026-06-01T12:00:00Z",
        }
        job["status"] = {"conditions": [condition]}
        message = Termination.model_validate(said).model_dump_json(by_alias=True)
        self.pods.append(a_pod(job, {"terminated": {"exitCode": code if failed else 0, "message": message}}))

    def condition(self, type_: str) -> tuple[str, str]:
        return next((c["status"], c["reason"]) for c in self.status["conditions"] if c["type"] == type_)

    def message(self, type_: str) -> str:
        return next(c["message"] for c in self.status["conditions"] if c["type"] == type_)


def test_a_store_that_lets_two_writers_win_is_not_used():
    model = Model(member("a"), member("b"), store=StoreView(Trouble("StoreNotAtomic", "two writers won")))
    model.settle()
    assert model.condition("StoreReady") == ("False", "StoreNotAtomic")
    assert model.condition("Ready") == ("False", "StoreNotAtomic")
    assert not model.children


def test_initialization_waits_for_every_member_that_is_still_preparing():
    model = Model(member("a"), member("b"), member("c", prepared=False))
    model.settle()
    assert model.condition("PoolPrepared") == ("False", "Waiting")
    assert not model.jobs()
    model.members[2] = member("c")
    model.settle()
    assert model.pool() == ["a", "b", "c"]


def blocked(
    world: ScenarioWorld, reason: str = "InvalidSpec", message: str = "no schedule that ever comes"
) -> ScenarioWorld:
    """A Scenario that can't go on before a person acts."""
    ready = Condition.model_validate({
        "type": "Ready", "status": "False", "reason": reason, "message": message, "lastTransitionTime": NOON,
        "observedGeneration": world.generation,
    })  # fmt: skip
    return replace(world, status=world.status.model_copy(update={"conditions": [ready]}))


def test_initialization_goes_on_without_a_member_that_waits_for_a_person_and_names_it():
    model = Model(member("a"), member("b"), blocked(member("c", prepared=False)))
    model.settle()
    assert model.pool() == ["a", "b"]
    assert "without shop/c (InvalidSpec: no schedule that ever comes)" in model.message("PoolPrepared")


def test_a_member_whose_spec_was_mended_meanwhile_is_waited_for():
    mended = blocked(member("c", prepared=False))
    mended.raw["metadata"]["generation"] += 1
    model = Model(member("a"), member("b"), replace(mended, raw=dict(mended.raw)))
    model.settle()
    assert not model.jobs()


def test_members_at_work_are_waited_for_until_a_deadline_however_many_join():
    model = Model(member("a"), member("b"), member("c", prepared=False))
    plan = model.settle()
    assert plan.requeue_after == 3600
    assert "waiting for shop/c (" in model.message("PoolPrepared")
    assert "until 2026-06-01T13:00:00Z at the latest" in model.message("PoolPrepared")
    model.now += timedelta(minutes=59)
    model.members.append(member("d", prepared=False))
    model.settle()
    assert not model.jobs()
    model.now += timedelta(minutes=1)
    model.settle()
    assert model.pool() == ["a", "b"]


def test_the_time_to_wait_begins_anew_where_there_was_not_enough_meanwhile():
    model = Model(member("a"), member("b"), member("c", prepared=False))
    model.settle()
    model.members[1] = member("b", prepared=False)
    model.settle()
    model.now += timedelta(hours=2)
    model.members[1] = member("b")
    model.settle()
    assert not model.jobs()


def test_a_pool_that_nobody_works_at_says_who_is_missing_and_what_to_do():
    model = Model(*(blocked(member(name, prepared=False)) for name in "abcde"))
    model.settle()
    assert model.condition("Ready") == ("False", "PoolTooSmall")
    said = model.message("Ready")
    assert "0 of 5 scenarios of the pool are prepared, at least 2 are needed; mend what is named here" in said
    assert [name for name in "abcde" if f"shop/{name} (InvalidSpec" in said] == ["a", "b", "c"]
    assert "and 2 more" in said


def test_the_words_of_a_scenario_of_another_namespace_stay_there():
    model = Model(blocked(member("a", prepared=False), message="column 'income' is negative"))
    model.raw["metadata"]["namespace"] = "platform"
    model.settle()
    assert "shop/a (InvalidSpec)" in model.message("Ready")


def test_a_first_version_that_the_store_has_lost_is_made_again_for_a_person():
    model = Model(member("a"), member("b"))
    model.settle()
    model.ends(status="Succeeded", resultSha256=SHA)
    model.settle()
    model.children.clear()
    model.settle()
    assert not model.jobs()
    assert "longtail.dev/run" in model.message("Ready")
    model.raw["metadata"]["annotations"]["longtail.dev/run"] = "again"
    model.settle()
    assert model.pool() == ["a", "b"]


def test_initialization_goes_on_without_a_member_whose_data_is_invalid():
    model = Model(member("a"), member("b"), member("c", prepared=False, outcome="Failed"))
    model.settle()
    assert model.pool() == ["a", "b"]
    assert "without shop/c" in model.message("PoolPrepared")


def test_too_few_members_are_waited_for():
    model = Model(member("a"))
    model.settle()
    assert "1 of 1 scenarios of the pool are prepared, at least 2 are needed" in model.message("Ready")


def test_who_is_not_selected_is_in_no_pool():
    model = Model(member("a"), member("b"), member("c", pool="no"))
    model.settle()
    assert model.pool() == ["a", "b"]


def test_the_pool_is_frozen_once_the_job_exists():
    model = Model(member("a"), member("b"))
    model.settle()
    model.members.append(member("c"))
    model.settle()
    assert len(model.jobs()) == 1
    assert model.pool() == ["a", "b"]


def test_a_finished_initialization_has_the_store_read_and_is_then_ready():
    model = Model(member("a"), member("b"))
    model.settle()
    model.ends(status="Succeeded", resultSha256=SHA, pictures={"learning-curves": "k"})
    assert model.settle().refresh_store
    assert model.condition("Ready")[0] == "False"
    assert [one["name"] for one in model.status["pictures"]] == ["initialize-learning-curves"]
    model.store = StoreView(head=a_version(), pending=2)
    model.settle()
    assert model.condition("Ready") == ("True", "Succeeded")
    assert model.status["version"] == {"number": 1, "generation": 1, "sha256": SHA}
    assert model.status["feedback"] == {"folded": 3, "pending": 2, "rejected": 1}


def test_the_auc_shown_is_of_the_version_shown_and_none_where_a_fold_was_not_measured():
    model = Model(member("a"), member("b"))
    measured = a_version().model_copy(update={"metrics": {"auc": 0.71}})
    model.store = StoreView(head=measured)
    model.settle()
    assert model.status["auc"] == "0.7100"
    model.store = StoreView(head=measured.model_copy(update={"number": 2, "kind": "fold", "metrics": {}}))
    model.settle()
    assert model.status["version"]["number"] == 2
    assert "auc" not in model.status


def test_a_failed_initialization_says_why_and_is_tried_again_for_a_person():
    model = Model(member("a"), member("b"))
    model.settle()
    model.ends(status="Failed", reason="DataInvalid", message="the pool has no rows")
    model.settle()
    assert model.condition("Ready") == ("False", "DataInvalid")
    model.children.clear()
    model.settle()
    assert not model.jobs(), "its time to live removed the Job; that is no reason to run it again"
    model.raw["metadata"]["annotations"]["longtail.dev/run"] = "again"
    model.settle()
    assert len(model.jobs()) == 1


def test_another_schema_starts_the_next_generation():
    model = Model(member("a"), member("b"), store=StoreView(head=a_version(number=5, digest="the schema before")))
    model.settle()
    assert model.condition("Ready") == ("False", "Running")
    config = next(child for child in model.children.values() if child["kind"] == "ConfigMap")
    assert json.loads(config["data"]["config.json"])["generation"] == 2
    assert model.status["version"]["number"] == 5, "Scenarios go on with what there is"


def test_a_trainer_that_builds_another_model_starts_the_next_generation(monkeypatch):
    before = schema_hash(SPEC)
    monkeypatch.setattr("longtail_operator.scenario.world.MODEL_REVISION", MODEL_REVISION + 1)
    model = Model(member("a"), member("b"), store=StoreView(head=a_version(digest=before)))
    model.settle()
    config = next(child for child in model.children.values() if child["kind"] == "ConfigMap")
    assert json.loads(config["data"]["config.json"])["generation"] == 2


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
