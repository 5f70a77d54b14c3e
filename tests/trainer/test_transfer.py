"""Rows of other scenarios, which only the teacher labels."""

from datetime import UTC, datetime

import torch

from longtail_api.heavy_model import Architecture
from longtail_api.store_layout import version_key
from longtail_api.store_objects import Checkpoint, Version
from longtail_store.file_store import FileStore
from longtail_trainer.encoded import EncodedSequence, EncodedSplit, offsets_of
from longtail_trainer.light.transfer import halves, pool_of, subset, without_labels


def rows(count: int) -> EncodedSplit:
    """Sample i has i events, each of which carries its sample's number."""
    lengths = torch.arange(count)
    numbers = torch.repeat_interleave(torch.arange(count, dtype=torch.float32), lengths)
    events = EncodedSequence(numbers[:, None].to(torch.int32), numbers[:, None], offsets_of(lengths))
    index = torch.arange(count, dtype=torch.float32)
    return EncodedSplit(
        index[:, None].to(torch.int32),
        index[:, None],
        {"visits": events},
        torch.ones(count, 1),
        torch.ones(count, 1, dtype=torch.bool),
        torch.ones(count),
    )


def test_a_subset_keeps_each_samples_own_events():
    chosen = subset(rows(6), torch.tensor([4, 0, 2]))
    assert chosen.numeric.flatten().tolist() == [4, 0, 2]
    batch = chosen.select(torch.arange(3)).sequences["visits"]
    assert batch.mask.sum(1).tolist() == [4, 0, 2]
    assert batch.numeric[0, :4, 0].tolist() == [4, 4, 4, 4]
    assert batch.numeric[2, :2, 0].tolist() == [2, 2]


def test_an_empty_subset_is_an_empty_split():
    empty = subset(rows(3), torch.zeros(0, dtype=torch.int64))
    assert len(empty) == 0
    assert empty.sequences["visits"].offsets.tolist() == [0]


def test_halves_share_no_sample_and_miss_none():
    first, second = halves(rows(5))
    assert sorted(first.numeric.flatten().tolist() + second.numeric.flatten().tolist()) == [0, 1, 2, 3, 4]


def test_no_label_of_another_scenario_is_kept():
    bare = without_labels(rows(4))
    assert not bare.observed.any()
    assert not bare.labels.any()


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
        version = Version(
            number=number, kind=kind, generation=1 if number == 1 else 2, pool=pool, nonce="n", schema_hash="s",
            checkpoint=Checkpoint(key="k", sha256="0" * 64, bytes=1), features_sha256="0" * 64, encoder="LSTM",
            architecture=Architecture(), created=datetime(2026, 1, 1, tzinfo=UTC),
        )  # fmt: skip
        store.put_if_absent(version_key(number), version.to_bytes())
    assert [pool_of(store, number) for number in range(1, 6)] == [["old"], *[["a", "b"]] * 4]
