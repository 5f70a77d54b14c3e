"""The version chain: one commit per number, whatever the hint says and whatever gets lost."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longtail_api.store_layout import HEAD_KEY, VERSIONS_PREFIX, checkpoint_key, checkpoint_number, version_key
from longtail_api.store_objects import Version
from longtail_store import Chain, Committed, Conflict, Corrupt, Lost, ObjectMissing, Store, StoreUnreachable
from longtail_store.file_store import FileStore
from tests.store.faults import Fault, FaultyStore, World
from tests.store.small_model import commit_generation, parameters


class Numbers:
    """A store that only knows which versions exist, and counts the questions."""

    def __init__(self, last: int, hint: bytes | None) -> None:
        self.last, self.hint, self.questions = last, hint, 0

    def get(self, key: str) -> bytes:
        assert key == HEAD_KEY
        if self.hint is None:
            raise ObjectMissing(key)
        return self.hint

    def exists(self, key: str) -> bool:
        self.questions += 1
        return int(key.removeprefix(VERSIONS_PREFIX).removesuffix(".json")) <= self.last


HINTS = st.none() | st.integers(0, 10**12 - 1).map(lambda n: str(n).encode()) | st.binary(max_size=20)


@given(last=st.integers(0, 5000), hint=HINTS)
def test_the_head_is_found_whatever_the_hint_says(last: int, hint: bytes | None) -> None:
    assert Chain(Numbers(last, hint)).head_number() == last  # type: ignore[arg-type]


@given(last=st.integers(1, 5000))
def test_a_right_hint_costs_two_questions(last: int) -> None:
    store = Numbers(last, str(last).encode())
    Chain(store).head_number()  # type: ignore[arg-type]
    assert store.questions == 2


def test_without_a_hint_the_search_is_logarithmic() -> None:
    store = Numbers(100_000, None)
    Chain(store).head_number()  # type: ignore[arg-type]
    assert store.questions < 50


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return FileStore(tmp_path / "store")


def second(store: Store, nonce: str) -> Version:
    return Chain(store).version(1).model_copy(update={"number": 2, "nonce": nonce})


def failing(store: Store, call: str, key: str, fault: Fault) -> Store:
    """The store, whose calls of that name on that key go wrong once."""
    faults = iter([fault])

    def decide(name: str, at: str) -> Fault:
        return next(faults, Fault.NONE) if (name, at) == (call, key) else Fault.NONE

    return FaultyStore(World(store), decide)


def test_a_store_without_versions_has_no_head(store: Store) -> None:
    assert Chain(store).head() is None


def test_a_committed_version_is_the_head(store: Store) -> None:
    result = commit_generation(store, parameters(1))
    assert isinstance(result, Committed)
    assert Chain(store).head() == result.version


def test_the_second_writer_of_a_number_sees_the_first_ones_version(store: Store) -> None:
    commit_generation(store, parameters(1))
    assert isinstance(Chain(store).commit(second(store, "mine")), Committed)
    result = Chain(store).commit(second(store, "theirs"))
    assert isinstance(result, Lost)
    assert result.winner.nonce == "mine"


@pytest.mark.parametrize("fault", [Fault.LOST_RESPONSE, Fault.OWN_RETRY])
def test_a_commit_whose_response_was_lost_is_adopted(store: Store, fault: Fault) -> None:
    commit_generation(store, parameters(1))
    faulty = failing(store, "put_if_absent", version_key(2), fault)
    assert isinstance(Chain(faulty).commit(second(store, "mine")), Committed)


def test_a_commit_that_did_not_happen_is_not_claimed(store: Store) -> None:
    commit_generation(store, parameters(1))
    with pytest.raises(StoreUnreachable):
        Chain(failing(store, "put_if_absent", version_key(2), Fault.UNREACHABLE)).commit(second(store, "mine"))
    assert not store.exists(version_key(2))


def test_the_same_nonce_with_another_checkpoint_is_not_ones_own(store: Store) -> None:
    commit_generation(store, parameters(1))
    Chain(store).commit(second(store, "mine"))
    other = second(store, "mine")
    other.checkpoint = other.checkpoint.model_copy(update={"sha256": "f" * 64})
    assert isinstance(Chain(store).commit(other), Lost)


def test_a_number_after_a_gap_can_not_be_committed(store: Store) -> None:
    commit_generation(store, parameters(1))
    with pytest.raises(Conflict, match="version 2 is not committed"):
        Chain(store).commit(second(store, "mine").model_copy(update={"number": 3}))


def test_a_commit_stands_though_the_hint_can_not_be_written(store: Store) -> None:
    commit_generation(store, parameters(1))
    result = Chain(failing(store, "put_advisory", HEAD_KEY, Fault.UNREACHABLE)).commit(second(store, "mine"))
    assert isinstance(result, Committed)
    assert Chain(store).head() == result.version


def test_a_checkpoint_whose_first_response_was_lost_is_adopted(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "weights"
    path.write_bytes(b"weights")
    key = checkpoint_key(7, "nonce")
    faulty = failing(store, "put_if_absent", key, Fault.OWN_RETRY)
    checkpoint = Chain(faulty).write_checkpoint(7, "nonce", path)
    assert (checkpoint.key, checkpoint.bytes) == (key, 7)


def test_two_checkpoints_under_one_nonce_are_a_conflict(store: Store, tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"one")
    (tmp_path / "two").write_bytes(b"two")
    Chain(store).write_checkpoint(7, "nonce", tmp_path / "one")
    with pytest.raises(Conflict, match="draw a new nonce"):
        Chain(store).write_checkpoint(7, "nonce", tmp_path / "two")


def test_a_damaged_checkpoint_is_not_loaded(store: Store, tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes(b"weights")
    checkpoint = Chain(store).write_checkpoint(1, "nonce", tmp_path / "weights")
    store.put_advisory(checkpoint.key, b"weightz")
    with pytest.raises(Corrupt, match="has sha256"):
        Chain(store).load_checkpoint(checkpoint, tmp_path / "loaded")
    assert not (tmp_path / "loaded").exists()


@given(st.integers(1, 10**12 - 1), st.from_regex(r"[0-9a-f]{1,16}", fullmatch=True))
def test_a_checkpoint_key_gives_back_its_number(number: int, nonce: str) -> None:
    assert checkpoint_number(checkpoint_key(number, nonce)) == number


@pytest.mark.parametrize("key", ["agnostic/checkpoints/1-a.safetensors", "agnostic/checkpoints/x", "agnostic/HEAD"])
def test_other_keys_are_no_checkpoints(key: str) -> None:
    assert checkpoint_number(key) is None
