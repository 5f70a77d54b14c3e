"""Features: what is fitted, and how values become numbers."""

import hashlib

import numpy as np
import polars as pl
import pytest
import torch

from longtail_api.run_config import StoreAddress
from longtail_api.store_layout import features_key
from longtail_api.store_objects import CategoricalStatistics, NumericEncoding, NumericStatistics, Statistics
from longtail_store import open_store
from longtail_trainer.data.encoded import batches, concatenate, offsets_of
from longtail_trainer.data.features import encode_categorical, encode_label, encode_numeric, fit_features, fitting
from longtail_trainer.data.features.fitting import BINS, label_encoding, numeric_encoding, vocabulary
from longtail_trainer.data.loading import empty_split, encode_frame, load_features, load_manifest, load_split
from longtail_trainer.data.prepare.identity import mixed
from longtail_trainer.data.prepare.statistics import numeric_statistics
from longtail_trainer.running.errors import DataInvalid
from tests.trainer.prepared_data import FEATURES, SCHEMA, samples, statistics_of, write_scenario


@pytest.fixture
def store(tmp_path):
    return open_store(StoreAddress(uri=f"file://{tmp_path}/store"))


def test_a_vocabulary_holds_the_most_frequent_values_and_neither_rare_ones_nor_nulls():
    statistics = CategoricalStatistics(counts={"b": 9, "a": 9, "c": 30, "rare": 4, "": 50})
    assert vocabulary(statistics) == ["c", "a", "b"]
    assert vocabulary(statistics, largest=2) == ["c", "a"]


def test_a_number_is_clipped_at_the_outer_quantiles_and_centered_at_the_median():
    encoding = numeric_encoding(NumericStatistics(sample=[float(value) for value in range(1001)]))
    assert (encoding.low, encoding.center, encoding.high) == (1, 500, 999)
    assert encoding.scale == pytest.approx(500 / 1.349)


def test_a_long_tail_is_kept_and_reaches_no_input_beyond_32():
    values = pl.Series(np.random.default_rng(0).pareto(0.7, 200_000), dtype=pl.Float32)
    keys = mixed(np.arange(len(values), dtype=np.uint64), 1)
    encoding = numeric_encoding(numeric_statistics(values, keys))
    assert (values > encoding.high).mean() < 0.002
    assert (values > encoding.low).mean() > 0.998
    assert encode_numeric(values, encoding)[0].max() < 32


def test_the_scale_of_a_rare_amount_is_that_of_all_rows():
    """Of 1,500 rows one buys: a sample may well hold none of them."""
    spent = pl.Series([0.0] * 149_900 + [5_000.0] * 100, dtype=pl.Float32)
    encoding = label_encoding(numeric_statistics(spent, mixed(np.arange(len(spent), dtype=np.uint64), 1)))
    assert encoding.center == pytest.approx(spent.mean())
    assert encoding.scale == pytest.approx(spent.std(ddof=0))
    assert encoding.high == 5_000


def test_values_that_no_vocabulary_holds_are_told(caplog, monkeypatch):
    monkeypatch.setattr(fitting, "LARGEST_VOCABULARY", 2)
    counts = CategoricalStatistics(halvings=2, counts={"top": [9], "side": [8], "rare": [1]})
    fit_features(SCHEMA, Statistics(categorical={"context.slot": counts}))
    assert "context.slot has too many values to count: a share of 0.25 of the rows" in caplog.text
    assert "context.slot: the vocabulary holds the 2 most frequent values" in caplog.text


def test_a_number_that_is_mostly_zero_is_scaled_by_its_standard_deviation():
    values = [0.0] * 900 + [10.0] * 100
    assert numeric_encoding(NumericStatistics(sample=values)).scale == pytest.approx(np.std(values))


@pytest.mark.parametrize("values", [[], [7.0] * 20])
def test_a_number_without_spread_still_has_a_positive_scale(values):
    assert numeric_encoding(NumericStatistics(sample=values)).scale == 1


def test_a_column_without_a_value_in_the_pool_still_has_an_encoding():
    features = fit_features(SCHEMA, Statistics())
    assert features.vocabularies["profile.city"] == []
    assert features.numeric["profile.age"].scale == 1
    encoded = encode_frame(samples(5), features)
    assert encoded.categorical.eq(0).all()
    assert torch.isfinite(encoded.numeric).all()


def test_unknown_null_and_empty_categories_are_index_zero():
    values = pl.Series(["x", None, "", "never seen", "y"])
    assert encode_categorical(values, ["y", "x"]).tolist() == [2, 0, 0, 0, 1]


def test_a_number_is_clipped_and_normalized_in_float32_and_a_null_is_zero_beside_its_indicator():
    encoding = NumericEncoding(low=0, high=10, center=4, scale=2)
    value, missing = encode_numeric(pl.Series([4.0, 99.0, -5.0, None, float("nan"), float("inf")]), encoding)
    assert value.dtype == np.float32
    assert value.tolist() == [0, 3, -2, 0, 0, 3]
    assert missing.tolist() == [0, 0, 0, 1, 1, 0]


def test_a_regression_label_is_standardized_and_never_clipped():
    value, observed = encode_label(pl.Series([5.0, None, 99.0]), NumericEncoding(low=0, high=9, center=2, scale=3))
    assert value.tolist() == pytest.approx([1, 0, 97 / 3])
    assert observed.tolist() == [True, False, True]


def test_every_sample_of_a_batch_holds_its_own_values_and_events():
    frame = samples(50)
    encoded = encode_frame(frame, FEATURES)
    picked = [7, 3, 31, 12]
    batch = encoded.select(torch.tensor(picked))
    for position, row in enumerate(picked):
        prices = frame["behaviors.items.price"][row].to_list()
        kinds = frame["behaviors.items.kind"][row].to_list()
        events = batch.sequences["items"]
        assert events.mask[position].sum() == len(prices)
        expected = [0.0 if price is None else (min(max(price, -3), 3) - 0.5) / 2 for price in prices]
        assert events.numeric[position, : len(prices), 0].tolist() == pytest.approx(expected, rel=1e-5)
        assert events.numeric[position, : len(prices), 1].tolist() == [float(price is None) for price in prices]
        assert events.categorical[position, : len(kinds), 0].tolist() == [
            0 if kind is None else 1 + ["a", "b"].index(kind) for kind in kinds
        ]
        assert events.numeric[position, len(prices) :].eq(0).all()
        assert batch.weight[position].item() == pytest.approx(frame["weight"][row])
        assert bool(batch.observed[position, 0]) == (frame["bought"][row] is not None)


def test_samples_without_any_event_still_make_a_batch_of_length_one():
    frame = samples(60).filter(pl.col("behaviors.items:length") == 0)
    batch = encode_frame(frame, FEATURES).select(torch.arange(len(frame)))
    assert batch.sequences["items"].mask.shape == (len(frame), 1)
    assert not batch.sequences["items"].mask.any()


def test_lists_that_contradict_their_lengths_are_refused():
    frame = samples(10).with_columns(pl.col("behaviors.items:length") + 1)
    with pytest.raises(DataInvalid, match=r"behaviors\.items: .* prepare the data again"):
        encode_frame(frame, FEATURES)


def test_a_label_counts_only_where_its_condition_holds():
    schema = SCHEMA.model_copy(deep=True)
    schema.labels[1].observed_when = "bought"
    frame = samples(80)
    encoded = encode_frame(frame, FEATURES.model_copy(update={"data_schema": schema}))
    expected = (frame["bought"].eq(1).fill_null(False) & frame["spent"].is_not_null()).to_list()
    assert encoded.observed[:, 1].tolist() == expected


def test_minibatches_hold_every_sample_once_and_the_same_seed_gives_the_same_order():
    encoded = encode_frame(samples(53), FEATURES)

    def shuffled(seed):
        return torch.cat([one.weight for one in batches(encoded, 10, torch.Generator().manual_seed(seed))])

    assert torch.equal(shuffled(1), shuffled(1))
    assert not torch.equal(shuffled(1), shuffled(2))
    assert torch.equal(shuffled(1).sort().values, encoded.weight.sort().values)


def test_a_split_in_several_parts_is_read_as_one(store):
    manifest = load_manifest(store, write_scenario(store, "shop"))
    read = load_split(store, manifest, "support", FEATURES)
    whole = encode_frame(samples(120), FEATURES)
    assert len(read) == 120
    for name, sequence in whole.sequences.items():
        assert torch.equal(read.sequences[name].offsets, sequence.offsets)
        torch.testing.assert_close(read.sequences[name].numeric, sequence.numeric, rtol=0, atol=0, equal_nan=True)
    assert torch.equal(read.categorical, whole.categorical)
    assert torch.equal(read.labels, whole.labels)


def test_a_split_without_rows_is_empty_and_can_be_joined(store):
    manifest = load_manifest(store, write_scenario(store, "shop", {"query": 0}))
    empty = load_split(store, manifest, "query", FEATURES)
    assert len(empty) == 0
    assert len(empty_split(FEATURES)) == 0
    assert list(batches(empty, 8)) == []
    assert len(concatenate([empty, encode_frame(samples(3), FEATURES)])) == 3


def test_joined_samples_are_those_of_all_parts_bit_for_bit():
    parts = [encode_frame(samples(rows, seed=rows), FEATURES) for rows in (5, 40, 0, 17)]
    joined = concatenate(iter(parts))
    for field in ("categorical", "numeric", "labels", "observed", "weight"):
        expected = torch.cat([getattr(part, field) for part in parts])
        assert same_bits(getattr(joined, field), expected), field
    for name, sequence in joined.sequences.items():
        each = [part.sequences[name] for part in parts]
        assert same_bits(sequence.categorical, torch.cat([one.categorical for one in each]))
        assert same_bits(sequence.numeric, torch.cat([one.numeric for one in each]))
        assert same_bits(sequence.offsets, offsets_of(torch.cat([one.offsets.diff() for one in each])))


def test_joining_keeps_the_parts_as_they_are():
    part = encode_frame(samples(5), FEATURES)
    joined = concatenate([part])
    joined.weight.zero_()
    assert part.weight.all()


def same_bits(one, other):
    """Equal in type, shape and every byte: a null in a numeric event is NaN, which equals nothing."""
    return one.dtype == other.dtype and one.shape == other.shape and one.numpy().tobytes() == other.numpy().tobytes()


@pytest.mark.parametrize(("words", "kind"), [(127, torch.int8), (128, torch.int16), (32_768, torch.int32)])
def test_indices_take_the_smallest_type_that_holds_the_vocabulary(words, kind):
    vocabulary = [f"w{number}" for number in range(words)]
    features = FEATURES.model_copy(update={"vocabularies": {**FEATURES.vocabularies, "context.slot": vocabulary}})
    frame = samples(3).with_columns(pl.Series("context.slot", [vocabulary[-1], "unknown", vocabulary[0]]))
    encoded = encode_frame(frame, features)
    assert encoded.categorical.dtype == empty_split(features).categorical.dtype == kind
    assert encoded.categorical[:, 0].tolist() == [words, 0, 1]
    assert encoded.select(torch.arange(3)).categorical.dtype == torch.int64


def test_a_damaged_part_is_named(store, tmp_path):
    manifest = load_manifest(store, write_scenario(store, "shop"))
    (tmp_path / "store" / manifest.parts[0].key).write_bytes(b"not what it was")
    with pytest.raises(DataInvalid, match=r"part-support-00000\.parquet: doesn't match its hash; prepare"):
        load_split(store, manifest, "support", FEATURES)


def test_features_are_read_by_the_hash_a_version_names(store, tmp_path):
    content = FEATURES.to_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    store.put_if_absent(features_key(sha256), content)
    assert load_features(store, sha256) == FEATURES
    (tmp_path / "store" / features_key(sha256)).write_bytes(content + b" ")
    with pytest.raises(DataInvalid, match="doesn't match its hash"):
        load_features(store, sha256)


def test_the_features_of_a_pool_follow_from_its_statistics():
    features = fit_features(SCHEMA, statistics_of(samples(400), SCHEMA))
    assert set(features.vocabularies["context.slot"]) == {"top", "side", "rare"}
    encoded = encode_frame(samples(400), features)
    assert abs(float(encoded.numeric[:, 0].median())) < 0.1
    assert 0.8 < float(encoded.numeric[:, 0].std()) < 1.2
    assert abs(float(encoded.labels[encoded.observed[:, 1], 1].mean())) < 1e-5


def test_bins_are_cut_at_quantiles_in_normalized_units_and_never_too_narrow():
    even = numeric_encoding(NumericStatistics(sample=[float(value) for value in range(801)]))
    assert len(even.edges) == BINS + 1
    assert even.edges[0] == pytest.approx((even.low - even.center) / even.scale)
    assert even.edges[-1] == pytest.approx((even.high - even.center) / even.scale)
    mostly_zero = numeric_encoding(NumericStatistics(sample=[0.0] * 900 + [1e-9] * 50 + [10.0] * 50))
    assert len(mostly_zero.edges) == 2
    assert numeric_encoding(NumericStatistics(sample=[7.0] * 20)).edges == []
    assert numeric_encoding(NumericStatistics()).edges == []
