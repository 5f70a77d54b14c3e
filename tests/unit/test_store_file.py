"""A folder as a store."""

import threading
from pathlib import Path

import pytest

from longtail_api.run_config import StoreAddress
from longtail_store import InvalidAddress, Store, open_store
from longtail_store.file_store import FileStore
from longtail_store.probe import PROBE_PREFIX, race_conditional_puts
from tests.store.contract import StoreContract


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(StoreAddress(uri=f"file://{tmp_path}/the%20store"))


class TestFileStore(StoreContract):
    pass


def test_no_draft_is_left_behind(store: Store, tmp_path: Path) -> None:
    store.put_if_absent("a", b"1")
    store.put_if_absent("a", b"2")
    store.put_advisory("b", b"1")
    store.now()
    files = [path.relative_to(tmp_path / "the store").as_posix() for path in tmp_path.rglob("*") if path.is_file()]
    assert sorted(files) == ["a", "b"]


def test_a_draft_of_a_dead_writer_is_no_object(store: Store, tmp_path: Path) -> None:
    store.put_if_absent("a", b"1")
    (tmp_path / "the store" / ".drafts" / "0123").write_bytes(b"half")
    assert [found.key for found in store.list("")] == ["a"]


@pytest.mark.parametrize(
    "uri", ["file://", "file:///", "file://folder", "http://bucket/x", "bucket", "s3://", "s3:///x"]
)
def test_an_address_of_no_store_is_refused(uri: str) -> None:
    with pytest.raises(InvalidAddress):
        open_store(StoreAddress(uri="file:///x").model_copy(update={"uri": uri}))  # as --store-uri puts it there


def test_a_folder_lets_one_of_racing_writers_win(store: Store) -> None:
    result = race_conditional_puts(store, racers=4, races=4)
    assert result.atomic, result.message
    assert list(store.list(PROBE_PREFIX)) == []


class IgnoresTheCondition(FileStore):
    """As S3 servers do that don't know If-None-Match."""

    def put_if_absent(self, key: str, data: bytes | Path) -> bool:
        self.put_advisory(key, data)
        return True


class RefusesEverybody(FileStore):
    def put_if_absent(self, key: str, data: bytes | Path) -> bool:
        return False


class ChecksThenWrites(FileStore):
    """Refuses what is there already, but not two writers at once."""

    def __init__(self, root: Path, writers: int) -> None:
        super().__init__(root)
        self.barrier = threading.Barrier(writers)

    def put_if_absent(self, key: str, data: bytes | Path) -> bool:
        if self.exists(key):
            return False
        self.barrier.wait(10)
        self.put_advisory(key, data)
        return True


@pytest.mark.parametrize("kind", [IgnoresTheCondition, RefusesEverybody, lambda root: ChecksThenWrites(root, 3)])
def test_a_store_without_exactly_one_winner_is_found_out_and_left_clean(kind, tmp_path: Path) -> None:
    store = kind(tmp_path)
    result = race_conditional_puts(store, racers=3, races=2)
    assert not result.atomic
    assert "does not honour conditional writes" in result.message
    assert list(store.list(PROBE_PREFIX)) == []
