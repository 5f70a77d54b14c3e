"""Resume points and progress: useful where they can be read, harmless where they can't."""

import json
from pathlib import Path

import pytest

from longtail_api.run_config import StoreAddress
from longtail_api.store_layout import metrics_key, progress_key, resume_key
from longtail_store import ObjectMissing, Store, open_store
from longtail_trainer.running.progress import Progress, duration, parsed_records, remaining_seconds
from longtail_trainer.running.resume import ResumePoints
from tests.trainer.faulty_stores import Unreachable

PREFIX = "runs/shop.s0.0a1b2c3d/1/adapt"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(StoreAddress(uri=(tmp_path / "store").as_uri()))


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_resume_point_comes_back_as_it_was_saved_last(store: Store):
    points = ResumePoints(store, PREFIX, "a")
    points.save("model", b"first")
    points.save("model", b"second\nwith a line")
    assert points.load("model") == b"second\nwith a line"


def test_without_a_resume_point_there_is_none(store: Store):
    assert ResumePoints(store, PREFIX, "a").load("model") is None


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda blob: blob[:-3], id="its end is missing"),
        pytest.param(lambda blob: blob[:-1] + b"X", id="a byte is another"),
        pytest.param(lambda blob: blob[:10], id="its header is cut"),
        pytest.param(lambda blob: b"", id="it is empty"),
        pytest.param(lambda blob: b"\xff\xfe\n" + blob, id="its header is no text"),
        pytest.param(lambda blob: b"[1]\n" + blob, id="its header is something else"),
    ],
)
def test_a_damaged_resume_point_is_ignored_with_a_line_of_log(store: Store, damage, caplog: pytest.LogCaptureFixture):
    points = ResumePoints(store, PREFIX, "a")
    points.save("model", b"payload")
    key = resume_key(PREFIX, "model")
    store.put_advisory(key, damage(store.get(key)))
    assert points.load("model") is None
    assert f"resume point {key} is ignored" in caplog.text


def test_a_resume_point_of_other_inputs_is_ignored(store: Store):
    ResumePoints(store, PREFIX, "a").save("model", b"payload")
    assert ResumePoints(store, PREFIX, "b").load("model") is None


def test_progress_tells_percent_and_time_left(store: Store):
    clock, lines = Clock(), []
    progress = Progress(store, PREFIX, "adapt", "a", clock=clock, write=lines.append)
    clock.now = 30.0
    progress.update(0.25, "epoch 1")
    assert lines == ["adapt:  25%  1m30s left  epoch 1"]
    state = json.loads(store.get(progress_key(PREFIX)))
    assert (state["fraction"], state["etaSeconds"], state["message"]) == (0.25, 90, "epoch 1")


def test_progress_is_uploaded_seldom_however_often_it_is_told(store: Store):
    clock, lines = Clock(), []
    progress = Progress(store, PREFIX, "adapt", "a", clock=clock, write=lines.append)
    for step in range(100):
        clock.now = step * 0.01
        progress.update(step / 100, "epoch 1")
    assert json.loads(store.get(progress_key(PREFIX)))["fraction"] == 0.0
    assert len(lines) == 1


def test_metrics_of_an_earlier_attempt_are_kept(store: Store):
    for epoch in (1, 2):
        progress = Progress(store, PREFIX, "adapt", "a", write=lambda line: None)
        progress.metric(epoch=epoch, loss=0.5)
        progress.flush()
    records = [json.loads(line) for line in store.get(metrics_key(PREFIX)).splitlines()]
    assert [record["epoch"] for record in records] == [1, 2]


def test_the_records_of_all_attempts_can_be_read_back(store: Store):
    for epoch in (1, 2):
        progress = Progress(store, PREFIX, "adapt", "a", write=lambda line: None)
        progress.metric(epoch=epoch, loss=0.5)
        progress.flush()
    assert [(record["epoch"], record["loss"]) for record in progress.records()] == [(1, 0.5), (2, 0.5)]
    assert parsed_records('{"epoch": 1}\nnot JSON\n[3]\n') == [{"epoch": 1}]


def test_metrics_of_other_inputs_are_not_kept(store: Store):
    for identity in ("a", "b"):
        progress = Progress(store, PREFIX, "adapt", identity, write=lambda line: None)
        progress.metric(loss=0.5)
        progress.flush()
    records = [json.loads(line) for line in store.get(metrics_key(PREFIX)).splitlines()]
    assert [record["identity"] for record in records] == ["b"]


def test_a_store_that_does_not_answer_never_stops_the_step_for_its_progress(caplog: pytest.LogCaptureFixture):
    progress = Progress(Unreachable(), PREFIX, "adapt", "a", write=lambda line: None)
    progress.metric(loss=0.5)
    progress.update(0.5, "epoch 1")
    progress.flush()
    assert "the step goes on" in caplog.text


def test_no_metrics_object_is_written_where_there_are_none(store: Store):
    Progress(store, PREFIX, "adapt", "a", write=lambda line: None).flush()
    with pytest.raises(ObjectMissing):
        store.get(metrics_key(PREFIX))


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0s"), (59.6, "1m00s"), (75.3, "1m15s"), (7300, "2h01m")])
def test_durations_are_short(seconds: float, text: str):
    assert duration(seconds) == text


def test_at_the_very_start_nobody_knows_the_time_left():
    assert remaining_seconds(3.0, 0.0) is None
