"""Faults of data under names that sound like other faults: what failed decides who must act, not its name."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from longtail_api.data_schema import DataSchema
from longtail_api.run_config import ExitCode, StoreAddress
from tests.store.scripted_s3 import Reply, Request, ScriptedS3, broken_off, error, scripted_s3
from tests.trainer.prepare_command import Ended, halves, lay, prepared, prepared_here, put
from tests.trainer.tiny import SCHEMA, write_tables

BUCKET = "warehouse"
WORDS = ["403", "500 connection timed out", "certificate verify failed", "NoSuchKey", "AccessDenied"]
DATA, CONFIG, RETRY = ExitCode.DATA_INVALID, ExitCode.CONFIG_INVALID, ExitCode.RETRYABLE


def column_of(word: str) -> str:
    return f"is_{word.replace(' ', '_')}"


@pytest.fixture(scope="module")
def unchanged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    write_tables(folder, scenarios=1, rows=20)
    return folder


@dataclass(frozen=True)
class Named:
    """Tables whose scenario, entities, categories, feature and folder are all called by one word."""

    word: str
    root: Path
    visits: pa.Table

    @property
    def column(self) -> str:
        return column_of(self.word)

    @property
    def folder(self) -> Path:
        return self.root / self.word

    @property
    def schema(self) -> DataSchema:
        sequence = {"name": "visits", "categorical": ["page"], "numeric": [self.column], "maxLength": 8}
        return DataSchema.model_validate({**SCHEMA.to_json_dict(), "behaviors": [sequence]})


@pytest.fixture(params=WORDS)
def named(request: pytest.FixtureRequest, unchanged: Path, tmp_path: Path) -> Named:
    word: str = request.param
    for table in ("samples", "profile"):
        frame = pl.read_parquet(unchanged / f"{table}.parquet")
        called = {"entity": pl.concat_str(pl.lit(f"{word} "), "entity")}
        if table == "samples":
            called |= {"scenario": pl.lit(word), "slot": pl.lit(word)}
        frame.with_columns(**called).write_parquet(tmp_path / f"{table}.parquet")
    visits = pl.read_parquet(unchanged / "behaviors/visits.parquet").rename({"seconds": column_of(word)})
    visits = visits.with_columns(page=pl.lit(word), entity=pl.concat_str(pl.lit(f"{word} "), "entity"))
    return Named(word, tmp_path, visits.to_arrow(compat_level=pl.CompatLevel.oldest()))


def _types_that_do_not_meet(named: Named) -> None:
    first, second = halves(named.visits)
    text = pa.array([named.word] * second.num_rows)
    lay(named.folder, {"a.parquet": first, f"{named.word}.parquet": put(second, named.column, text)})


def _of_another_type(named: Named) -> None:
    text = pa.array([named.word] * named.visits.num_rows)
    lay(named.folder, {f"{named.word}.parquet": put(named.visits, named.column, text)})


def _without_the_column(named: Named) -> None:
    lay(named.folder, {f"{named.word}.parquet": named.visits.drop_columns([named.column])})


def _with_a_stray(named: Named) -> None:
    lay(named.folder, {"a.parquet": named.visits})
    (named.folder / f"{named.word}.csv").write_text(named.word)


def _cut_off(named: Named) -> None:
    lay(named.folder, {f"{named.word}.parquet": named.visits})
    file = named.folder / f"{named.word}.parquet"
    file.write_bytes(file.read_bytes()[:-50])


def _not_utf_8(named: Named) -> None:
    bad = pa.array([b"\xff" + named.word.encode()] * named.visits.num_rows)
    lay(named.folder, {f"{named.word}.parquet": put(named.visits, "page", bad)})


def _in_other_partitions(named: Named) -> None:
    first, second = halves(named.visits)
    lay(named.folder, {f"{named.word}=1/a.parquet": first, f"other={named.word}/a.parquet": second})


def _a_delta_table(named: Named) -> None:
    lay(named.folder, {"a.parquet": named.visits})
    (named.folder / "_delta_log").mkdir()
    (named.folder / f"_delta_log/{named.word}.json").write_text("{}")


def _without_zone(named: Named) -> None:
    lay(
        named.folder,
        {f"{named.word}.parquet": put(named.visits, "time", named.visits["time"].cast(pa.timestamp("us")))},
    )


def _missing(named: Named) -> None:
    """The folder isn't there."""


FAULTS: dict[str, Callable[[Named], None]] = {
    "types that do not meet": _types_that_do_not_meet,
    "another type": _of_another_type,
    "no such column": _without_the_column,
    "a stray file": _with_a_stray,
    "a file that is cut off": _cut_off,
    "text that is not UTF-8": _not_utf_8,
    "other partitions": _in_other_partitions,
    "a Delta table": _a_delta_table,
    "times without zone": _without_zone,
    "no table": _missing,
}


def ended_of(named: Named, **changes: Any) -> Ended:
    given = {"behaviors": {"visits": named.folder.as_uri()}, "owner": "shop.s.0a1b2c3d", **changes}
    return prepared_here(named.root, named.schema, named.word, **given)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_the_data_is_one_whatever_it_is_called(named: Named, fault: str):
    FAULTS[fault](named)
    ended = ended_of(named)
    assert (ended.exit_code, ended.reason) == (DATA, "DataInvalid"), ended.message
    assert ended.message.startswith(f"behaviors/visits ({named.folder.as_uri()}): ")


def test_and_so_it_is_in_a_process_of_its_own(unchanged: Path, tmp_path: Path):
    visits = pq.read_table(unchanged / "behaviors/visits.parquet").rename_columns(
        ["entity", "time", "page", "status_403"]
    )
    for table in ("samples", "profile"):
        (tmp_path / f"{table}.parquet").write_bytes((unchanged / f"{table}.parquet").read_bytes())
    first, second = halves(visits)
    text = pa.array(["x"] * second.num_rows)
    uri = lay(tmp_path / "20240115", {"a.parquet": first, "b.parquet": put(second, "status_403", text)})
    sequence = {"name": "visits", "categorical": ["page"], "numeric": ["status_403"], "maxLength": 8}
    schema = DataSchema.model_validate({**SCHEMA.to_json_dict(), "behaviors": [sequence]})
    ended = prepared(tmp_path, schema, behaviors={"visits": uri})
    assert (ended.exit_code, ended.reason) == (DATA, "DataInvalid")


def test_well_made_tables_under_such_names_are_read(named: Named):
    lay(named.folder, {f"{named.word}=1/{named.word}.parquet": named.visits})
    ended = ended_of(named)
    assert ended.exit_code == 0, ended.message
    assert set(ended.parts["context.slot"]) == {named.word}


# --- the same names in S3 ---


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedS3]:
    with scripted_s3() as told:
        yield told


@pytest.fixture
def s3(server: ScriptedS3, monkeypatch: pytest.MonkeyPatch, without_pauses: None) -> ScriptedS3:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    server.objects, server.answering, server.knows_ranges = {}, lambda request: None, True
    return server


ANSWERS: dict[str, tuple[Reply | None, ExitCode, str]] = {
    "403": (error(403, "AccessDenied"), CONFIG, "AccessDenied"),
    "401": (error(401, "InvalidAccessKeyId"), CONFIG, "AccessDenied"),
    "no bucket": (error(404, "NoSuchBucket"), DATA, "BucketMissing"),
    "503": (error(503, "SlowDown"), RETRY, "StoreUnreachable"),
    "500": (error(500, "InternalError"), RETRY, "StoreUnreachable"),
    "answers that break off": (None, RETRY, "StoreUnreachable"),
}


def in_s3(s3: ScriptedS3, named: Named) -> dict[str, Any]:
    """The table of events as objects; the config's part that says so."""
    for file in named.folder.rglob("*"):
        if file.is_file():
            s3.objects[f"/{BUCKET}/shop/{named.word}/{file.relative_to(named.folder).as_posix()}"] = file.read_bytes()
    address = StoreAddress(uri=f"s3://{BUCKET}", endpoint=s3.url)
    return {"behaviors": {"visits": f"s3://{BUCKET}/shop/{named.word}"}, "data_store": address}


@pytest.mark.parametrize("answer", ANSWERS)
def test_what_s3_answers_decides_by_its_code(named: Named, s3: ScriptedS3, answer: str):
    lay(named.folder, {f"{named.word}.parquet": named.visits})
    given = in_s3(s3, named)
    reply, code, reason = ANSWERS[answer]

    def answering(request: Request) -> Reply | None:
        if reply is None and "range" in request.headers:
            return broken_off(s3.real(request))
        return reply

    s3.answering = answering
    ended = ended_of(named, **given)
    assert (ended.exit_code, ended.reason) == (code, reason), ended.message
    assert ended.message.startswith(f"behaviors/visits (s3://{BUCKET}/shop/{named.word}): ")


@pytest.mark.parametrize("fault", ["types that do not meet", "a stray file", "a file that is cut off", "no table"])
def test_a_fault_of_the_data_in_s3_is_one_too(named: Named, s3: ScriptedS3, fault: str):
    FAULTS[fault](named)
    ended = ended_of(named, **in_s3(s3, named))
    assert (ended.exit_code, ended.reason) == (DATA, "DataInvalid"), ended.message


def test_tables_in_s3_are_read_as_those_in_folders_are(named: Named, s3: ScriptedS3):
    lay(named.folder, {f"{named.word}=1/{named.word}.parquet": named.visits})
    rows = ended_of(named, data_version="v0", run=2).parts
    for part in named.root.glob("store/data/*/v0/part-*"):
        part.unlink()
    s3.objects[f"/{BUCKET}/shop/{named.word}/_temporary/0/a.parquet"] = b"half"
    s3.objects[f"/{BUCKET}/shop/{named.word}/"] = b""
    ended = ended_of(named, **in_s3(s3, named))
    assert ended.exit_code == 0, ended.message
    assert ended.parts.equals(rows)


def test_a_server_that_knows_no_ranges_is_read_all_the_same(unchanged: Path, tmp_path: Path, s3: ScriptedS3):
    for table in ("samples", "profile"):
        (tmp_path / f"{table}.parquet").write_bytes((unchanged / f"{table}.parquet").read_bytes())
    s3.objects[f"/{BUCKET}/visits.parquet"] = (unchanged / "behaviors/visits.parquet").read_bytes()
    s3.knows_ranges = False
    address = StoreAddress(uri=f"s3://{BUCKET}", endpoint=s3.url)
    ended = prepared_here(tmp_path, behaviors={"visits": f"s3://{BUCKET}/visits.parquet"}, data_store=address)
    assert ended.exit_code == 0, ended.message


def test_a_server_that_is_not_there_is_asked_again(named: Named, s3: ScriptedS3):
    given = in_s3(s3, named) | {"data_store": StoreAddress(uri=f"s3://{BUCKET}", endpoint="http://127.0.0.1:9")}
    ended = ended_of(named, **given)
    assert (ended.exit_code, ended.reason) == (RETRY, "ConnectionRefused"), ended.message
