"""Sources of batches: every row once an epoch, whatever the number of ranks, wherever the rows are."""

import weakref
from itertools import chain

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from longtail_api.run_config import StoreAddress
from longtail_store import open_store
from longtail_trainer.data.encoded import batches
from longtail_trainer.data.loading import encoded_parts, load_manifest, load_split
from longtail_trainer.data.rows import slice_of
from longtail_trainer.data.source import InMemory, OnDevice, Streamed
from longtail_trainer.running.errors import DataInvalid
from tests.trainer.prepared_data import FEATURES, write_scenario
from tests.trainer.tiny_features import a_schema, features_of, samples

CPU = torch.device("cpu")
KINDS = ["in memory", "on the device", "streamed"]


def source(kind, rows):
    if kind == "in memory":
        return InMemory(rows)
    if kind == "on the device":
        return OnDevice(rows, CPU)
    return Streamed([(len(part), lambda part=part: part) for part in in_parts(rows, 7)], window=20)


def in_parts(rows, size):
    return [slice_of(rows, start, min(start + size, len(rows))) for start in range(0, len(rows), size)]


def numbered(count):
    """Sample i is entity i."""
    rows = samples(features_of(a_schema()), count)
    rows.entity = torch.arange(count)
    return rows


def generator(seed):
    return None if seed is None else torch.Generator().manual_seed(seed)


def entities(batches):
    return [batch.entity[batch.weight > 0].tolist() for batch in batches]


@pytest.mark.parametrize("kind", KINDS)
@given(
    count=st.integers(0, 60),
    size=st.integers(1, 40),
    world=st.integers(1, 5),
    seed=st.one_of(st.none(), st.integers(0, 9)),
)
@settings(deadline=None, max_examples=40)
def test_the_ranks_take_the_batches_of_a_single_process_apart_in_as_many_steps(kind, count, size, world, seed):
    rows = source(kind, numbered(count))
    alone = entities(rows.epoch(generator(seed), size))
    ranks = [list(rows.epoch(generator(seed), size, rank, world)) for rank in range(world)]
    assert len(rows) == count
    assert sorted(chain(*alone)) == list(range(count))
    assert {len(rank) for rank in ranks} == {len(alone)}
    for step, together in enumerate(alone):
        assert [entities([rank[step]])[0] for rank in ranks] == [together[rank::world] for rank in range(world)]
        assert all(1 <= len(rank[step]) <= -(-size // world) for rank in ranks)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_state_gives_the_same_batches_and_another_one_others(kind):
    rows = source(kind, numbered(53))
    assert entities(rows.epoch(generator(1), 10)) == entities(rows.epoch(generator(1), 10))
    assert entities(rows.epoch(generator(1), 10)) != entities(rows.epoch(generator(2), 10))
    assert list(chain(*entities(rows.epoch(None, 10)))) == list(range(53))


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_holds_whole_samples(kind):
    whole = numbered(30)
    for batch in source(kind, whole).epoch(generator(3), 8):
        expected = whole.select(batch.entity)
        for field in ("categorical", "numeric", "labels", "observed", "weight"):
            assert torch.equal(getattr(batch, field), getattr(expected, field)), field
        for name, events in expected.sequences.items():
            assert torch.equal(batch.sequences[name].mask, events.mask)
            assert torch.equal(batch.sequences[name].categorical, events.categorical)
            assert torch.equal(batch.sequences[name].numeric, events.numeric)


@pytest.mark.parametrize("kind", ["in memory", "on the device"])
def test_without_ranks_the_batches_are_those_of_the_split(kind):
    whole = numbered(30)
    found = source(kind, whole).epoch(generator(4), 8)
    expected = batches(whole, 8, generator(4))
    assert [batch.entity.tolist() for batch in found] == [batch.entity.tolist() for batch in expected]


def test_a_rank_without_a_row_of_its_own_gets_one_that_counts_for_nothing():
    last = list(InMemory(numbered(9)).epoch(None, 8, rank=1, world=4))[-1]
    assert len(last) == 1
    assert not last.weight.any()
    assert not last.observed.any()
    assert not last.labels.any()


def test_a_stream_mixes_the_parts_of_a_window():
    whole = numbered(100)
    rows = Streamed([(len(part), lambda part=part: part) for part in in_parts(whole, 10)], window=50)
    first = entities(rows.epoch(generator(0), 25))[0]
    assert len({entity // 10 for entity in first}) == 5


def test_the_memory_of_a_stream_follows_its_window_and_not_its_rows():
    whole = numbered(400)
    alive: weakref.WeakSet = weakref.WeakSet()
    counts = []

    def read(start):
        part = slice_of(whole, start, start + 10)
        part.weight = part.weight.clone()
        alive.add(part.weight)
        counts.append(len(alive))
        return part

    rows = Streamed([(10, lambda start=start: read(start)) for start in range(0, 400, 10)], window=40)
    assert sum(len(batch) for batch in rows.epoch(generator(0), 8)) == 400
    assert len(counts) == 40
    assert max(counts) <= 4  # parts of one window, of the 40 there are


@pytest.fixture
def prepared(tmp_path):
    store = open_store(StoreAddress(uri=f"file://{tmp_path}/store"))
    return store, [load_manifest(store, write_scenario(store, name, seed=seed)) for seed, name in enumerate("ab")]


def test_a_stream_of_prepared_scenarios_has_the_rows_of_their_splits(prepared):
    store, manifests = prepared
    rows = Streamed.of(store, manifests, ["support", "query"], FEATURES)
    expected = list(encoded_parts(store, manifests, ["support", "query"], FEATURES))
    assert len(rows) == 320
    streamed = torch.cat([batch.weight for batch in rows.epoch(None, 50)])
    assert torch.equal(streamed, torch.cat([part.weight for part in expected]))
    shuffled = torch.cat([batch.weight for batch in rows.epoch(generator(1), 50)])
    assert torch.equal(shuffled.sort().values, streamed.sort().values)


def test_a_damaged_part_is_named_when_it_is_read(prepared, tmp_path):
    store, manifests = prepared
    (tmp_path / "store" / manifests[0].parts[0].key).write_bytes(b"not what it was")
    rows = Streamed.of(store, manifests, ["support"], FEATURES)
    with pytest.raises(DataInvalid, match="doesn't match its hash"):
        list(rows.epoch(None, 50))
    assert len(load_split(store, manifests[1], "support", FEATURES)) == 120
