"""What is due, what is rejected and how much each feedback counts."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longtail_api.architecture import Architecture
from longtail_api.store_objects import AltHeavy, Checkpoint, FeedbackMetadata, Version
from longtail_operator.meta_update.rules import (
    Due,
    PendingFeedback,
    clip_scale,
    due,
    judge,
    may_start,
    staleness_weight,
)
from longtail_store.errors import FeedbackUnusable

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def waiting(*ages: float) -> list[PendingFeedback]:
    """One pending feedback per age in seconds."""
    return [
        PendingFeedback(NOON - timedelta(seconds=age), "team.ads.1", run, f"key-{run}")
        for run, age in enumerate(ages, start=1)
    ]


def decided(pending: list[PendingFeedback], mode="Async", running=0, buffer_size=3) -> Due:
    return due(
        pending, mode=mode, running=running, buffer_size=buffer_size, flush_interval=MINUTE, longest_round=60 * MINUTE,
        now=NOON,
    )  # fmt: skip


def test_nothing_pending_is_nothing_to_do_and_nothing_to_wait_for() -> None:
    assert decided([]) == Due(())


def test_a_full_buffer_is_folded_at_once_oldest_first() -> None:
    assert [item.run for item in decided(waiting(1, 4, 2, 3)).batch] == [2, 4, 3]


def test_a_half_full_buffer_waits_for_what_is_left_of_the_interval() -> None:
    assert decided(waiting(10, 20)) == Due((), timedelta(seconds=40))


def test_a_half_full_buffer_is_folded_when_its_oldest_has_waited_long_enough() -> None:
    assert [item.run for item in decided(waiting(10, 60)).batch] == [2, 1]


def test_synchronous_mode_waits_while_a_scenario_runs() -> None:
    decision = decided(waiting(100, 100, 100, 100), mode="Synchronous", running=1)
    assert decision == Due((), 60 * MINUTE - timedelta(seconds=100))


def test_a_round_ends_without_those_that_take_too_long() -> None:
    assert len(decided(waiting(3600, 1), mode="Synchronous", running=1).batch) == 2


def test_a_run_may_join_a_round_until_its_first_feedback_has_come() -> None:
    assert may_start(mode="Synchronous", pending=0)
    assert not may_start(mode="Synchronous", pending=1)
    assert may_start(mode="Async", pending=5)


def test_synchronous_mode_folds_everything_at_once_when_none_runs() -> None:
    assert len(decided(waiting(1, 2, 3, 4, 5), mode="Synchronous").batch) == 5


@given(st.lists(st.floats(0, 1000), max_size=20), st.integers(1, 8))
def test_whatever_is_pending_is_folded_now_or_looked_at_again(ages: list[float], buffer_size: int) -> None:
    decision = decided(waiting(*ages), buffer_size=buffer_size)
    assert len(decision.batch) <= buffer_size
    assert bool(ages) == bool(decision.batch or decision.again_after)
    if decision.again_after:
        assert not decision.batch
        assert timedelta() < decision.again_after <= MINUTE


@given(st.integers(0, 10_000), st.floats(0, 10))
def test_older_feedback_never_weighs_more(staleness: int, exponent: float) -> None:
    assert 0 <= staleness_weight(staleness + 1, exponent) <= staleness_weight(staleness, exponent) <= 1


def test_the_weight_is_the_one_of_fedbuff() -> None:
    assert staleness_weight(0, 0.5) == 1
    assert staleness_weight(3, 0.5) == 0.5
    assert staleness_weight(3, 0) == 1


def test_feedback_from_the_future_has_no_weight() -> None:
    with pytest.raises(ValueError, match="newer than the head"):
        staleness_weight(-1, 0.5)


@given(st.floats(0, 1e30), st.floats(1e-3, 1e6))
def test_a_clipped_gradient_is_never_longer_than_the_clip_norm(norm: float, clip_norm: float) -> None:
    scale = clip_scale(norm, clip_norm)
    assert 0 < scale <= 1
    assert norm * scale <= clip_norm * (1 + 1e-12)


def test_a_short_gradient_is_left_as_it_is() -> None:
    assert clip_scale(0.0, 1.0) == clip_scale(1.0, 1.0) == 1.0


HEAD = Version(
    number=9,
    kind="fold",
    generation=2,
    checkpoint=Checkpoint(key="k", sha256="0" * 64, bytes=1),
    features_sha256="0" * 64,
    model=AltHeavy(encoder="LSTM", architecture=Architecture()),
    schema_hash="s",
    nonce="n",
    created=NOON,
)


def verdict(*, base_version: int, generation: int) -> str:
    metadata = FeedbackMetadata(
        scenario="s",
        run=1,
        base_version=base_version,
        generation=generation,
        examples=1,
        loss=1.0,
        payload_sha256="0" * 64,
        nonce="n",
    )
    try:
        judge(metadata, HEAD)
    except FeedbackUnusable as error:
        return error.reason
    return "folded"


@pytest.mark.parametrize(
    ("base_version", "generation", "expected"),
    [
        (9, 2, "folded"),
        (1, 2, "folded"),
        (9, 1, "OldGeneration"),
        (10, 1, "OldGeneration"),
        (10, 2, "UnknownBase"),
        (0, 2, "UnknownBase"),
        (9, 3, "UnknownBase"),
    ],
)
def test_the_base_decides_whether_feedback_may_be_folded(base_version: int, generation: int, expected: str) -> None:
    assert verdict(base_version=base_version, generation=generation) == expected
