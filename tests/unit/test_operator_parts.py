"""The operator's smaller parts: queue, schedule, conditions, names, snapshot, what to change on the server."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from longtail_api.conditions import Condition, ConditionType
from longtail_operator.kubernetes.apply import covers, difference
from longtail_operator.kubernetes.conditions import Conditions
from longtail_operator.kubernetes.identity import child_base, child_name, identity, label_value
from longtail_operator.kubernetes.objects import WATCHED_KINDS, Json, Key, key_of
from longtail_operator.kubernetes.plan import Note
from longtail_operator.kubernetes.snapshot import Snapshot
from longtail_operator.kubernetes.work_queue import WorkQueue
from longtail_operator.notes import notes_of
from longtail_operator.scenario import schedule
from longtail_operator.settings import SettingsInvalid, settings_from
from tests.unit.operator_builders import NOON, a_serving_scenario

ROOT = Path(__file__).resolve().parents[2]
READY = ConditionType.READY


def test_a_key_is_queued_once_and_again_when_it_changes_while_worked_on():
    async def story() -> list[str]:
        queue: WorkQueue[str] = WorkQueue()
        seen: list[str] = []
        for key in ("a", "b", "a"):
            queue.add(key)
        seen.append(await queue.get())
        queue.add("a")
        assert len(queue) == 1, "a waits until its worker is done with it"
        queue.done("a")
        seen += [await queue.get(), await queue.get()]
        return seen

    assert asyncio.run(story()) == ["a", "b", "a"]


def test_the_back_off_of_one_key_leaves_the_others_alone():
    async def story() -> None:
        queue: WorkQueue[str] = WorkQueue()
        delays = [queue.failed("bad") for _ in range(12)]
        assert delays == sorted(delays)
        assert delays[-1] == 120.0
        assert queue.failed("other") == delays[0]
        queue.succeeded("bad")
        assert queue.failed("bad") == delays[0]

    asyncio.run(story())


def test_timers_that_were_overtaken_do_not_gather():
    async def story() -> int:
        queue: WorkQueue[str] = WorkQueue()
        for _ in range(20_000):
            queue.add_after("a", 30 * 86_400)
            queue.add("a")
            queue.done(await queue.get())
        queue.add_after("b", 0.01)
        assert await queue.get() == "b", "what is due still comes"
        return len(queue._timers)  # pyright: ignore[reportPrivateUsage]

    assert asyncio.run(story()) < 2000


def test_the_earliest_time_asked_for_counts():
    async def story() -> str:
        queue: WorkQueue[str] = WorkQueue()
        queue.add_after("a", 3600)
        queue.add_after("a", 0.01)
        queue.add_after("a", 1800)
        return await queue.get()

    assert asyncio.run(story()) == "a"


def decide(
    handled: datetime,
    now: datetime,
    cron: str = "0 3 * * *",
    zone: str = "UTC",
    deadline: float = 3600,
    delay: float = 0,
):
    return schedule.decide(cron, zone, handled, now, timedelta(seconds=deadline), timedelta(seconds=delay))


def test_a_schedule_starts_once_for_each_time():
    at_three = datetime(2026, 6, 2, 3, 0, tzinfo=UTC)
    decision = decide(NOON, at_three)
    assert decision.start
    assert decision.handled == at_three
    assert not decide(decision.handled, at_three + timedelta(minutes=1)).start


def test_a_start_missed_by_too_much_is_skipped_and_settled():
    decision = decide(NOON, datetime(2026, 6, 2, 5, 0, tzinfo=UTC))
    assert not decision.start
    assert decision.handled == datetime(2026, 6, 2, 3, 0, tzinfo=UTC)


def test_of_several_missed_starts_one_is_made_good():
    decision = decide(NOON, datetime(2026, 6, 9, 3, 30, tzinfo=UTC))
    assert decision.start
    assert decision.handled == datetime(2026, 6, 9, 3, 0, tzinfo=UTC)


def test_a_schedule_follows_its_time_zone_across_the_change_of_clocks():
    before = decide(NOON, datetime(2026, 10, 24, 1, 0, tzinfo=UTC), zone="Europe/Berlin")
    after = decide(NOON, datetime(2026, 10, 26, 2, 0, tzinfo=UTC), zone="Europe/Berlin")
    assert before.start
    assert after.start, "three o'clock in Berlin is an hour later in UTC"


def test_jitter_depends_on_the_name_alone_and_delays_the_start():
    assert schedule.jitter("a", 600) == schedule.jitter("a", 600)
    assert len({schedule.jitter(name, 600) for name in "abcdefgh"}) > 4
    assert not decide(NOON, datetime(2026, 6, 2, 3, 0, tzinfo=UTC), delay=60).start
    assert decide(NOON, datetime(2026, 6, 2, 3, 1, tzinfo=UTC), delay=60).start


def test_an_unknown_time_zone_is_refused_by_its_field():
    with pytest.raises(schedule.ScheduleInvalid, match=r"refresh\.timeZone: 'Mars/Olympus'"):
        decide(NOON, NOON, zone="Mars/Olympus")


@pytest.mark.parametrize(
    ("cron", "written", "instead"),
    [
        ("5-1 * * * *", "5-1", "5-59,0-1"),
        ("0 1,22-2 * * *", "22-2", "22-23,0-2"),
        ("0 0 28-3/2 * *", "28-3/2", "28-31,1-3"),
        ("0 0 1 11-2 *", "11-2", "11-12,1-2"),
        ("0 0 1 Nov-feb *", "nov-feb", "nov-dec,jan-feb"),
        ("0 0 * * 5-1", "5-1", "5-6,0-1"),
        ("0 0 * * 7-2", "7-2", "0-2"),
        ("0 0 * * fri-sun", "fri-sun", "fri-sat,sun-sun"),
    ],
)
def test_a_range_that_runs_backwards_is_refused_by_its_field_with_what_to_write(cron: str, written: str, instead: str):
    with pytest.raises(schedule.ScheduleInvalid) as raised:
        decide(NOON, NOON, cron=cron)
    assert str(raised.value) == (
        f"refresh.model: {cron!r} has a range that runs backwards; for {written} write {instead}"
    )
    minutes_or_so = cron.lower().replace(written, instead)
    assert decide(NOON, NOON, cron=minutes_or_so).next > NOON, "what is to be written instead is a schedule"


@pytest.mark.parametrize("cron", ["0-59 * * * *", "5 1-1 * * *", "0 0 * jan-3 5-7", "*/5,1-2/2 * * * *", "@daily"])
def test_ranges_that_run_forwards_are_schedules(cron: str):
    assert decide(NOON, NOON, cron=cron).next > NOON


def test_a_day_that_never_comes_is_refused():
    with pytest.raises(
        schedule.ScheduleInvalid, match=r"refresh\.model: '0 3 30 2 \*' .* give a day that its month has"
    ):
        decide(NOON, NOON, cron="0 3 30 2 *")


def condition(status: str, at: datetime, reason: str = "Running") -> Condition:
    return Condition.model_validate({"type": "Ready", "status": status, "reason": reason, "lastTransitionTime": at})


def test_the_transition_time_moves_only_when_the_status_does():
    later = NOON + timedelta(hours=1)
    kept = Conditions([condition("False", NOON)], 2, later)
    kept.set(READY, False, "Waiting", "another reason")
    moved = Conditions([condition("False", NOON)], 2, later)
    moved.set(READY, True, "Serving")
    assert kept.ordered()[0].last_transition_time == NOON
    assert moved.ordered()[0].last_transition_time == later
    assert moved.ordered()[0].observed_generation == 2


def test_conditions_end_in_ready_and_messages_have_a_limit():
    conditions = Conditions([], 1, NOON)
    conditions.set(READY, False, "Waiting", "x" * 5000)
    conditions.set(ConditionType.ROLLED_OUT, False, "Waiting")
    assert [item.type for item in conditions.ordered()] == ["RolledOut", "Ready"]
    assert len(conditions.ordered()[-1].message) == 1024


def test_an_event_is_worth_telling_once_and_everyday_life_is_not():
    before = {"conditions": [condition("False", NOON).to_json_dict()]}
    after = {"conditions": [condition("True", NOON, "Serving").to_json_dict()]}
    assert [note.reason for note in notes_of(before, after)] == ["Serving"]
    assert not notes_of(after, after)
    assert not notes_of({}, before)


@given(st.text(alphabet="abz09.-", min_size=1, max_size=250))
def test_names_of_children_fit_whatever_their_owner_is_called(name: str):
    base = child_base(name)
    assert len(child_name(name, "train-light", "0" * 8)) <= 63
    assert base[0].isalpha()
    assert set(base) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert len(label_value(name)) <= 63


def test_names_that_had_to_be_changed_stay_apart():
    assert child_base("a.b") != child_base("a-b")
    assert identity(a=1, b=2) == identity(b=2, a=1) != identity(a=1, b=3)


def item(version: int, uid: str = "u", owner: str | None = None) -> Json:
    references = (
        [{"apiVersion": "longtail.dev/v1alpha1", "kind": "Scenario", "name": owner, "controller": True}]
        if owner
        else []
    )
    metadata = {
        "name": "j",
        "namespace": "shop",
        "uid": uid,
        "resourceVersion": str(version),
        "ownerReferences": references,
    }
    return {"kind": "Job", "metadata": metadata}


def test_an_older_state_does_not_replace_a_newer_one():
    snapshot = Snapshot()
    assert snapshot.observe(item(9))
    assert not snapshot.observe(item(7))
    assert snapshot.observe(item(10, uid="made anew"))


def test_an_answer_that_comes_after_the_deletion_brings_nothing_back():
    snapshot = Snapshot()
    snapshot.observe(item(3))
    snapshot.forget(item(5))
    assert not snapshot.observe(item(4))
    assert snapshot.get(Key("Job", "shop", "j")) is None


def test_an_object_whose_label_was_taken_is_known_again_once_it_has_it_back():
    snapshot = Snapshot()
    snapshot.observe(item(3))
    snapshot.forget(item(5))
    assert snapshot.observe(item(6))


def test_of_jobs_and_their_configs_nothing_is_remembered_that_can_not_change():
    snapshot = Snapshot()
    for child in a_serving_scenario().plan().children:
        metadata = {**child["metadata"], "uid": key_of(child).name, "resourceVersion": "1"}
        snapshot.observe({**child, "metadata": metadata})
        known = snapshot.get(key_of(child))
        assert known is not None
        assert "template" not in known.get("spec", {})
        assert known.get("data", {}).keys() <= {"folders"}, "of what a step was told only what it may read"
        assert difference(known, child) is None


def test_children_follow_their_owner_reference():
    snapshot = Snapshot()
    snapshot.observe(item(1, owner="spring"))
    owner = Key("Scenario", "shop", "spring")
    assert len(snapshot.children(owner)) == 1
    snapshot.observe(item(2))
    assert snapshot.children(owner) == []


def test_fields_and_quantities_that_the_server_writes_its_own_way_are_no_difference():
    known = {"cpu": "500m", "memory": "2Gi", "defaulted": True, "list": [{"a": 1, "b": 2}]}
    assert covers(known, {"cpu": "0.5", "memory": "2048Mi", "list": [{"a": 1}]})
    assert not covers(known, {"cpu": "0.6"})
    assert not covers(known, {"list": []})


def test_a_jobs_template_is_never_applied_again_but_it_is_suspended():
    job = a_serving_scenario().plan().children[1]
    assert job["kind"] == "Job"
    changed = {**job, "spec": {**job["spec"], "template": {"other": "image"}}}
    assert difference(job, changed) is None
    changed["spec"]["suspend"] = True
    assert difference(job, changed) == {"spec": {"suspend": True}}
    finished = {**job, "status": {"conditions": [{"type": "Complete", "status": "True"}]}}
    assert difference(finished, changed) is None


def test_the_lists_of_an_idle_operator_are_fewer_than_one_a_minute():
    found = settings_from({"LONGTAIL_TRAINER_IMAGE": "t", "LONGTAIL_SERVING_IMAGE": "s"})
    assert len(WATCHED_KINDS) * 60 / found.resync_seconds < 1
    chart = yaml.safe_load((ROOT / "helm/longtail/values.yaml").read_text())
    assert chart["operator"]["resyncSeconds"] == found.resync_seconds


def test_settings_name_the_variable_that_is_wrong():
    given_ = {"LONGTAIL_TRAINER_IMAGE": "t", "LONGTAIL_SERVING_IMAGE": "s"}
    assert settings_from(given_ | {"LONGTAIL_NAMESPACES": "a,b"}).namespaces == ("a", "b")
    with pytest.raises(SettingsInvalid, match="LONGTAIL_SERVING_IMAGE is not set"):
        settings_from({"LONGTAIL_TRAINER_IMAGE": "t"})
    with pytest.raises(SettingsInvalid, match="LONGTAIL_WORKERS='many'"):
        settings_from(given_ | {"LONGTAIL_WORKERS": "many"})


def _conditions(*said: tuple[str, str, str]) -> dict[str, object]:
    return {
        "conditions": [
            {"type": type_, "status": status, "reason": reason, "message": f"{type_} says so"}
            for type_, status, reason in said
        ]
    }


def test_a_failure_that_changes_three_conditions_is_told_once():
    after = _conditions(
        ("Trained", "False", "DataInvalid"), ("Failed", "True", "DataInvalid"), ("Ready", "False", "DataInvalid")
    )
    assert notes_of({}, after) == [Note("Warning", "DataInvalid", "Trained: Trained says so")]


def test_two_steps_that_succeed_at_once_are_two_things():
    after = _conditions(("DataPrepared", "True", "Succeeded"), ("Searched", "True", "Succeeded"))
    assert [note.message for note in notes_of({}, after)] == [
        "DataPrepared: DataPrepared says so",
        "Searched: Searched says so",
    ]


@pytest.mark.parametrize("reason", ["Running", "Waiting", "WaitingForPlace", "Queued"])
def test_what_happens_all_day_long_makes_no_event(reason: str):
    assert notes_of({}, _conditions(("Ready", "False", reason))) == []


@pytest.mark.parametrize("reason", ["HeavyModelNotReady", "NewGeneration", "Suspended", "Deleting"])
def test_ordinary_waiting_is_no_warning(reason: str):
    assert [note.type for note in notes_of({}, _conditions(("Ready", "False", reason)))] == ["Normal"]
