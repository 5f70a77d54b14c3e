"""The data version that `prepare` leaves in the store."""

import hashlib
import json
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from longtail_api.data_schema import DataSchema
from longtail_api.run_config import PrepareConfig
from longtail_api.store_layout import requests_key, statistics_key
from longtail_api.store_objects import Manifest, RecordedRequest, Statistics
from longtail_store import open_store, read_object
from longtail_trainer.data.moments import mean_and_deviation
from longtail_trainer.data.prepare import parts as parts_module
from longtail_trainer.data.prepare import selection
from longtail_trainer.data.prepare import statistics as statistics_module
from longtail_trainer.data.tables import open_table
from longtail_trainer.methods import STEPS
from longtail_trainer.running.errors import ConfigInvalid, DataInvalid, Terminated
from longtail_trainer.running.step import carry_out
from tests.trainer.contexts import context_of
from tests.trainer.tiny import SCHEMA, START, prepare_config, write_tables, write_three_tables


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    write_tables(folder, rows=300)
    return folder


def prepare(config: PrepareConfig, workdir: Path) -> Manifest:
    result = carry_out(STEPS["prepare"].load(), config, context_of(config, workdir))
    return read_object(open_store(config.store), result.outputs["manifest"], Manifest)


def read_parts(config: PrepareConfig, manifest: Manifest, *splits: str) -> pl.DataFrame:
    store = open_store(config.store)
    return pl.concat([pl.read_parquet(store.get(part.key)) for part in manifest.parts if part.split in splits])


@pytest.fixture(scope="module")
def config(tables: Path, tmp_path_factory: pytest.TempPathFactory) -> PrepareConfig:
    return prepare_config(tables, tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def manifest(config: PrepareConfig, tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return prepare(config, tmp_path_factory.mktemp("work"))


ALL = ("support", "query", "validation", "test")


def test_a_part_has_the_documented_columns_and_types(config: PrepareConfig, manifest: Manifest):
    part = read_parts(config, manifest, "support")
    assert dict(part.schema) == {
        "entity": pl.String,
        "time": pl.Datetime("us", "UTC"),
        "weight": pl.Float32,
        "clicked": pl.Float32,
        "context.slot": pl.String,
        "context.position": pl.Float32,
        "profile.segment": pl.String,
        "profile.age": pl.Float32,
        "behaviors.visits.page": pl.List(pl.String),
        "behaviors.visits.seconds": pl.List(pl.Float32),
        "behaviors.visits:length": pl.Int32,
    }


def test_lists_of_one_sequence_are_equally_long_and_at_most_max_length(config: PrepareConfig, manifest: Manifest):
    rows = read_parts(config, manifest, *ALL)
    length = rows["behaviors.visits:length"]
    assert (rows["behaviors.visits.page"].list.len() == length).all()
    assert (rows["behaviors.visits.seconds"].list.len() == length).all()
    assert length.max() == SCHEMA.behaviors[0].max_length


def test_every_sample_is_in_exactly_one_part(tables: Path, config: PrepareConfig, manifest: Manifest):
    samples = pl.read_parquet(tables / "samples.parquet").filter(scenario="s0")
    rows = read_parts(config, manifest, *ALL)
    columns = ["entity", "time", "context.slot"]
    assert (
        rows.select(columns).sort(columns).rows()
        == samples.select("entity", "time", "slot").sort("entity", "time", "slot").rows()
    )


def test_the_manifest_counts_what_the_parts_hold(config: PrepareConfig, manifest: Manifest):
    store = open_store(config.store)
    for part in manifest.parts:
        content = store.get(part.key)
        assert (len(content), hashlib.sha256(content).hexdigest()) == (part.bytes, part.sha256)
        assert pl.read_parquet(content).height == part.rows
    for split in ALL:
        rows = read_parts(config, manifest, split)
        assert manifest.rows[split] == rows.height
        assert manifest.positives[split]["clicked"] == int(rows["clicked"].sum())
    everything = read_parts(config, manifest, *ALL)
    assert (manifest.first_time, manifest.last_time) == (everything["time"].min(), everything["time"].max())


def test_rows_are_shuffled_the_same_way_every_time(tables: Path, config: PrepareConfig, manifest: Manifest, tmp_path):
    rows = read_parts(config, manifest, "support")
    assert not rows["time"].is_sorted()
    again = prepare_config(tables, tmp_path / "store")
    assert prepare(again, tmp_path / "work") == manifest


def test_statistics_are_of_training_rows_only(config: PrepareConfig, manifest: Manifest):
    store = open_store(config.store)
    content = store.get(statistics_key(manifest.scenario, manifest.version))
    assert hashlib.sha256(content).hexdigest() == manifest.statistics_sha256
    statistics = read_object(store, statistics_key(manifest.scenario, manifest.version), Statistics)
    training = read_parts(config, manifest, "support", "query")
    assert statistics.rows == training.height
    counts = training["context.slot"].value_counts()
    assert statistics.categorical["context.slot"].estimates() == dict(counts.iter_rows())
    moments, clicked = statistics.labels["clicked"].moments, training["clicked"].drop_nulls()
    assert moments is not None
    assert mean_and_deviation(moments, len(clicked))[0] == pytest.approx(clicked.mean())
    assert statistics.numeric["profile.age"].maximum == training["profile.age"].max()
    events = training["behaviors.visits.seconds"].explode(empty_as_null=False)
    assert statistics.numeric["behaviors.visits.seconds"].count == len(events)


def test_statistics_do_not_depend_on_rows_that_are_not_trained_on(tables: Path, tmp_path: Path):
    schema = SCHEMA.model_copy(update={"split": SCHEMA.split.model_copy(update={"method": "column"})})
    samples = pl.read_parquet(tables / "samples.parquet").with_columns(
        split=pl.when(pl.int_range(pl.len()) % 3 == 0).then(pl.lit("test")).otherwise(pl.lit("train"))
    )
    profile = pl.read_parquet(tables / "profile.parquet")
    visits = {"visits": pl.read_parquet(tables / "behaviors" / "visits.parquet")}
    found = []
    for name, position in (("a", 1.0), ("b", 1e6)):
        test_rows = pl.when(pl.col("split") == "test").then(position).otherwise(pl.col("position")).alias("position")
        write_three_tables(tmp_path / name, samples.with_columns(test_rows), profile, visits)
        config = prepare_config(tmp_path / name, tmp_path / name / "store", schema)
        found.append(prepare(config, tmp_path / name / "work").statistics_sha256)
    assert found[0] == found[1]


def test_requests_are_the_test_rows_by_which_nothing_is_chosen(config: PrepareConfig, manifest: Manifest):
    content = open_store(config.store).get(requests_key(manifest.scenario, manifest.version))
    requests = [RecordedRequest.model_validate_json(line) for line in content.splitlines()]
    rows = read_parts(config, manifest, "test").to_dicts()
    assert len(requests) == len(rows) > 0
    for request, row in zip(requests, rows, strict=True):
        tensors = {tensor.name: tensor for tensor in request.inputs}
        length = row["behaviors.visits:length"]
        assert (tensors["context.slot"].datatype, tensors["context.slot"].shape) == ("BYTES", [1])
        assert tensors["profile.age"].data == [row["profile.age"]]
        assert tensors["behaviors.visits.page"].shape == [1, length]
        assert tensors["behaviors.visits.page"].data == row["behaviors.visits.page"]
        assert tensors["behaviors.visits:length"].data == [length]
        assert request.labels == {"clicked": row["clicked"]}


def test_rows_that_choose_epochs_are_asked_without_their_labels_where_there_is_no_test_row(
    tables: Path, tmp_path: Path
):
    schema = SCHEMA.model_copy(update={"split": SCHEMA.split.model_copy(update={"method": "column"})})
    third = pl.int_range(pl.len()) % 3 == 0
    samples = pl.read_parquet(tables / "samples.parquet").with_columns(
        split=pl.when(third).then(pl.lit("validation")).otherwise(pl.lit("train"))
    )
    visits = {"visits": pl.read_parquet(tables / "behaviors" / "visits.parquet")}
    write_three_tables(tmp_path, samples, pl.read_parquet(tables / "profile.parquet"), visits)
    config = prepare_config(tmp_path, tmp_path / "store", schema)
    manifest = prepare(config, tmp_path / "work")
    content = open_store(config.store).get(requests_key(manifest.scenario, manifest.version))
    requests = [RecordedRequest.model_validate_json(line) for line in content.splitlines()]
    assert len(requests) == manifest.rows["validation"] > 0
    assert {tuple(request.labels) for request in requests} == {()}


def test_nulls_are_empty_strings_and_nulls_in_requests(tables: Path, tmp_path: Path):
    samples = pl.read_parquet(tables / "samples.parquet").with_columns(
        slot=pl.lit(None, pl.String), position=pl.lit(float("nan")), entity=pl.lit("unknown ") + pl.col("entity")
    )
    visits = {"visits": pl.read_parquet(tables / "behaviors" / "visits.parquet")}
    write_three_tables(tmp_path, samples, pl.read_parquet(tables / "profile.parquet"), visits)
    config = prepare_config(tmp_path, tmp_path / "store", max_requests=3)
    manifest = prepare(config, tmp_path / "work")
    lines = open_store(config.store).get(requests_key(manifest.scenario, manifest.version)).splitlines()
    assert len(lines) == 3
    tensors = {tensor["name"]: tensor for tensor in json.loads(lines[0])["inputs"]}
    assert tensors["context.slot"]["data"] == tensors["profile.segment"]["data"] == [""]
    assert tensors["context.position"]["data"] == tensors["profile.age"]["data"] == [None]
    assert tensors["behaviors.visits.page"] == {
        "name": "behaviors.visits.page",
        "shape": [1, 0],
        "datatype": "BYTES",
        "data": [],
    }


def test_one_class_in_the_test_rows_only_is_no_error(tables: Path, tmp_path: Path):
    schema = SCHEMA.model_copy(update={"split": SCHEMA.split.model_copy(update={"method": "column"})})
    samples = pl.read_parquet(tables / "samples.parquet").with_columns(
        split=pl.when(pl.col("clicked") == 1)
        .then(pl.lit("train"))
        .otherwise(pl.when(pl.int_range(pl.len()) % 2 == 0).then(pl.lit("test")).otherwise(pl.lit("train")))
    )
    visits = {"visits": pl.read_parquet(tables / "behaviors" / "visits.parquet")}
    write_three_tables(tmp_path, samples, pl.read_parquet(tables / "profile.parquet"), visits)
    manifest = prepare(prepare_config(tmp_path, tmp_path / "store", schema), tmp_path / "work")
    assert manifest.rows["test"] > 0
    assert manifest.positives["test"]["clicked"] == 0


def test_one_class_in_the_training_rows_is_told_and_no_error(tables: Path, tmp_path: Path, caplog):
    samples = pl.read_parquet(tables / "samples.parquet").with_columns(clicked=pl.lit(1))
    visits = {"visits": pl.read_parquet(tables / "behaviors" / "visits.parquet")}
    write_three_tables(tmp_path, samples, pl.read_parquet(tables / "profile.parquet"), visits)
    config = prepare_config(tmp_path, tmp_path / "store")
    result = carry_out(STEPS["prepare"].load(), config, context_of(config, tmp_path / "work"))
    assert result.outputs["oneClass"] == ["clicked"]
    assert "column 'clicked' has one class only (1," in caplog.text


def test_labels_that_no_training_row_observes_are_told_and_no_error(tables: Path, tmp_path: Path, caplog):
    samples = pl.read_parquet(tables / "samples.parquet").with_columns(clicked=pl.lit(None, pl.Int64))
    visits = {"visits": pl.read_parquet(tables / "behaviors" / "visits.parquet")}
    write_three_tables(tmp_path, samples, pl.read_parquet(tables / "profile.parquet"), visits)
    config = prepare_config(tmp_path, tmp_path / "store")
    result = carry_out(STEPS["prepare"].load(), config, context_of(config, tmp_path / "work"))
    assert (result.outputs["unobserved"], result.outputs["oneClass"]) == (["clicked"], [])
    assert "column 'clicked' is null in the" in caplog.text


def test_a_scenario_of_test_rows_alone_is_prepared(tables: Path, tmp_path: Path, caplog):
    schema = SCHEMA.model_copy(update={"split": SCHEMA.split.model_copy(update={"method": "column"})})
    samples = pl.read_parquet(tables / "samples.parquet").with_columns(split=pl.lit("test"))
    visits = {"visits": pl.read_parquet(tables / "behaviors" / "visits.parquet")}
    write_three_tables(tmp_path, samples, pl.read_parquet(tables / "profile.parquet"), visits)
    manifest = prepare(prepare_config(tmp_path, tmp_path / "store", schema), tmp_path / "work")
    assert manifest.rows == {"support": 0, "query": 0, "validation": 0, "test": samples.filter(scenario="s0").height}
    assert "is for training" in caplog.text


def test_entities_with_rows_for_training_and_for_test_are_counted(config: PrepareConfig, manifest: Manifest):
    training = set(read_parts(config, manifest, "support", "query")["entity"])
    shared = training & set(read_parts(config, manifest, "test")["entity"])
    assert manifest.shared_entities == len(shared) > 0


def test_columns_with_too_many_values_are_named_with_the_share_of_rows_that_was_counted(
    tables: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog
):
    monkeypatch.setattr(statistics_module, "CATEGORIES", 2)
    samples = pl.read_parquet(tables / "samples.parquet").with_columns(slot=pl.col("entity"))
    visits = {"visits": pl.read_parquet(tables / "behaviors" / "visits.parquet")}
    write_three_tables(tmp_path, samples, pl.read_parquet(tables / "profile.parquet"), visits)
    config = prepare_config(tmp_path, tmp_path / "store")
    result = carry_out(STEPS["prepare"].load(), config, context_of(config, tmp_path / "work"))
    assert result.outputs["sampledColumns"]["context.slot"] <= 1 / 32
    assert "context.slot: too many values" in caplog.text
    assert "profile.segment" not in result.outputs["sampledColumns"]


def test_a_further_label_that_a_scenario_does_not_know_is_no_error(tables: Path, tmp_path: Path, caplog):
    schema = DataSchema.model_validate(
        {**SCHEMA.to_json_dict(), "labels": [{"name": "clicked"}, {"name": "bought", "observedWhen": "clicked"}]}
    )
    samples = pl.read_parquet(tables / "samples.parquet").with_columns(bought=pl.lit(0))
    visits = {"visits": pl.read_parquet(tables / "behaviors" / "visits.parquet")}
    write_three_tables(tmp_path, samples, pl.read_parquet(tables / "profile.parquet"), visits)
    config = prepare_config(tmp_path, tmp_path / "store", schema)
    manifest = prepare(config, tmp_path / "work")
    assert "column 'bought' has one class only" in caplog.text
    rows = read_parts(config, manifest, *ALL)
    assert (rows["bought"].is_null() == (rows["clicked"] != 1)).all()


@pytest.mark.parametrize("layout", ["scenario", "scenario and day", "day and scenario"])
def test_hive_partitions_give_what_one_file_gives(
    tables: Path, config: PrepareConfig, manifest: Manifest, tmp_path: Path, layout: str
):
    keys = {"scenario": ["scenario"], "scenario and day": ["scenario", "day"], "day and scenario": ["day", "scenario"]}
    samples = pl.read_parquet(tables / "samples.parquet").with_columns(day=pl.lit("2024-01-01"))
    target = pl.PartitionBy(tmp_path / "samples", key=keys[layout], include_key=False)
    samples.lazy().sink_parquet(target, mkdir=True)
    (tmp_path / "samples" / "_SUCCESS").touch()
    changed = prepare_config(tables, tmp_path / "store", samples=(tmp_path / "samples").as_uri())
    assert prepare(changed, tmp_path / "work").parts == manifest.parts


def test_partitions_of_other_scenarios_are_not_even_opened(tables: Path, tmp_path: Path):
    samples = pl.read_parquet(tables / "samples.parquet")
    target = pl.PartitionBy(tmp_path / "samples", key="scenario", include_key=False)
    samples.lazy().sink_parquet(target, mkdir=True)
    for other in ("s1", "s2"):
        for file in (tmp_path / "samples" / f"scenario={other}").iterdir():
            file.write_bytes(b"no Parquet")
    config = prepare_config(tables, tmp_path / "store", samples=(tmp_path / "samples").as_uri())
    assert sum(prepare(config, tmp_path / "work").rows.values()) == 300


def test_a_partition_named_like_a_number_stays_a_string(tables: Path, tmp_path: Path):
    folder = tmp_path / "samples" / "scenario=007"
    folder.mkdir(parents=True)
    pl.read_parquet(tables / "samples.parquet").filter(scenario="s0").drop("scenario").write_parquet(
        folder / "a.parquet"
    )
    config = prepare_config(tables, tmp_path / "store", source_key="007", samples=(tmp_path / "samples").as_uri())
    assert prepare(config, tmp_path / "work").source_key == "007"


def test_many_buckets_and_parts_hold_the_same_rows(
    tables: Path, config: PrepareConfig, manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(selection, "BUCKET_ROWS", 100)
    monkeypatch.setattr(parts_module, "PART_ROWS", 20)
    small = prepare_config(tables, tmp_path / "store")
    divided = prepare(small, tmp_path / "work")
    assert len(divided.parts) > 3 * len(manifest.parts)
    assert divided.statistics_sha256 == manifest.statistics_sha256
    for split in ALL:
        # Read part after part, the order is that of the undivided split: a part is a range of the shuffled whole.
        assert read_parts(small, divided, split).equals(read_parts(config, manifest, split))


def test_a_finished_version_is_not_prepared_again(config: PrepareConfig, manifest: Manifest, tmp_path: Path):
    gone = config.model_copy(update={"run": 2, "identity": "prepare-2", "samples": (tmp_path / "gone").as_uri()})
    assert prepare(gone, tmp_path / "work") == manifest


def test_a_finished_version_of_another_schema_is_refused(config: PrepareConfig, manifest: Manifest, tmp_path: Path):
    other = config.model_copy(update={"run": 3, "identity": "prepare-3", "source_key": "s1"})
    with pytest.raises(ConfigInvalid, match="versions never change") as raised:
        prepare(other, tmp_path / "work")
    assert raised.value.reason == "DataVersionConflict"
    assert manifest.source_key == "s0"


def test_sigterm_stops_before_anything_is_stored(tables: Path, tmp_path: Path):
    config = prepare_config(tables, tmp_path / "store")
    context = context_of(config, tmp_path / "work")
    context.stop.request()
    with pytest.raises(Terminated):
        carry_out(STEPS["prepare"].load(), config, context)
    assert list(context.store.list("data/")) == []


def test_events_of_other_entities_are_left_where_they_are(tables: Path, tmp_path: Path):
    """The rows that travel are those of the scenario's entities, however many others the table has."""
    config = prepare_config(tables, tmp_path / "store")
    table = open_table("behaviors/visits", config.behaviors["visits"], config.store)
    entities = pl.Series(["user-1"]).hash().to_numpy()
    found = selection.select_dated(table, SCHEMA, entities, START + timedelta(days=40), tmp_path).selected
    expected = pl.read_parquet(tables / "behaviors" / "visits.parquet").filter(entity="user-1").height
    assert found.rows == expected > 0
    assert set(found.scan().collect()["entity"]) == {"user-1"}


def test_tables_that_changed_under_an_unfinished_version_are_not_mixed(tables: Path, tmp_path: Path):
    config = prepare_config(tables, tmp_path / "store")
    manifest = prepare(config, tmp_path / "work")
    store = open_store(config.store)
    store.delete(f"data/{config.owner}/v1/manifest.json")
    other = prepare_config(tables, tmp_path / "store", source_key="s1", owner=config.owner, run=2)
    with pytest.raises(DataInvalid, match="changed while an earlier attempt") as raised:
        prepare(other, tmp_path / "work 2")
    assert raised.value.reason == "DataChanged"
    assert manifest.parts


def test_types_that_mean_the_same_give_the_same_rows(
    tables: Path, config: PrepareConfig, manifest: Manifest, tmp_path: Path
):
    samples = pl.read_parquet(tables / "samples.parquet").with_columns(
        pl.col("time").dt.convert_time_zone("Asia/Tokyo").dt.cast_time_unit("ns"),
        pl.col("scenario", "entity", "slot").cast(pl.Categorical),
        pl.col("clicked").cast(pl.Boolean),
        pl.col("position").cast(pl.Decimal(10, 2)),
    )
    profile = pl.read_parquet(tables / "profile.parquet").with_columns(
        pl.col("time").dt.cast_time_unit("ms"), pl.col("age").cast(pl.UInt8)
    )
    visits = {"visits": pl.read_parquet(tables / "behaviors" / "visits.parquet").with_columns(extra=pl.lit(1))}
    write_three_tables(tmp_path, samples, profile, visits)
    assert prepare(prepare_config(tmp_path, tmp_path / "store"), tmp_path / "work").parts == manifest.parts


def test_whole_numbers_are_categories_by_their_digits(tables: Path, tmp_path: Path):
    samples = pl.read_parquet(tables / "samples.parquet").with_columns(slot=pl.int_range(pl.len()) % 3)
    visits = {"visits": pl.read_parquet(tables / "behaviors" / "visits.parquet")}
    write_three_tables(tmp_path, samples, pl.read_parquet(tables / "profile.parquet"), visits)
    config = prepare_config(tmp_path, tmp_path / "store")
    rows = read_parts(config, prepare(config, tmp_path / "work"), *ALL)
    assert set(rows["context.slot"]) == {"0", "1", "2"}
