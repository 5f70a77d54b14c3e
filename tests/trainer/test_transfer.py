"""Rows of other scenarios, which only the teacher labels."""

from contextlib import nullcontext
from datetime import UTC, datetime

import pytest
import torch

from longtail_api.architecture import Architecture
from longtail_api.store_layout import manifest_key, version_key
from longtail_api.store_objects import TRAINING_SPLITS, AltHeavy, Checkpoint, Version
from longtail_store.file_store import FileStore
from longtail_trainer.data.encoded import EncodedSplit, concatenate
from longtail_trainer.data.loading import load_manifest, load_split
from longtail_trainer.data.rows import subset
from longtail_trainer.methods.alt.transfer import pool_of, transfer_rows
from longtail_trainer.running.errors import DataInvalid
from tests.trainer.prepared_data import FEATURES, write_scenario


def version(number: int, kind: str, pool: list[str]) -> Version:
    """Of the second generation, but for the first one."""
    return Version(
        number=number, kind=kind, generation=1 if number == 1 else 2, pool=pool, nonce="n", schema_hash="s",
        checkpoint=Checkpoint(key="k", sha256="0" * 64, bytes=1), features_sha256="0" * 64,
        model=AltHeavy(encoder="LSTM", architecture=Architecture()), created=datetime(2026, 1, 1, tzinfo=UTC),
    )  # fmt: skip


def test_rows_are_drawn_as_from_all_rows_at_once(tmp_path):
    store = FileStore(tmp_path)
    keys = [write_scenario(store, name, seed=seed) for seed, name in enumerate(["own", "north", "south"])]
    store.put_if_absent(version_key(1), version(1, "initial", keys).to_bytes())
    drawn = transfer_rows(store, 1, FEATURES, "own", limit=100, seed=3)
    generator = torch.Generator().manual_seed(3)
    expected: list[EncodedSplit] = []
    for key in keys[1:]:
        manifest = load_manifest(store, key)
        whole = concatenate([load_split(store, manifest, split, FEATURES) for split in TRAINING_SPLITS])
        expected.append(subset(whole, (torch.rand(len(whole), generator=generator) < 100 / 320).nonzero().flatten()))
    assert 60 < len(drawn) < 140
    assert torch.equal(drawn.numeric, concatenate(expected).numeric)
    assert torch.equal(drawn.sequences["items"].offsets, concatenate(expected).sequences["items"].offsets)


def test_only_scenarios_that_may_be_read_are_loaded_and_give_rows(tmp_path):
    store = FileStore(tmp_path)
    keys = [write_scenario(store, name, seed=seed) for seed, name in enumerate(["shop.own.a", "shop.b.b", "bank.c.c"])]
    store.put_if_absent(version_key(1), version(1, "initial", [*keys, manifest_key("bank.gone.d", "d1")]).to_bytes())

    def drawn(transfer_from):
        return transfer_rows(store, 1, FEATURES, "shop.own.a", 10_000, seed=3, transfer_from=transfer_from)

    both = load_manifest(store, keys[1]).rows
    assert len(drawn(["shop."])) == sum(both[split] for split in TRAINING_SPLITS)
    assert len(drawn(["sho."])) == len(drawn([])) == 0
    store.delete(keys[2])
    assert len(drawn(["shop.", "bank."])) == len(drawn(["shop."])), "who was deleted with its rows gives none"


class GoneWhenRead(FileStore):
    """Before the first of these objects is read, all of them are deleted."""

    gone: tuple[str, ...] = ()

    def get(self, key: str) -> bytes:
        if self.gone and key == self.gone[0]:
            self.delete(*self.gone)
        return super().get(key)


@pytest.mark.parametrize("with_its_manifest", [True, False])
def test_a_scenario_that_is_deleted_while_its_rows_are_read_gives_no_more_and_a_damaged_one_is_told(
    tmp_path, with_its_manifest
):
    store = GoneWhenRead(tmp_path)
    keys = [write_scenario(store, name, seed=seed) for seed, name in enumerate(["own", "north", "south"])]
    store.put_if_absent(version_key(1), version(1, "initial", keys).to_bytes())
    north, south = (load_manifest(store, key) for key in keys[1:])
    store.gone = (next(part.key for part in north.parts if part.split in TRAINING_SPLITS),)
    if with_its_manifest:
        store.gone += (keys[1],)
    with nullcontext() if with_its_manifest else pytest.raises(DataInvalid, match="is missing"):
        drawn = transfer_rows(store, 1, FEATURES, "own", limit=10_000, seed=3)
        assert len(drawn) == sum(south.rows[split] for split in TRAINING_SPLITS)


def test_no_label_of_another_scenario_is_kept(tmp_path):
    store = FileStore(tmp_path)
    keys = [write_scenario(store, name, seed=seed) for seed, name in enumerate(["shop.own.a", "shop.north.b"])]
    store.put_if_absent(version_key(1), version(1, "initial", keys).to_bytes())
    drawn = transfer_rows(store, 1, FEATURES, "shop.own.a", limit=50, seed=3, transfer_from=["shop."])
    assert len(drawn) > 0
    assert not drawn.observed.any()
    assert not drawn.labels.any()


def test_the_pool_is_that_of_the_generations_first_version_whatever_was_trained_since(tmp_path):
    store = FileStore(tmp_path)
    chain = [
        ("initial", ["old"]),
        ("initial", ["a", "b"]),
        ("fold", []),
        ("meta-training", ["a", "b", "c"]),
        ("fold", []),
    ]
    for number, (kind, pool) in enumerate(chain, start=1):
        store.put_if_absent(version_key(number), version(number, kind, pool).to_bytes())
    assert [pool_of(store, number) for number in range(1, 6)] == [["old"], *[["a", "b"]] * 4]


def test_the_pool_is_found_in_few_reads_however_many_folds_there_were(tmp_path):
    class Counting(FileStore):
        reads = 0

        def get(self, key):
            type(self).reads += 1
            return super().get(key)

    store = Counting(tmp_path)
    store.put_if_absent(version_key(1), version(1, "initial", ["old"]).to_bytes())
    for number in range(2, 202):
        kind, pool = ("initial", ["a", "b"]) if number == 2 else ("fold", [])
        store.put_if_absent(version_key(number), version(number, kind, pool).to_bytes())
    assert pool_of(store, 200) == ["a", "b"]
    assert Counting.reads < 40
