"""The log of settled runs stays small beside the scenarios that ever were, and loses none."""

import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longtail_api.store_layout import CHECKPOINTS_PREFIX, FEEDBACK_PREFIX, SETTLED_PREFIX, settled_key
from longtail_api.store_objects import Version
from longtail_operator.meta_update.fold import fold
from longtail_operator.meta_update.ledger import pending
from longtail_store import Chain, Corrupt, Store, new_nonce
from longtail_store.feedback import write_feedback
from longtail_store.file_store import FileStore
from longtail_store.settled import merged
from longtail_store.settled_log import Outdated, SettledLog, segment_of, settle
from tests.store.small_model import MEMORY, PARAMETERS, commit_generation, dense_gradients, parameters

LARGEST_METADATA_BYTES = 100_000


@pytest.fixture
def folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(dir=MEMORY))
    yield folder
    shutil.rmtree(folder)


class CountingStore(FileStore):
    """Counts the bytes that are read and written, but for weights and gradients."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.bytes = Counter[str]()

    def get(self, key: str) -> bytes:
        content = super().get(key)
        self.bytes["read"] += len(content)
        return content

    def put_if_absent(self, key: str, data: bytes | Path) -> bool:
        if not key.startswith((CHECKPOINTS_PREFIX, FEEDBACK_PREFIX)):
            self.bytes["written"] += len(data) if isinstance(data, bytes) else data.stat().st_size
        return super().put_if_absent(key, data)


def scenario(number: int) -> str:
    return f"recommendations.campaign-{number:05d}.{number:08x}"


def head_of(store: Store) -> Version:
    head = Chain(store).head()
    assert head is not None
    return head


def with_history(folder: Path, *, versions: int, scenarios: int) -> CountingStore:
    """A chain of so many versions, of which one has settled a run of each of so many scenarios."""
    store = CountingStore(folder)
    commit_generation(store, parameters(0))
    first, nonce = head_of(store), new_nonce()
    runs = [(scenario(number), 1) for number in range(scenarios)]
    version = first.model_copy(update={"kind": "fold", **settle(store, first, runs, nonce)})
    for number in range(2, versions + 1):
        Chain(store).commit(version.model_copy(update={"number": number, "nonce": new_nonce()}))
    return store


def hand_in(store: Store, number: int, run: int, base: int) -> tuple[str, int]:
    write_feedback(
        store, dict(dense_gradients(number)), scenario=scenario(number), run=run, base_version=base, generation=1,
        examples=9, loss=0.4,
    )  # fmt: skip
    return scenario(number), run


def test_a_fold_moves_little_beside_the_weights_after_ten_thousand_scenarios(folder: Path):
    store = with_history(folder, versions=1000, scenarios=10_000)
    runs = [hand_in(store, number, 2, 1000) for number in range(0, 10_000, 1250)]
    store.bytes.clear()
    outcome = fold(store, runs, PARAMETERS, orphans_seconds=600)
    assert (outcome.version.number, len(outcome.version.folded)) == (1001, 8)
    assert store.bytes["read"] > 0
    assert store.bytes["written"] > 0
    assert store.bytes.total() <= LARGEST_METADATA_BYTES, store.bytes


def test_the_runs_of_ten_thousand_scenarios_stay_settled_when_more_are_added(folder: Path):
    store = with_history(folder, versions=2, scenarios=10_000)
    fold(store, [hand_in(store, 7, 2, 2)], PARAMETERS, orphans_seconds=600)
    settled = SettledLog(store).at(head_of(store)).all()
    assert settled.pop(scenario(7)) == [(1, 2)]
    assert settled == {scenario(number): [(1, 1)] for number in range(10_000) if number != 7}


def test_a_run_in_a_segment_is_a_duplicate_after_its_feedback_was_removed_and_put_again(folder: Path):
    store = with_history(folder, versions=2, scenarios=100)
    again = hand_in(store, 5, 1, 2)
    assert pending(store) == []
    outcome = fold(store, [again], PARAMETERS, orphans_seconds=600)
    assert (outcome.committed, outcome.duplicates) == (False, (again,))


def test_few_scenarios_need_no_object_beside_the_record(folder: Path):
    store = with_history(folder, versions=2, scenarios=64)
    assert list(store.list(SETTLED_PREFIX)) == []
    assert len(head_of(store).settled) == 64


Batch = list[tuple[int, int]]


@given(batches=st.lists(st.lists(st.tuples(st.integers(0, 8), st.integers(1, 9)), min_size=1), max_size=6))
@settings(max_examples=50)
def test_whatever_is_settled_in_whatever_order_is_settled_in_every_later_version(batches: list[Batch]):
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        store = FileStore(Path(folder))
        commit_generation(store, parameters(0))
        version, expected = head_of(store), set[tuple[str, int]]()
        for batch in batches:
            runs = [(scenario(number), run) for number, run in batch]
            expected |= set(runs)
            changes = settle(store, version, runs, new_nonce(), inline_scenarios=2)
            version = version.model_copy(update={"number": version.number + 1, **changes})
            owners = {owner for owner, _ in expected}
            assert SettledLog(store).at(version).all() == {
                owner: merged((run, run) for name, run in expected if name == owner) for owner in owners
            }
            assert not (version.settled and version.settled_segments)


def test_a_segment_that_the_head_names_and_nobody_has_is_said(folder: Path):
    store = with_history(folder, versions=2, scenarios=100)
    lose_segment(store, 2)
    with pytest.raises(Corrupt, match="which version 2 names"):
        pending_of(store, 2)


def test_a_reader_whose_version_was_followed_and_collected_is_told_to_read_the_head_anew(folder: Path):
    store = with_history(folder, versions=3, scenarios=100)
    lose_segment(store, 2)
    with pytest.raises(Outdated):
        pending_of(store, 2)


def lose_segment(store: Store, number: int) -> None:
    segment = segment_of(scenario(0))
    store.delete(settled_key(segment, Chain(store).version(number).settled_segments[segment]))


def pending_of(store: Store, number: int) -> None:
    SettledLog(store).at(Chain(store).version(number), [scenario(0)])
