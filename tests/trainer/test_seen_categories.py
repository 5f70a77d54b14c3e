"""A light model knows the categories that its training rows have, in torch and in the exported graph."""

import numpy as np
import onnx
import polars as pl
import pytest
import torch

from longtail_api.store_objects import Features, Layer, LightArchitecture
from longtail_trainer.data.encoded import EncodedSplit
from longtail_trainer.data.loading import encode_frame
from longtail_trainer.data.seen_categories import SeenCategories
from longtail_trainer.export import check_parity, export, inputs_of
from longtail_trainer.export.runtime import feed_of, session
from longtail_trainer.models.alt_light.model import LightModel
from tests.trainer.prepared_data import FEATURES, samples

torch.set_num_threads(1)

KNOWN = [f"item {number}" for number in range(1000)]
SEEN = KNOWN[3:1000:50]
"""Every fiftieth: 20 values."""
WIDE = FEATURES.model_copy(
    update={
        "vocabularies": {
            "context.slot": [*KNOWN[:500], "top", "side"],
            "profile.city": ["Bern", "Rome"],
            "behaviors.items.kind": KNOWN,
        }
    }
)


def rows_of(kinds: list[str], count: int = 80) -> pl.DataFrame:
    """Prepared rows whose events are of these kinds, each of them at least once."""
    frame = samples(count)
    left = iter(range(10_000))
    events = [[kinds[next(left) % len(kinds)] for _ in row] for row in frame["behaviors.items.kind"].to_list()]
    return frame.with_columns(pl.Series("behaviors.items.kind", events, dtype=pl.List(pl.String)))


@pytest.fixture(scope="module")
def seen() -> SeenCategories:
    return SeenCategories.of(WIDE, encode_frame(rows_of(SEEN), WIDE))


def test_only_what_a_row_has_is_left_in_the_order_it_had(seen: SeenCategories):
    assert seen.features.vocabularies == {
        "context.slot": ["top", "side"],
        "profile.city": ["Bern", "Rome"],
        "behaviors.items.kind": SEEN,
    }
    assert (seen.features.data_schema, seen.features.numeric) == (WIDE.data_schema, WIDE.numeric)
    assert len(WIDE.vocabularies["behaviors.items.kind"]) == 1000


@pytest.mark.parametrize("kinds", [SEEN, KNOWN, ["never heard of"]], ids=["seen", "known", "unknown"])
def test_rows_are_as_if_the_smaller_features_had_encoded_them(seen: SeenCategories, kinds: list[str]):
    frame = rows_of(kinds, 200)
    assert_same(seen.encoded(encode_frame(frame, WIDE)), encode_frame(frame, seen.features))


def test_where_every_category_is_seen_nothing_changes():
    rows = encode_frame(rows_of(["a", "b"]), FEATURES)
    every = SeenCategories.of(FEATURES, rows)
    assert every.features == FEATURES
    assert_same(every.encoded(rows), rows)


def test_without_rows_every_category_is_unknown():
    nothing = SeenCategories.of(WIDE, encode_frame(rows_of(SEEN)[:0], WIDE))
    assert not any(nothing.features.vocabularies.values())


@pytest.mark.slow
def test_the_exported_model_holds_what_was_seen_and_takes_the_rest_for_unknown(seen: SeenCategories):
    architecture = LightArchitecture(width=4, layers=[Layer(input=0, operation="conv1")])
    model, content = exported(seen.features, architecture)
    whole = exported(WIDE, architecture)[1]
    encoder = next(
        node
        for node in onnx.load_from_string(content).graph.node
        if node.op_type == "LabelEncoder" and node.input[0] == "behaviors.items.kind"
    )
    keys = next(attribute.strings for attribute in encoder.attribute if attribute.name == "keys_strings")
    assert [key.decode() for key in keys] == [*SEEN, ""]
    assert b"item 999" not in content  # known to the pool, seen by none of the rows
    assert model.encoders()[0].embed.embeddings[0].weight.shape == (21, 4)
    assert len(whole) - len(content) > 980 * 4 * 4
    assert check_parity(model, content, 1e-4) < 1e-5

    runtime = session(content)
    known, unknown = (rows_of(kinds) for kinds in (sorted(set(KNOWN) - set(SEEN)), ["never heard of"]))
    for answer, other in zip(
        *(runtime.run(None, feed_of(each, inputs_of(model))) for each in (known, unknown)), strict=True
    ):
        np.testing.assert_array_equal(answer, other)


def exported(features: Features, architecture: LightArchitecture) -> tuple[LightModel, bytes]:
    torch.manual_seed(0)
    model = LightModel(features, architecture).eval()
    return model, export(model)


def assert_same(one: EncodedSplit, other: EncodedSplit) -> None:
    pairs = [(one.categorical, other.categorical), (one.numeric, other.numeric), (one.labels, other.labels)]
    pairs += [(one.sequences[name].categorical, other.sequences[name].categorical) for name in one.sequences]
    pairs += [(one.sequences[name].offsets, other.sequences[name].offsets) for name in one.sequences]
    for left, right in pairs:
        assert left.dtype == right.dtype
        assert torch.equal(left, right)
