"""Replacing the head by other weights: right after the version it was made from, or not at all; a death anywhere."""

from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from longtail_api.store_objects import Version
from longtail_operator.meta_update.fold import fold
from longtail_store import AttemptExpired, Chain, Committed, Lost, Store, StoreUnreachable
from longtail_store.feedback import write_feedback
from longtail_store.file_store import FileStore
from longtail_store.replacement import committed_by, replace
from tests.store.faults import Crash, Fault, FaultyStore, World
from tests.store.small_model import PARAMETERS, checkpoint_of, commit_generation, dense_gradients, parameters

ADS = "team.ads.00000001"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = FileStore(tmp_path / "store")
    commit_generation(store, parameters(0))
    return store


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    save_file(parameters(7), tmp_path / "weights")
    return tmp_path / "weights"


def head(store: Store) -> Version:
    version = Chain(store).head()
    assert version is not None
    return version


def replaced(store: Store, weights: Path, base: Version, identity: str = "m1") -> Committed | Lost:
    chain = Chain(store)
    return replace(
        chain, identity, base, weights, pool=["data"], parameters=PARAMETERS, metrics={"auc": 0.7}, orphans_seconds=600
    )


def fold_one(store: Store, run: int = 1) -> Version:
    gradients = dense_gradients(run)
    write_feedback(store, gradients, scenario=ADS, run=run, base_version=1, generation=1, examples=9, loss=0.4)
    return fold(store, [(ADS, run)], PARAMETERS, orphans_seconds=600).version


def test_the_record_carries_on_what_was_settled_and_names_what_it_was_trained_on(store: Store, weights: Path) -> None:
    base = fold_one(store)
    assert isinstance(replaced(store, weights, base), Committed)
    version = head(store)
    assert (version.number, version.kind, version.pool, version.metrics) == (3, "meta-training", ["data"], {"auc": 0.7})
    assert (version.settled, version.folded_count, version.folded) == ({ADS: [(1, 1)]}, 1, [])
    np.testing.assert_array_equal(checkpoint_of(store, version)["weight"], parameters(7)["weight"])


def test_it_never_follows_a_version_it_does_not_know(store: Store, weights: Path) -> None:
    base = head(store)
    folded = fold_one(store)
    assert replaced(store, weights, base) == Lost(folded)
    assert head(store) == folded


def test_feedback_that_waited_meanwhile_is_folded_into_the_new_weights(store: Store, weights: Path) -> None:
    replaced(store, weights, head(store))
    version = fold_one(store)
    assert (version.number, version.folded[0].staleness) == (3, 1)
    before, after = parameters(7)["weight"], checkpoint_of(store, version)["weight"]
    feedback = version.folded[0]
    moved = PARAMETERS.learning_rate * feedback.weight * feedback.clip_scale * dense_gradients(1)["weight"]
    np.testing.assert_allclose(after, before - moved, rtol=1e-6)


def test_an_attempt_finds_its_own_version_and_nobody_elses(store: Store, weights: Path) -> None:
    done = replaced(store, weights, head(store))
    assert isinstance(done, Committed)
    fold_one(store)
    chain = Chain(store)
    assert committed_by(chain, "m1", 1) == done.version
    assert committed_by(chain, "m1", 2) is None
    assert committed_by(chain, "m2", 1) is None


class Counted:
    """Faults the call of one number."""

    def __init__(self, number: int, fault: Fault) -> None:
        self.left, self.fault = number, fault

    def __call__(self, call: str, key: str) -> Fault:
        self.left -= 1
        return self.fault if self.left == 0 else Fault.NONE


@pytest.mark.parametrize(
    "fault", [Fault.CRASH_BEFORE, Fault.CRASH_AFTER, Fault.UNREACHABLE, Fault.LOST_RESPONSE, Fault.OWN_RETRY]
)
def test_a_fault_at_any_call_leaves_one_version_after_the_next_attempt(
    tmp_path: Path, weights: Path, fault: Fault
) -> None:
    """The step as it is written: own version, else train from the head, and replace it."""

    def attempt(store: Store) -> Version:
        chain = Chain(store)
        base = chain.head()
        assert base is not None
        own = committed_by(chain, "m1", 1)
        if own is not None:
            return own
        done = replaced(store, weights, base)
        assert isinstance(done, Committed)
        return done.version

    number, calls = 0, 1
    while number < calls:
        number += 1
        store = FileStore(tmp_path / f"store-{number}")
        commit_generation(store, parameters(0))
        counted = Counted(number, fault)
        with suppress(Crash, StoreUnreachable):
            attempt(FaultyStore(World(store), counted))
        calls = max(calls, number + (1 if counted.left <= 0 else 0))
        version = attempt(store)
        assert (version.number, head(store)) == (2, version)
        np.testing.assert_array_equal(checkpoint_of(store, version)["weight"], parameters(7)["weight"])
    assert number > 5, "every call had its turn"


def test_an_attempt_that_took_half_the_retention_gives_up(store: Store, weights: Path) -> None:
    ticks = iter([0.0, 301.0])
    with pytest.raises(AttemptExpired):
        replace(
            Chain(store), "m1", head(store), weights, pool=[], parameters=PARAMETERS, metrics={}, orphans_seconds=600,
            monotonic=lambda: next(ticks),
        )  # fmt: skip
    assert head(store).number == 1
