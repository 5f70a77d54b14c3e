"""Decisions about a HeavyModel: its store, its pool, its first version, its generations."""

import json
from dataclasses import replace
from datetime import timedelta

from longtail_api.conditions import Condition
from longtail_api.heavy_model import MODEL_REVISION
from longtail_operator.kubernetes.trouble import Trouble
from longtail_operator.scenario.world import ScenarioWorld, schema_hash
from longtail_operator.stores.view import StoreView
from tests.unit.heavy_model_story import SPEC, Model, a_version, member
from tests.unit.operator_builders import NOON, SHA


def test_entities_that_are_trained_on_in_one_scenario_and_tested_in_another_are_told():
    model = Model(member("a"), member("b"))
    for shared, said in ((0, "generation 1"), (3, "generation 1; 3 entities have training rows in one scenario")):
        model.store = StoreView(head=a_version().model_copy(update={"shared_entities": shared}))
        model.settle()
        message = next(one["message"] for one in model.status["conditions"] if one["type"] == "Initialized")
        assert message.startswith(said)
        assert ("entities" in message) == bool(shared)


def test_a_store_that_lets_two_writers_win_is_not_used():
    model = Model(member("a"), member("b"), store=StoreView(Trouble("StoreNotAtomic", "two writers won")))
    model.settle()
    assert model.condition("StoreReady") == ("False", "StoreNotAtomic")
    assert model.condition("Ready") == ("False", "StoreNotAtomic")
    assert not model.children


def test_a_store_is_told_to_be_claimed_from_when_it_is_and_also_while_it_is_away():
    model, away = Model(member("a"), member("b")), StoreView(Trouble("HostNotResolved", "no such host"))
    for store, claimed in ((away, False), (StoreView(), True), (away, True)):
        model.store = store
        model.settle()
        assert model.status["storeClaimed"] is claimed


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
