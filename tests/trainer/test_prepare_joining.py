"""Point in time: every sample gets what a plain reading of the tables gives it, and nothing from its own future."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from longtail_api.data_schema import DataSchema
from longtail_trainer.data.prepare import parts as parts_module
from longtail_trainer.data.prepare import selection
from longtail_trainer.data.prepare.columns import ROW
from longtail_trainer.data.prepare.data_version import make_data_version
from longtail_trainer.data.prepare.joined import joined_rows
from tests.trainer.contexts import context_of
from tests.trainer.tiny import START, prepare_config, write_three_tables

MAX_LENGTH = 3
SCHEMA = DataSchema.model_validate(
    {
        "labels": [{"name": "y", "type": "regression"}],
        "context": {"numeric": ["number"]},
        "profile": {"categorical": ["kind"], "numeric": ["valid_from"]},
        "behaviors": [
            {"name": "clicks", "categorical": ["page"], "numeric": ["at"], "maxLength": MAX_LENGTH},
            {"name": "orders", "numeric": ["at"], "maxLength": 1},
        ],
        "split": {"method": "column"},
    }
)
LATEST = 6
entities = st.sampled_from(["a", "b", "c", "Ä b/c"])
seconds = st.integers(0, LATEST)
pages = st.sampled_from(["x", "y", None])
moments = st.tuples(entities, seconds)


def at(second: int) -> Any:
    return START + timedelta(seconds=second)


def tables(
    samples: Sequence[tuple[str, int]],
    profile: Sequence[tuple[tuple[str, int], str | None]],
    clicks: Sequence[tuple[tuple[str, int], str | None]],
    orders: Sequence[tuple[str, int]],
    timed: bool,
) -> dict[str, pl.DataFrame]:
    """Tables whose numeric features say when their row was: what a sample got tells what it could see."""
    time = pl.Datetime("us", "UTC")
    valid = {moment if timed else (moment[0], 0): kind for moment, kind in profile}  # one row for each moment
    kept = valid if timed else {(entity, 0): kind for (entity, _), kind in valid.items()}
    frames = {
        "samples": pl.DataFrame(
            {
                "scenario": ["s0"] * len(samples),
                "entity": [entity for entity, _ in samples],
                "time": [at(second) for _, second in samples],
                "y": [float(number) for number in range(len(samples))],
                "number": [float(number) for number in range(len(samples))],
                "split": [("train", "train", "validation", "test")[number % 4] for number in range(len(samples))],
            },
            schema_overrides={"time": time},
        ),
        "profile": pl.DataFrame(
            {
                "entity": [entity for entity, _ in kept],
                "time": [at(second) for _, second in kept],
                "kind": list(kept.values()),
                "valid_from": [float(second) for _, second in kept],
            },
            schema={"entity": pl.String, "time": time, "kind": pl.String, "valid_from": pl.Float64},
        ),
        "clicks": pl.DataFrame(
            {
                "entity": [entity for (entity, _), _ in clicks],
                "time": [at(second) for (_, second), _ in clicks],
                "page": [page for _, page in clicks],
                "at": [float(second) for (_, second), _ in clicks],
            },
            schema={"entity": pl.String, "time": time, "page": pl.String, "at": pl.Float64},
        ),
        "orders": pl.DataFrame(
            {
                "entity": [entity for entity, _ in orders],
                "time": [at(second) for _, second in orders],
                "at": [float(second) for _, second in orders],
            },
            schema={"entity": pl.String, "time": time, "at": pl.Float64},
        ),
    }
    return frames if timed else {**frames, "profile": frames["profile"].drop("time")}


def prepared(folder: Path, frames: dict[str, pl.DataFrame]) -> list[dict[str, Any]]:
    """All rows that `prepare` makes of the tables, in the order of the samples."""
    write_three_tables(
        folder / "tables", frames["samples"], frames["profile"], {name: frames[name] for name in ("clicks", "orders")}
    )
    config = prepare_config(folder / "tables", folder / "store", SCHEMA)
    make_data_version(config, context_of(config, folder / "work"), now=at(LATEST))
    files = sorted((folder / "store" / "data").rglob("part-*.parquet"))
    return pl.concat([pl.read_parquet(file) for file in files]).sort("context.number").to_dicts()


def joined(frames: dict[str, pl.DataFrame], rows_at_once: int = 5) -> list[dict[str, Any]]:
    """The same rows by the join alone, in memory."""
    names = {
        "samples": {"number": "context.number"},
        "profile": {"kind": "profile.kind", "valid_from": "profile.valid_from"},
        "clicks": {"page": "behaviors.clicks.page", "at": "behaviors.clicks.at"},
        "orders": {"at": "behaviors.orders.at"},
    }
    typed = {name: frames[name].rename(names[name]).with_row_index(ROW) for name in names}
    samples = typed["samples"].drop("scenario", "split").with_columns(weight=pl.lit(1.0))
    bucket = selection.Bucket(samples, typed["profile"], {name: typed[name] for name in ("clicks", "orders")})
    return pl.concat(joined_rows(bucket, SCHEMA, rows_at_once)).drop(ROW).to_dicts()


def reference(frames: dict[str, pl.DataFrame]) -> list[dict[str, Any]]:
    """The same rows by the plainest reading of the rules: one sample after the other, one row after the other."""
    rows: list[dict[str, Any]] = []
    for sample in frames["samples"].to_dicts():
        profile: dict[str, Any] = {"kind": None, "valid_from": None}
        latest = None
        for row in frames["profile"].to_dicts():
            time = row.get("time", START)
            if row["entity"] == sample["entity"] and time <= sample["time"] and (latest is None or time > latest):
                latest, profile = time, row
        seen = {
            name: sorted(
                (
                    row
                    for row in frames[name].to_dicts()
                    if row["entity"] == sample["entity"] and row["time"] < sample["time"]
                ),
                key=lambda row: row["time"],  # sorted() leaves events of one instant in the table's order
            )[-length:]
            for name, length in (("clicks", MAX_LENGTH), ("orders", 1))
        }
        rows.append(
            {
                "entity": sample["entity"],
                "time": sample["time"],
                "weight": 1.0,
                "y": sample["y"],
                "context.number": sample["number"],
                "profile.kind": profile["kind"],
                "profile.valid_from": profile["valid_from"],
                "behaviors.clicks.page": [row["page"] for row in seen["clicks"]],
                "behaviors.clicks.at": [row["at"] for row in seen["clicks"]],
                "behaviors.clicks:length": len(seen["clicks"]),
                "behaviors.orders.at": [row["at"] for row in seen["orders"]],
                "behaviors.orders:length": len(seen["orders"]),
            }
        )
    return rows


random_tables = st.builds(
    tables,
    samples=st.lists(moments, min_size=8, max_size=16),
    profile=st.lists(st.tuples(moments, pages), max_size=8),
    clicks=st.lists(st.tuples(moments, pages), max_size=20),
    orders=st.lists(moments, max_size=6),
    timed=st.booleans(),
)
QUICK = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
WHOLE = settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""For the whole step, with its files; some tenths of a second each."""


def planted(frames: dict[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """The tables, grown by what no sample may see: for every entity, an event at its latest sample's very time and
    one just after it, and a profile row just after it. They come first, so that no order of rows hides them."""
    latest = frames["samples"].group_by("entity", maintain_order=True).agg(pl.col("time").max())
    later = latest.with_columns(pl.col("time") + timedelta(microseconds=1))
    both = pl.concat([latest, later])
    new = {
        "clicks": both.with_columns(page=pl.lit("PLANTED"), at=pl.lit(99.0)),
        "orders": both.with_columns(at=pl.lit(99.0)),
        "profile": later.with_columns(kind=pl.lit("PLANTED"), valid_from=pl.lit(99.0)),
    }
    if "time" not in frames["profile"].columns:
        del new["profile"]  # what holds for all time has no future
    return {name: pl.concat([new[name], frame]) if name in new else frame for name, frame in frames.items()}


@QUICK
@given(frames=random_tables)
def test_the_join_is_what_a_plain_reading_of_the_tables_gives(frames: dict[str, pl.DataFrame]):
    assert joined(frames) == reference(frames)


@QUICK
@given(frames=random_tables)
def test_the_join_finds_no_planted_future(frames: dict[str, pl.DataFrame]):
    assert joined(planted(frames)) == joined(frames)


@QUICK
@given(frames=random_tables)
def test_everything_a_sample_sees_is_older_than_it(frames: dict[str, pl.DataFrame]):
    for row in joined(frames):
        second = (row["time"] - START).total_seconds()
        events = row["behaviors.clicks.at"]
        assert all(event < second for event in events + row["behaviors.orders.at"])
        assert events == sorted(events)
        if "time" in frames["profile"].columns and row["profile.valid_from"] is not None:
            assert row["profile.valid_from"] <= second


@WHOLE
@given(frames=random_tables)
def test_the_whole_step_gives_the_same_rows(frames: dict[str, pl.DataFrame], tmp_path_factory: pytest.TempPathFactory):
    assert prepared(tmp_path_factory.mktemp("data"), frames) == reference(frames)


@WHOLE
@given(frames=random_tables)
def test_tables_too_large_for_one_bucket_or_part_give_the_same_rows(
    frames: dict[str, pl.DataFrame], tmp_path_factory: pytest.TempPathFactory
):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(selection, "BUCKET_ROWS", 7)
        patch.setattr(selection, "ROW_GROUP", 3)
        patch.setattr(parts_module, "PART_ROWS", 4)
        assert prepared(tmp_path_factory.mktemp("data"), frames) == reference(frames)


@WHOLE
@given(frames=random_tables)
def test_the_whole_step_finds_no_planted_future(
    frames: dict[str, pl.DataFrame], tmp_path_factory: pytest.TempPathFactory
):
    rows = prepared(tmp_path_factory.mktemp("planted"), planted(frames))
    assert rows == reference(frames)
    assert "PLANTED" not in str(rows)


def test_a_sample_sees_nothing_later_within_the_same_microsecond(tmp_path: Path):
    """Parquet may hold nanoseconds; prepared data holds microseconds."""
    frames = tables([("a", 2)] * 10, [], [], [], timed=True)
    nanoseconds = pl.col("time").cast(pl.Datetime("ns", "UTC"))
    frames["samples"] = frames["samples"].with_columns(nanoseconds + pl.duration(nanoseconds=500))
    later = frames["samples"].head(1).select("entity", pl.col("time") + pl.duration(nanoseconds=1))
    frames["profile"] = later.with_columns(kind=pl.lit("later"), valid_from=pl.lit(9.0))
    frames["clicks"] = later.with_columns(page=pl.lit("later"), at=pl.lit(9.0))
    rows = prepared(tmp_path, frames)
    assert {row["profile.kind"] for row in rows} == {None}
    assert {row["behaviors.clicks:length"] for row in rows} == {0}
