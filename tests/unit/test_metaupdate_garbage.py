"""What goes, and what never may."""

import tempfile
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longtail_api.store_layout import (
    CHECKPOINTS_PREFIX,
    FEEDBACK_PREFIX,
    SETTLED_PREFIX,
    checkpoint_key,
    features_key,
    feedback_key,
    manifest_key,
    model_key,
    settled_key,
)
from longtail_operator.meta_update.fold import fold
from longtail_operator.meta_update.garbage import RetentionRule, collect, removable_checkpoints
from longtail_store import AttemptExpired, Chain, ObjectInfo, Store
from longtail_store.feedback import write_feedback
from longtail_store.file_store import FileStore
from longtail_store.settled_log import SettledLog
from tests.store.faults import Fault, FaultyStore, World
from tests.store.small_model import MEMORY, PARAMETERS, checkpoint_of, commit_generation, dense_gradients, parameters

ADS = "team.ads.00000001"
NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
DAY = timedelta(days=1)
RULE = RetentionRule(versions=2, orphans=DAY)


def checkpoint(number: int, nonce: str, age: timedelta) -> ObjectInfo:
    return ObjectInfo(checkpoint_key(number, nonce), 1, NOON - age)


def removed(item: ObjectInfo, kept: set[str] = frozenset(), committed: dict[int, str] | None = None) -> bool:
    return bool(removable_checkpoints([item], kept, committed or {}, RULE, NOON))


def test_a_young_orphan_may_be_a_fold_under_way_and_stays() -> None:
    assert not removed(checkpoint(7, "a", DAY))


def test_an_old_orphan_goes() -> None:
    assert removed(checkpoint(7, "a", DAY + timedelta(seconds=1)))


def test_an_attempt_that_lost_is_an_orphan_like_any_other() -> None:
    winner = checkpoint_key(7, "b")
    assert not removed(checkpoint(7, "a", timedelta(0)), committed={7: winner})
    assert removed(checkpoint(7, "a", 2 * DAY), committed={7: winner})


def test_a_retired_checkpoint_goes_at_any_age() -> None:
    item = checkpoint(7, "a", timedelta(0))
    assert removed(item, committed={7: item.key})


def test_what_a_kept_version_names_stays_at_any_age() -> None:
    item = checkpoint(7, "a", 100 * DAY)
    assert not removed(item, kept={item.key}, committed={7: item.key})


def test_an_object_that_is_no_checkpoint_of_ours_stays() -> None:
    assert not removed(ObjectInfo(CHECKPOINTS_PREFIX + "notes.txt", 1, NOON - 100 * DAY))


class Aging(World):
    """Everything in the store is as old as `elapsed`."""

    def view(self) -> Store:
        return FaultyStore(self, lambda call, key: Fault.NONE)


@pytest.fixture
def world(tmp_path: Path) -> Aging:
    """Versions 1 to 5; number n + 1 folded run n."""
    store = FileStore(tmp_path / "store")
    commit_generation(store, parameters(0))
    for run in range(1, 5):
        hand_in(store, run)
        fold(store, [(ADS, run)], PARAMETERS, orphans_seconds=600)
    return Aging(store)


def hand_in(store: Store, run: int) -> None:
    write_feedback(
        store, dict(dense_gradients(run)), scenario=ADS, run=run, base_version=1, generation=1, examples=1, loss=0.1
    )


def checkpoints(store: Store) -> set[int]:
    numbered = {Chain(store).version(number).checkpoint.key: number for number in range(1, 6)}
    return {numbered[found.key] for found in store.list(CHECKPOINTS_PREFIX)}


def feedback_keys(store: Store) -> list[str]:
    return [found.key for found in store.list(FEEDBACK_PREFIX)]


def test_the_newest_versions_keep_their_checkpoints(world: Aging) -> None:
    collect(world.view(), RULE)
    assert checkpoints(world.store) == {4, 5}


def test_a_version_that_a_run_started_from_keeps_its_checkpoint_too(world: Aging) -> None:
    collect(world.view(), RULE, in_use=[2])
    assert checkpoints(world.store) == {2, 4, 5}


def test_a_checkpoint_that_a_kept_version_shares_with_a_retired_one_stays(world: Aging) -> None:
    for run in (5, 6, 7):
        write_feedback(
            world.store,
            {"bias": np.asarray(np.nan, np.float32)},
            scenario=ADS,
            run=run,
            base_version=1,
            generation=1,
            examples=1,
            loss=0.1,
        )
        fold(world.store, [(ADS, run)], PARAMETERS, orphans_seconds=600)
    collect(world.view(), RULE)
    assert checkpoints(world.store) == {5}
    checkpoint_of(world.store, Chain(world.store).version(8))


def test_settled_feedback_stays_while_it_is_young_or_a_kept_version_names_it(world: Aging) -> None:
    collect(world.view(), RULE)
    assert len(feedback_keys(world.store)) == 4
    world.elapsed = 2 * DAY
    collect(world.view(), RULE)
    assert feedback_keys(world.store) == [feedback_key(ADS, 3), feedback_key(ADS, 4)]


def test_segments_of_settled_runs_go_when_no_kept_version_names_them_and_they_are_of_some_age(world: Aging) -> None:
    for run in (5, 6, 7, 8):
        hand_in(world.store, run)
        fold(world.store, [(ADS, run)], PARAMETERS, orphans_seconds=600, inline_scenarios=0)
    named = [settled_key(*next(iter(Chain(world.store).version(n).settled_segments.items()))) for n in (6, 7, 8, 9)]
    collect(world.view(), RULE)
    assert [found.key for found in world.store.list(SETTLED_PREFIX)] == named
    world.elapsed = 2 * DAY
    collect(world.view(), RULE)
    assert [found.key for found in world.store.list(SETTLED_PREFIX)] == named[-2:]
    head = Chain(world.store).version(9)
    assert SettledLog(world.store).at(head).all() == {ADS: [(1, 8)]}


def test_pending_feedback_stays_at_any_age(world: Aging) -> None:
    hand_in(world.store, 9)
    world.elapsed = 1000 * DAY
    collect(world.view(), RULE)
    assert feedback_key(ADS, 9) in feedback_keys(world.store)


def test_version_records_stay_for_ever(world: Aging) -> None:
    world.elapsed = 1000 * DAY
    collect(world.view(), RULE)
    assert [Chain(world.store).version(number).number for number in range(1, 6)] == [1, 2, 3, 4, 5]


def test_a_second_collection_finds_nothing(world: Aging) -> None:
    assert collect(world.view(), RULE)
    assert collect(world.view(), RULE) == []


def test_prepared_data_and_features_are_never_removed_however_old(world: Aging) -> None:
    """Every version names the pool that its generation began with: a light model's teacher labels rows of it."""
    chain = Chain(world.store)
    pool = chain.version(1).pool
    assert pool, "the generation began with a pool"
    kept = [key for manifest in pool for key in (manifest, f"{manifest.rpartition('/')[0]}/part-support-00000.parquet")]
    kept += [features_key(chain.version(1).features_sha256), manifest_key(ADS, "d1"), model_key(ADS, "v1")]
    for key in kept:
        world.store.put_if_absent(key, b"kept")
    world.elapsed += 1000 * DAY
    removed_keys = collect(world.view(), RetentionRule(versions=1, orphans=DAY))
    assert removed_keys, "there was something to remove"
    assert all(key.startswith((CHECKPOINTS_PREFIX, FEEDBACK_PREFIX)) for key in removed_keys)
    assert all(world.store.exists(key) for key in kept)


def test_checkpoints_of_dead_attempts_at_the_first_version_go_too(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "store")
    weights = tmp_path / "weights"
    weights.write_bytes(b"weights")
    orphan = Chain(store).write_checkpoint(1, "dead", weights).key
    world = Aging(store)
    assert collect(world.view(), RULE) == []
    world.elapsed += 1.5 * DAY
    assert collect(world.view(), RULE) == [orphan]
    assert not list(store.list(CHECKPOINTS_PREFIX))


def test_pending_feedback_before_the_first_version_stays(tmp_path: Path) -> None:
    world = Aging(FileStore(tmp_path / "store"))
    hand_in(world.store, 1)
    world.elapsed += 100 * DAY
    assert collect(world.view(), RULE) == []


def test_an_empty_store_has_no_garbage(tmp_path: Path) -> None:
    assert collect(FileStore(tmp_path), RULE) == []


LONGEST_CALL = 0.45
"""In retention times of orphans; the S3 client's limits stay below half of the shortest."""


@settings(deadline=None, max_examples=100)
@given(delays=st.lists(st.sampled_from([0.0, 0.1, 0.25, LONGEST_CALL]), min_size=12, max_size=12))
def test_however_slow_a_fold_is_the_collector_never_takes_what_it_commits(delays: list[float]) -> None:
    """Each call of the fold takes its time, and the collector runs while it waits."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        store = FileStore(Path(folder))
        commit_generation(store, parameters(0))
        hand_in(store, 1)
        world = Aging(store)
        left = iter(delays)

        def slow(call: str, key: str) -> Fault:
            world.elapsed += next(left, 0.0) * DAY
            collect(world.view(), RULE)
            return Fault.NONE

        with suppress(AttemptExpired):
            fold(
                FaultyStore(world, slow),
                [(ADS, 1)],
                PARAMETERS,
                orphans_seconds=DAY.total_seconds(),
                monotonic=world.monotonic,
            )
        head = Chain(store).head()
        assert head is not None
        checkpoint_of(store, head)
