"""Periodic meta-training: when it starts, what it pauses, and what its end means."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from longtail_api.heavy_model import HeavyModelSpec
from longtail_api.methods.alt import MetaTrainConfig
from longtail_operator.kubernetes.objects import Json, Key
from longtail_operator.methods.alt.meta_training import LONGEST_JITTER_SECONDS, pauses_folding
from longtail_operator.stores.view import StoreView
from tests.unit.heavy_model_story import Model, a_version, member
from tests.unit.operator_builders import NOON, SHA, a_heavy_model

DAILY = {"schedule": "0 3 * * *", "timeZone": "UTC"}
NEXT_NIGHT = datetime(2026, 6, 2, 3, 0, tzinfo=UTC)
JITTER = timedelta(seconds=LONGEST_JITTER_SECONDS)
PARTS = {"initialization": {"scenarioSelector": {"matchLabels": {"pool": "yes"}}, "minScenarios": 2}}


def spec(**changes: Any) -> HeavyModelSpec:
    return a_heavy_model(**PARTS, **({"metaTraining": DAILY} | changes))


def standing(*members: Any, version: int = 4) -> Model:
    """A HeavyModel that has versions, and is seen for the first time at noon."""
    model = Model(*(members or (member("a"), member("b"))), store=StoreView(head=a_version(number=version)))
    model.spec = spec()
    model.settle()
    return model


def at_night(*members: Any) -> Model:
    model = standing(*members)
    model.now = NEXT_NIGHT + JITTER
    model.settle()
    return model


def config(model: Model) -> MetaTrainConfig:
    name = model.jobs()[-1]["metadata"]["name"]
    return MetaTrainConfig.model_validate_json(model.children[Key("ConfigMap", "shop", name)]["data"]["config.json"])


def trained(committed: bool = True) -> Json:
    return {
        "status": "Succeeded", "resultSha256": SHA,
        "outputs": {"agnosticVersion": 5 if committed else 4, "baseVersion": 4, "committed": committed},
        "metrics": {
            "baseValidation": {"loss": {"value": 0.5}, "adaptedLoss": {"value": 0.45}},
            "validation": {"loss": {"value": 0.48}, "adaptedLoss": {"value": 0.4}},
        },
    }  # fmt: skip


def test_nothing_starts_before_the_schedule_says_so():
    model = standing()
    assert not model.jobs()
    assert model.condition("MetaTrained") == ("Unknown", "Waiting")
    assert "the first one starts at 2026-06-02T03:0" in model.message("MetaTrained")
    model.now = NEXT_NIGHT - timedelta(seconds=1)
    assert model.settle().requeue_after is not None
    assert not model.jobs()


def test_at_its_time_a_job_trains_from_the_head_on_all_prepared_data():
    suspended, failed = member("c"), member("d", outcome="Failed")
    suspended.spec.suspend = True
    outsider = member("e", pool="no")
    model = at_night(member("a"), member("b", prepared=False), suspended, failed, outsider)
    told = config(model)
    assert [key.split(".")[1] for key in told.manifests] == ["a", "c", "d", "e"]
    assert (told.base_version, told.generation, told.owner) == (4, 1, "agnostic")
    assert (told.parameters.learning_rate, told.parameters.clip_norm, told.scenarios_per_step) == (0.01, 1.0, 8)
    assert model.condition("MetaTrained") == ("False", "Running")
    assert model.condition("Ready")[0] == "True", "what stands goes on standing"
    assert model.notes == ["MetaTrainingStarted"]


def test_folding_is_paused_from_its_start_to_its_end():
    model = standing()
    assert not pauses_folding(model.status)
    model.now = NEXT_NIGHT + JITTER
    model.settle()
    assert pauses_folding(model.status)
    model.ends(**trained())
    model.settle()
    assert not pauses_folding(model.status)


def test_it_waits_for_the_end_of_a_fold():
    model = standing()
    model.folding, model.now = True, NEXT_NIGHT + JITTER
    model.settle()
    assert not model.jobs()
    model.folding = False
    model.settle()
    assert len(model.jobs()) == 1


def test_a_better_version_is_read_from_the_store_and_said_in_the_condition():
    model = at_night()
    model.ends(**trained())
    assert model.settle().refresh_store or model.status["metaTraining"]["outcome"] == "Succeeded"
    assert model.condition("MetaTrained") == ("True", "Succeeded")
    assert model.message("MetaTrained") == (
        "version 5 was trained from 4: validation loss 0.5000 → 0.4800, after fine-tuning 0.4500 → 0.4000"
    )
    assert model.status["metaTraining"]["version"] == 5


def test_one_that_was_no_better_leaves_the_version_and_says_so():
    model = at_night()
    model.ends(**trained(committed=False))
    model.settle()
    assert model.condition("MetaTrained") == ("True", "NotImproved")
    assert "version 4 stands" in model.message("MetaTrained")


def test_a_failed_one_leaves_the_version_and_the_next_night_tries_again():
    model = at_night()
    first = config(model)
    model.ends(status="Failed", reason="DataInvalid", message="no scenario has validation rows")
    model.settle()
    assert model.condition("MetaTrained") == ("False", "DataInvalid")
    assert "version 4 stands" in model.message("MetaTrained")
    assert model.condition("Ready")[0] == "True"
    assert not pauses_folding(model.status)
    model.children.clear()
    model.settle()
    assert not model.jobs()
    model.now += timedelta(days=1)
    model.settle()
    assert (config(model).identity, config(model).run) != (first.identity, first.run)


def test_what_comes_due_while_one_is_under_way_starts_no_second_one():
    model = at_night()
    model.now += timedelta(days=1)
    model.settle()
    assert len(model.jobs()) == 1


def test_a_start_missed_for_long_is_skipped():
    model = standing()
    model.now = NEXT_NIGHT + timedelta(hours=2)
    model.settle()
    assert not model.jobs()
    assert model.status["metaTraining"]["handled"] == "2026-06-02T03:00:00Z"


def test_an_operator_that_died_before_the_job_existed_makes_the_same_one_later():
    model = at_night()
    told = config(model)
    model.children.clear()
    model.members.append(member("c"))
    model.settle()
    again = config(model)
    assert (again.identity, again.run) == (told.identity, told.run)
    assert len(again.manifests) == 3


def test_a_job_whose_message_nobody_read_runs_again_and_finds_its_result():
    model = at_night()
    told = config(model)
    model.jobs()[0]["status"] = {
        "conditions": [{"type": "Complete", "status": "True", "lastTransitionTime": "2026-06-02T03:00:00Z"}]
    }
    model.now += timedelta(minutes=10)
    model.settle()
    assert config(model).identity == told.identity
    assert model.jobs()[0]["status"] == {}


def test_the_next_generation_ends_it_and_starts_alone():
    model = at_night()
    model.store = StoreView(head=a_version(number=4, digest="the schema before"))
    model.settle()
    assert model.status["metaTraining"]["outcome"] == "Cancelled"
    assert model.condition("MetaTrained") == ("False", "NewGeneration")
    assert ["initialize" in json.dumps(job) for job in model.jobs()] == [True]


def test_before_the_first_version_there_is_nothing_to_train():
    model = Model(member("a"), member("b", prepared=False))
    model.spec = spec()
    model.settle()
    model.now = NEXT_NIGHT + JITTER
    model.settle()
    assert not model.jobs()


def test_without_a_schedule_nothing_is_said_and_one_under_way_is_ended():
    model = standing()
    model.spec = spec(metaTraining=None)
    model.settle()
    assert "MetaTrained" not in {condition["type"] for condition in model.status["conditions"]}
    assert "metaTraining" not in model.status
    model = at_night()
    model.spec = spec(metaTraining=None)
    model.settle()
    assert not model.jobs()
    assert model.condition("MetaTrained") == ("False", "Cancelled")
    assert not pauses_folding(model.status)


def test_without_prepared_data_it_is_skipped():
    model = at_night(member("a", prepared=False))
    assert model.condition("MetaTrained") == ("False", "NoData")
    assert not pauses_folding(model.status)


def test_a_schedule_that_has_no_meaning_is_said():
    model = standing()
    model.spec = spec(metaTraining={"schedule": "0 3 30 2 *", "timeZone": "UTC"})
    model.settle()
    assert model.condition("MetaTrained") == ("False", "InvalidSpec")
    assert model.message("MetaTrained").startswith("metaTraining.schedule: '0 3 30 2 *'")


def test_while_the_store_is_in_trouble_one_under_way_stays():
    model = at_night()
    store, model.store = model.store, None
    model.settle()
    assert len(model.jobs()) == 1
    assert model.condition("MetaTrained") == ("False", "Running")
    model.store = store
    model.settle()
    assert len(model.jobs()) == 1


@settings(max_examples=20)
@given(
    folding=st.booleans(),
    hours=st.lists(st.integers(0, 30), max_size=6),
    outcomes=st.lists(st.sampled_from(["ends", "fails", "works"])),
)
def test_however_time_goes_there_is_one_at_a_time_and_the_plans_come_to_rest(folding, hours, outcomes):
    model = standing()
    model.folding = folding
    for number, passed in enumerate(hours):
        model.now += timedelta(hours=passed)
        model.settle()
        unfinished = [job for job in model.jobs() if not job["status"]]
        assert len(unfinished) <= 1
        assert bool(unfinished) == pauses_folding(model.status)
        outcome = outcomes[number] if number < len(outcomes) else "works"
        if unfinished and outcome != "works":
            model.ends(**(trained() if outcome == "ends" else {"status": "Failed", "reason": "X", "message": "x"}))
    assert model.now >= NOON
