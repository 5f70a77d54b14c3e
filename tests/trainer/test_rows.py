"""Samples out of samples."""

from dataclasses import replace

import torch

from longtail_api.data_schema import DataSchema
from longtail_trainer.data.encoded import EncodedSequence, EncodedSplit, concatenate, offsets_of
from longtail_trainer.data.rows import halves, slice_of, subset, taught_labels, without_labels


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
        torch.arange(count),
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


def test_a_slice_has_each_samples_own_events_in_the_memory_of_the_whole():
    whole = rows(6)
    part = slice_of(whole, 2, 5)
    batch = part.select(torch.arange(3)).sequences["visits"]
    assert part.numeric.flatten().tolist() == [2, 3, 4]
    assert batch.mask.sum(1).tolist() == [2, 3, 4]
    assert batch.numeric[2, :4, 0].tolist() == [4, 4, 4, 4]
    assert len(slice_of(whole, 6, 6)) == 0
    whole.sequences["visits"].numeric.fill_(9)
    assert part.sequences["visits"].numeric.eq(9).all()


def test_without_labels_nothing_is_observed():
    bare = without_labels(rows(4))
    assert not bare.observed.any()
    assert not bare.labels.any()


def test_every_sample_keeps_its_entity():
    whole = rows(6)
    chosen = torch.tensor([4, 0, 2])
    assert subset(whole, chosen).entity.tolist() == whole.select(chosen).entity.tolist() == [4, 0, 2]
    assert slice_of(whole, 2, 5).entity.tolist() == [2, 3, 4]
    assert without_labels(whole).entity.tolist() == list(range(6))
    assert concatenate([whole, subset(whole, chosen)]).entity.tolist() == [*range(6), 4, 0, 2]


def test_a_label_is_taught_by_rows_that_together_observe_it_and_both_of_its_classes():
    schema = DataSchema.model_validate(
        {
            "labels": [{"name": "a"}, {"name": "b"}, {"name": "c"}, {"name": "d", "type": "regression"}],
            "context": {"numeric": ["x"]},
        }
    )
    first = replace(rows(2), labels=torch.tensor([[0.0, 0, 1, 3], [0, 1, 0, 3]]))
    second = replace(rows(1), labels=torch.tensor([[1.0, 0, 0, 3]]))
    seen = torch.tensor([True, True, False, True])
    first, second = (replace(some, observed=seen.expand(len(some), 4)) for some in (first, second))
    assert taught_labels(schema, first, second).tolist() == [True, True, False, True]
    assert taught_labels(schema, first).tolist() == [False, True, False, True]
