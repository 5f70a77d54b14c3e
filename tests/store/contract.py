"""What every store does alike. A test class inherits this, and gives a fixture `store`."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from longtail_store import InvalidKey, ObjectMissing, Store


class StoreContract:
    def test_what_was_put_is_read_back(self, store: Store) -> None:
        assert store.put_if_absent("a/b.json", b"content")
        assert store.get("a/b.json") == b"content"
        assert store.exists("a/b.json")

    def test_a_second_put_changes_nothing_and_says_so(self, store: Store) -> None:
        store.put_if_absent("a", b"first")
        assert not store.put_if_absent("a", b"second")
        assert store.get("a") == b"first"

    def test_of_racing_writers_one_wins_and_its_bytes_stand(self, store: Store) -> None:
        with ThreadPoolExecutor(8) as pool:
            for race in range(5):
                won = list(pool.map(lambda n, key=f"race/{race}": store.put_if_absent(key, str(n).encode()), range(8)))
                assert won.count(True) == 1
                assert store.get(f"race/{race}") == str(won.index(True)).encode()

    def test_an_advisory_object_is_overwritten(self, store: Store) -> None:
        store.put_advisory("HEAD", b"1")
        store.put_advisory("HEAD", b"2")
        assert store.get("HEAD") == b"2"

    def test_a_file_is_streamed_there_and_back(self, store: Store, tmp_path: Path) -> None:
        source, target = tmp_path / "source", tmp_path / "target"
        source.write_bytes(bytes(range(256)) * 20_000)
        assert store.put_if_absent("big", source)
        store.download("big", target)
        assert target.read_bytes() == source.read_bytes()

    def test_an_empty_object_is_an_object(self, store: Store) -> None:
        store.put_if_absent("empty", b"")
        assert store.exists("empty")
        assert store.get("empty") == b""

    def test_a_missing_object_is_missing_in_every_way(self, store: Store, tmp_path: Path) -> None:
        assert not store.exists("a")
        with pytest.raises(ObjectMissing, match="there is no a"):
            store.get("a")
        with pytest.raises(ObjectMissing):
            store.download("a", tmp_path / "a")
        assert list(tmp_path.iterdir()) == []

    def test_a_folder_of_keys_is_no_object(self, store: Store) -> None:
        store.put_if_absent("a/b", b"")
        assert not store.exists("a")

    def test_a_listing_has_the_keys_of_a_prefix_in_order(self, store: Store) -> None:
        for key in ("b/2", "b/10", "b-1", "b/1/x", "c"):
            store.put_if_absent(key, b"12345")
        assert [(found.key, found.size) for found in store.list("b/")] == [("b/1/x", 5), ("b/10", 5), ("b/2", 5)]
        assert [found.key for found in store.list("b/1")] == ["b/1/x", "b/10"]
        assert list(store.list("nothing/")) == []

    def test_ages_are_told_by_the_stores_own_clock(self, store: Store) -> None:
        before = store.now()
        store.put_if_absent("a", b"")
        (found,) = store.list("a")
        assert before - timedelta(seconds=1) <= found.modified <= store.now() + timedelta(seconds=1)

    def test_a_deleted_object_is_gone_and_may_be_put_again(self, store: Store) -> None:
        store.put_if_absent("a", b"1")
        store.delete("a")
        store.delete("a")
        assert not store.exists("a")
        assert store.put_if_absent("a", b"2")

    def test_many_objects_are_deleted_at_once_and_others_stay(self, store: Store) -> None:
        keys = [f"many/{number:04d}" for number in range(1003)]
        for key in (*keys[-5:], "other"):
            store.put_if_absent(key, b"1")
        store.delete(*keys)
        store.delete()
        assert [found.key for found in store.list("")] == ["other"]

    @pytest.mark.parametrize("key", ["", "/a", "a/", "a//b", "../a", "a/../b", "a/./b", ".hidden", "a b", "ä", "a\n"])
    def test_a_key_that_leads_astray_is_refused(self, store: Store, key: str) -> None:
        with pytest.raises(InvalidKey):
            store.put_if_absent(key, b"")
