"""Columns may be called by any word, those that we use for columns of our own among them."""

from pathlib import Path

import polars as pl
import pytest
import torch

from longtail_api.data_schema import BehaviorSequence, DataSchema, FeatureColumns, LabelColumn, length_column
from longtail_api.store_objects import Features, Layer, LightArchitecture, Manifest, NumericEncoding, RecordedRequest
from longtail_store import open_store, read_object
from longtail_trainer.data.prepare import selection
from longtail_trainer.export import check_parity, export, inputs_of, outputs_of
from longtail_trainer.methods import STEPS
from longtail_trainer.models.alt_light.model import LightModel
from longtail_trainer.running.step import carry_out
from tests.trainer.contexts import context_of
from tests.trainer.tiny import SCHEMA, prepare_config, write_tables

LABELS = ("row", "part", "shuffle", "bucket", "zero", "integers_1", "scalar_1", "sample", "length")
NUMBERS = ("hash", "rows", "zeros", "value", "numeric", "mask")
WORDS = DataSchema(
    labels=[LabelColumn(name=name) for name in LABELS],
    context=FeatureColumns(categorical=["slot"], numeric=list(NUMBERS)),
    profile=FeatureColumns(categorical=["segment"], numeric=["age"]),
    behaviors=[BehaviorSequence(name="visits", categorical=["length"], numeric=["events"], max_length=8)],
)


def prepared(folder: Path, schema: DataSchema) -> tuple[pl.DataFrame, list[RecordedRequest]]:
    """All prepared rows of `s0`, and the requests made of its test rows."""
    config = prepare_config(folder / "tables", folder / "store", schema)
    result = carry_out(STEPS["prepare"].load(), config, context_of(config, folder))
    store = open_store(config.store)
    manifest = read_object(store, result.outputs["manifest"], Manifest)
    rows = pl.concat([pl.read_parquet(store.get(part.key)) for part in manifest.parts])
    requests = next(one.key for one in store.list("") if one.key.endswith("requests.jsonl"))
    return rows, [RecordedRequest.model_validate_json(line) for line in store.get(requests).splitlines()]


@pytest.mark.parametrize("rows_of_a_bucket", [selection.BUCKET_ROWS, 50])
def test_prepared_rows_hold_what_the_tables_do_whatever_the_columns_are_called(tmp_path, monkeypatch, rows_of_a_bucket):
    monkeypatch.setattr(selection, "BUCKET_ROWS", rows_of_a_bucket)
    for name in ("plain", "words"):
        write_tables(tmp_path / name / "tables", scenarios=1, rows=80)
    tables = tmp_path / "words" / "tables"
    samples = pl.read_parquet(tables / "samples.parquet")
    samples = samples.with_columns(
        *(pl.col("clicked").alias(label) for label in LABELS), *(pl.col("position").alias(name) for name in NUMBERS)
    )
    samples.write_parquet(tables / "samples.parquet")
    visits = tables / "behaviors" / "visits.parquet"
    pl.read_parquet(visits).rename({"page": "length", "seconds": "events"}).write_parquet(visits)

    plain, plain_requests = prepared(tmp_path / "plain", SCHEMA)
    words, words_requests = prepared(tmp_path / "words", WORDS)

    for label in LABELS:
        assert words[label].equals(plain["clicked"])
    for number in NUMBERS:
        assert words[f"context.{number}"].equals(plain["context.position"])
    assert words["behaviors.visits.length"].equals(plain["behaviors.visits.page"])
    assert words["behaviors.visits.events"].equals(plain["behaviors.visits.seconds"])
    assert words[length_column("visits")].equals(plain[length_column("visits")])
    for words_request, plain_request in zip(words_requests, plain_requests, strict=True):
        data = {tensor.name: tensor.data for tensor in words_request.inputs}
        expected = {tensor.name: tensor.data for tensor in plain_request.inputs}
        assert data["behaviors.visits.length"] == expected["behaviors.visits.page"]
        assert data[length_column("visits")] == expected[length_column("visits")]


@pytest.mark.slow
def test_an_exported_model_answers_as_the_trained_one_whatever_the_columns_are_called():
    encoding = NumericEncoding(low=-3, high=3, center=0.5, scale=2, edges=[-1.5, -0.6, 0.0, 1.0])
    numbers = [*(f"context.{name}" for name in NUMBERS), "profile.age", "behaviors.visits.events"]
    features = Features(
        data_schema=WORDS,
        vocabularies={
            "context.slot": ["top", "side"],
            "profile.segment": ["keen"],
            "behaviors.visits.length": ["shop", "news"],
        },
        numeric=dict.fromkeys(numbers, encoding),
        labels={},
    )
    torch.manual_seed(0)
    model = LightModel(features, LightArchitecture(width=4, layers=[Layer(input=0, operation="conv3")]), ()).eval()
    assert check_parity(model, export(model), 1e-4) < 1e-5
    assert {"behaviors.visits.length", "behaviors.visits:length"} <= {spec.name for spec in inputs_of(model)}
    assert tuple(spec.name for spec in outputs_of(model)) == LABELS
