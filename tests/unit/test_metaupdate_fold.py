"""One fold: the new parameters, the record, the rivals, and a death between any two calls."""

import tracemalloc
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from longtail_api.store_layout import CHECKPOINTS_PREFIX, feedback_key
from longtail_api.store_objects import MetaUpdateParameters, Version
from longtail_operator.meta_update.fold import FoldOutcome, NotInitialized, Run, fold
from longtail_operator.meta_update.ledger import pending
from longtail_store import AttemptExpired, Chain, Corrupt, Store, StoreUnreachable
from longtail_store.feedback import Gradient, RowSparse, write_feedback
from longtail_store.file_store import FileStore
from longtail_store.tensor_file import BLOCK_BYTES, TensorSpec
from tests.store.faults import Crash, Fault, FaultyStore, World
from tests.store.small_model import (
    PARAMETERS,
    as_handed_in,
    checkpoint_of,
    commit_generation,
    dense_gradients,
    parameters,
)

ADS, RISK = "team.ads.00000001", "team.risk.00000002"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = FileStore(tmp_path / "store")
    commit_generation(store, parameters(0))
    return store


def hand_in(store: Store, scenario: str = ADS, run: int = 1, gradients: dict[str, Gradient] | None = None, **changes):
    values = {"base_version": 1, "generation": 1, "examples": 9, "loss": 0.4} | changes
    write_feedback(store, gradients or dict(dense_gradients(run)), scenario=scenario, run=run, **values)


def folded(store: Store, *runs: Run, parameters: MetaUpdateParameters = PARAMETERS, **options) -> FoldOutcome:
    return fold(store, runs, parameters, **{"orphans_seconds": 600} | options)


def head(store: Store) -> Version:
    version = Chain(store).head()
    assert version is not None
    return version


def test_the_parameters_move_against_the_sum_of_the_gradients(store: Store) -> None:
    ones = np.ones((4, 3), np.float32)
    hand_in(store, run=1, gradients={"weight": ones})
    hand_in(store, run=2, gradients={"weight": 2 * ones})
    plain = MetaUpdateParameters(learning_rate=0.1, staleness_exponent=0.5, clip_norm=1000)
    outcome = folded(store, (ADS, 1), (ADS, 2), parameters=plain)
    before, after = parameters(0), checkpoint_of(store, outcome.version)
    np.testing.assert_allclose(after["weight"], before["weight"] - 0.3, rtol=1e-6)
    for untouched in ("bias", "embedding", "seen"):
        np.testing.assert_array_equal(after[untouched], before[untouched])


def test_a_gradient_is_clipped_to_its_norm_over_all_parameters(store: Store) -> None:
    gradients = {"weight": np.full((4, 3), 4.0, np.float32), "bias": np.asarray(8.0, np.float32)}
    hand_in(store, gradients=gradients)
    outcome = folded(store, (ADS, 1))
    length = np.sqrt(12 * 16 + 64)
    assert outcome.version.folded[0].clip_scale == pytest.approx(PARAMETERS.clip_norm / length)
    after = checkpoint_of(store, outcome.version)
    assert after["bias"] == pytest.approx(float(parameters(0)["bias"]) - 0.1 * 8 * 2 / length, rel=1e-6)


def test_stale_feedback_counts_less(store: Store) -> None:
    for run in (1, 2, 3, 4):
        hand_in(store, run=run)
    for run in (1, 2, 3):
        folded(store, (ADS, run))
    assert folded(store, (ADS, 4)).version.folded[0].model_dump(include={"staleness", "weight"}) == {
        "staleness": 3,
        "weight": 0.5,
    }


def test_row_sparse_and_dense_feedback_lead_to_the_same_parameters(store: Store, tmp_path: Path) -> None:
    other = FileStore(tmp_path / "other")
    commit_generation(other, parameters(0))
    hand_in(store, gradients=as_handed_in(dense_gradients(5), row_sparse=False))
    hand_in(other, gradients=as_handed_in(dense_gradients(5), row_sparse=True))
    first, second = (checkpoint_of(at, folded(at, (ADS, 1)).version) for at in (store, other))
    for name in first:
        np.testing.assert_array_equal(first[name], second[name])


def test_the_order_in_which_feedback_is_named_does_not_matter(store: Store, tmp_path: Path) -> None:
    other = FileStore(tmp_path / "other")
    commit_generation(other, parameters(0))
    runs = [(ADS, 1), (RISK, 1), (ADS, 2)]
    for at in (store, other):
        for run in runs:
            hand_in(at, *run)
    assert (
        folded(store, *runs).version.checkpoint.sha256
        == folded(other, *reversed(runs), *runs).version.checkpoint.sha256
    )


def test_the_record_says_what_was_folded_and_with_what(store: Store) -> None:
    hand_in(store, run=1)
    hand_in(store, run=2)
    version = folded(store, (ADS, 1), (ADS, 2)).version
    assert (version.number, version.kind, version.parameters) == (2, "fold", PARAMETERS)
    assert [(item.scenario, item.run, item.examples, item.loss) for item in version.folded] == [
        (ADS, 1, 9, 0.4),
        (ADS, 2, 9, 0.4),
    ]
    assert version.settled == {ADS: [(1, 2)]}
    assert (version.folded_count, version.rejected_count) == (2, 0)
    assert version.schema_hash == Chain(store).version(1).schema_hash


NAN = dense_gradients(1) | {"weight": np.full((4, 3), np.nan, np.float32)}
INFINITE = {"embedding": RowSparse(np.array([0]), np.full((1, 3), np.inf, np.float32))}


def rows(*numbers: int) -> dict[str, Gradient]:
    return {"embedding": RowSparse(np.array(numbers), np.ones((len(numbers), 3), np.float32))}


@pytest.mark.parametrize(
    ("changes", "reason", "words"),
    [
        ({"gradients": NAN}, "NotFinite", "'weight'"),
        ({"gradients": INFINITE}, "NotFinite", "'embedding'"),
        ({"loss": float("nan")}, "NotFinite", "loss"),
        ({"gradients": {"weight": np.ones((3, 4), np.float32)}}, "WrongShape", "[3, 4], not [4, 3]"),
        ({"gradients": {"bias": np.ones(1, np.float32)}}, "WrongShape", "[1], not []"),
        ({"gradients": rows(5, 6)}, "WrongShape", "from 0 to 5"),
        ({"gradients": rows(-1)}, "WrongShape", "ascend"),
        ({"gradients": rows(2, 2)}, "WrongShape", "without repetition"),
        ({"gradients": rows(3, 2)}, "WrongShape", "ascend"),
        (
            {"gradients": {"embedding": RowSparse(np.array([0]), np.ones((1, 4), np.float32))}},
            "WrongShape",
            "[1, 4], not [1, 3]",
        ),
        (
            {"gradients": {"bias": RowSparse(np.array([0]), np.ones((1, 1), np.float32))}},
            "WrongShape",
            "rows of a parameter of shape ()",
        ),
        ({"gradients": {"wait": np.ones((4, 3), np.float32)}}, "WrongTensors", "'wait'"),
        ({"gradients": {"seen": np.ones(1, np.float32)}}, "WrongTensors", "'seen'"),
        ({"base_version": 2}, "UnknownBase", "the newest is 1"),
        ({"generation": 2}, "UnknownBase", "generation 2"),
    ],
)
def test_feedback_that_can_not_be_folded_is_rejected_by_reason_beside_what_can(
    store: Store, changes: dict, reason: str, words: str
) -> None:
    hand_in(store, run=1, **changes)
    hand_in(store, run=2)
    version = folded(store, (ADS, 1), (ADS, 2)).version
    assert [(item.run, item.reason) for item in version.rejected] == [(1, reason)]
    assert words in version.rejected[0].message
    assert [item.run for item in version.folded] == [2]
    assert pending(store) == []


def test_feedback_of_an_older_generation_is_rejected(store: Store) -> None:
    commit_generation(store, parameters(1))
    hand_in(store)
    assert [item.reason for item in folded(store, (ADS, 1)).version.rejected] == ["OldGeneration"]


def test_an_empty_feedback_is_rejected(store: Store) -> None:
    write_feedback(store, {}, scenario=ADS, run=1, base_version=1, generation=1, examples=1, loss=0.1)
    assert [item.reason for item in folded(store, (ADS, 1)).version.rejected] == ["WrongTensors"]


def test_gradients_that_are_not_float32_are_rejected(store: Store) -> None:
    hand_in(store)
    key = feedback_key(ADS, 1)
    data = store.get(key)
    store.put_advisory(key, data.replace(b'"dtype":"F32"', b'"dtype":"I32"'))
    assert [item.reason for item in folded(store, (ADS, 1)).version.rejected] == ["WrongHash"]


def test_a_rejection_alone_is_a_version_of_the_same_parameters(store: Store) -> None:
    hand_in(store, gradients=NAN)
    outcome = folded(store, (ADS, 1))
    assert outcome.committed
    assert outcome.version.number == 2
    assert outcome.version.checkpoint == Chain(store).version(1).checkpoint
    assert outcome.version.settled == {ADS: [(1, 1)]}
    assert outcome.version.rejected_count == 1


def test_a_settled_run_is_a_duplicate_even_when_it_is_delivered_anew(store: Store) -> None:
    hand_in(store)
    first = folded(store, (ADS, 1)).version
    store.delete(feedback_key(ADS, 1))
    hand_in(store, gradients={"bias": np.asarray(1.0, np.float32)})
    assert pending(store) == []
    assert folded(store, (ADS, 1)) == FoldOutcome(first, committed=False, duplicates=((ADS, 1),))


def test_feedback_that_is_not_there_stays_pending_and_is_named(store: Store) -> None:
    hand_in(store, run=2)
    outcome = folded(store, (ADS, 1), (ADS, 2))
    assert outcome.missing == ((ADS, 1),)
    hand_in(store, run=1)
    assert [item.run for item in pending(store)] == [1]


def test_keys_that_are_no_feedback_are_passed_over(store: Store) -> None:
    hand_in(store)
    for key in ("x", f"{ADS}/01.safetensors", f"{ADS}/1.json", f"{ADS}/1/2.safetensors"):
        store.put_if_absent(f"agnostic/feedback/{key}", b"")
    assert [item.key for item in pending(store)] == [feedback_key(ADS, 1)]


def test_there_is_nothing_to_fold_into_before_the_first_version(tmp_path: Path) -> None:
    with pytest.raises(NotInitialized):
        folded(FileStore(tmp_path / "empty"), (ADS, 1))


def test_a_head_whose_checkpoint_is_gone_is_an_error_and_no_version(store: Store) -> None:
    hand_in(store)
    store.delete(head(store).checkpoint.key)
    with pytest.raises(Corrupt, match="which version 1 names"):
        folded(store, (ADS, 1))
    assert head(store).number == 1


def test_an_attempt_that_took_half_the_retention_gives_up(store: Store) -> None:
    hand_in(store)
    ticks = iter([0.0, 301.0])
    with pytest.raises(AttemptExpired):
        folded(store, (ADS, 1), monotonic=lambda: next(ticks))
    assert head(store).number == 1
    assert len(pending(store)) == 1


def test_who_loses_the_race_starts_over_without_what_the_winner_settled(store: Store) -> None:
    hand_in(store, run=1)
    hand_in(store, run=2)
    rivals = iter([lambda: folded(store, (ADS, 1))])

    def rival_first(call: str, key: str) -> Fault:
        if call == "put_if_absent" and "versions" in key and (rival := next(rivals, None)):
            rival()
        return Fault.NONE

    outcome = folded(FaultyStore(World(store), rival_first), (ADS, 1), (ADS, 2))
    assert outcome.duplicates == ((ADS, 1),)
    assert [[item.run for item in Chain(store).version(number).folded] for number in (1, 2, 3)] == [[], [1], [2]]
    assert len(list(store.list(CHECKPOINTS_PREFIX))) == 4, "the loser's first checkpoint stays as an orphan"


class Counted:
    """Faults the call of one number."""

    def __init__(self, number: int, fault: Fault) -> None:
        self.left, self.fault = number, fault

    def __call__(self, call: str, key: str) -> Fault:
        self.left -= 1
        return self.fault if self.left == 0 else Fault.NONE


@pytest.mark.parametrize("fault", [Fault.CRASH_BEFORE, Fault.CRASH_AFTER, Fault.UNREACHABLE, Fault.LOST_RESPONSE])
def test_a_fault_at_any_call_leaves_each_feedback_settled_once_after_the_next_fold(
    tmp_path: Path, fault: Fault
) -> None:
    number, calls = 0, 1
    while number < calls:
        number += 1
        store = FileStore(tmp_path / f"store-{number}")
        commit_generation(store, parameters(0))
        hand_in(store, run=1)
        hand_in(store, run=2, gradients=NAN)
        hand_in(store, run=3)
        world = World(store)
        counted = Counted(number, fault)
        with suppress(Crash, StoreUnreachable):
            folded(FaultyStore(world, counted), (ADS, 1), (ADS, 2), (ADS, 3))
        calls = max(calls, number + (1 if counted.left <= 0 else 0))
        folded(store, (ADS, 1), (ADS, 2), (ADS, 3))
        assert head(store).number == 2
        assert [item.run for item in head(store).folded] == [1, 3]
        assert [item.run for item in head(store).rejected] == [2]
        assert pending(store) == []
    assert number > 10, "every call of the fold had its turn"


def test_memory_follows_neither_the_model_nor_the_number_of_feedbacks(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "store")
    wide = (10 * BLOCK_BYTES // 4 // 64, 64)
    assert TensorSpec("wide", "F32", wide).bytes == 10 * BLOCK_BYTES
    commit_generation(store, {"wide": np.zeros(wide, np.float32)})
    touched = np.arange(0, wide[0], 100)
    for run in (1, 2, 3):
        hand_in(store, run=run, gradients={"wide": np.full(wide, 1e-4, np.float32)})
    hand_in(store, run=4, gradients={"wide": RowSparse(touched, np.full((len(touched), 64), 0.01, np.float32))})
    tracemalloc.start()
    try:
        outcome = folded(store, *[(ADS, run) for run in (1, 2, 3, 4)])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 * BLOCK_BYTES, f"{peak} bytes, where one of five such files has {10 * BLOCK_BYTES}"
    Chain(store).load_checkpoint(outcome.version.checkpoint, tmp_path / "new")
    values = load_file(tmp_path / "new")["wide"]
    scales = [item.clip_scale for item in outcome.version.folded]
    everywhere = -0.1 * sum(scales[:3]) * 1e-4
    np.testing.assert_allclose(values[1], everywhere, rtol=1e-6)
    np.testing.assert_allclose(values[touched], everywhere - 0.1 * scales[3] * 0.01, rtol=1e-6)
