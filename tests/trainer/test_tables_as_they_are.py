"""Tables as warehouses leave them: what lies in their folders, how those are called, and what their types are.

What was a fault once is tried as a process of its own, its neighbors by the same command in this process.
"""

from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from longtail_api.data_schema import DataSchema, length_column
from longtail_api.run_config import ExitCode, StoreAddress
from longtail_trainer.data.prepare.meeting import meeting
from longtail_trainer.data.prepare.selection import Dated
from longtail_trainer.data.tables import TEXT, open_table
from longtail_trainer.running.errors import Retryable
from tests.trainer.prepare_command import Ended, halves, lay, prepared, prepared_here, put, rewritten
from tests.trainer.tiny import SCHEMA, write_tables

ROWS = 60
HISTORY = 437
"""Events in all histories of the samples of `s0`."""


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    write_tables(tmp_path / "tables", scenarios=2, rows=ROWS)
    return tmp_path / "tables"


def samples(tables: Path) -> pa.Table:
    return pq.read_table(tables / "samples.parquet")


def visits(tables: Path) -> pa.Table:
    return pq.read_table(tables / "behaviors/visits.parquet")


def well(ended: Ended) -> bool:
    """Whether each sample came once, with its whole history."""
    assert ended.exit_code == 0, ended.message or ended.log[-2000:]
    return (ended.parts.height, int(ended.parts[length_column("visits")].sum())) == (ROWS, HISTORY)


# --- which files are the table's ---


def test_what_a_writer_left_half_done_is_not_read(tables: Path):
    rows = samples(tables)
    uri = lay(tables / "t", {"part-0.parquet": rows, "_temporary/0/_temporary/attempt_1/part-0.parquet": rows})
    assert well(prepared(tables, samples=uri))


@pytest.mark.parametrize(
    "hidden",
    [
        ".spark-staging-7d0d2c1e/part-0.parquet",
        ".ipynb_checkpoints/part-0-checkpoint.parquet",
        ".Trash/old/part-0.parquet",
        "_part-1.parquet",
        ".part-1.parquet",
        "part-1.parquet._COPYING_",
        "deeper/_temporary/part-0.parquet",
    ],
)
def test_hidden_files_and_folders_are_not_read(tables: Path, hidden: str):
    rows = samples(tables)
    assert well(prepared_here(tables, samples=lay(tables / "t", {"part-0.parquet": rows, hidden: rows})))


def test_nor_are_marks_and_checksums(tables: Path):
    uri = lay(tables / "t", {"a/part-0.parquet": samples(tables)})
    for name in ("_SUCCESS", "a/.part-0.parquet.crc", "a/part-0.parquet.crc", "a_$folder$", "_metadata"):
        (tables / "t" / name).write_bytes(b"" if "$" in name or name == "_SUCCESS" else b"crc\0")
    assert well(prepared_here(tables, samples=uri))


def test_parquet_files_may_have_any_name(tables: Path):
    first, second = halves(samples(tables))
    assert well(prepared_here(tables, samples=lay(tables / "t", {"000000_0": first, "b/20240101_x.0.parq": second})))


@pytest.mark.parametrize("stray", ["README.md", "more.csv", "notes", "a.parquet.tmp"])
def test_a_file_that_is_none_of_the_tables_is_named(tables: Path, stray: str):
    uri = lay(tables / "t", {"part-0.parquet": samples(tables)})
    (tables / "t" / stray).write_text("time,entity\n1,a\n")
    ended = prepared_here(tables, samples=uri)
    assert (ended.exit_code, ended.reason) == (ExitCode.DATA_INVALID, "DataInvalid")
    assert ended.message.startswith(f"samples ({uri}): {stray} is no Parquet file")


@pytest.mark.parametrize(
    ("sign", "name"),
    [
        ("_delta_log/00000000000000000000.json", "Delta"),
        ("metadata/v1.metadata.json", "Iceberg"),
        (".hoodie/hoodie.properties", "Hudi"),
    ],
)
def test_a_table_whose_log_says_which_files_count_is_refused_as_what_it_is(tables: Path, sign: str, name: str):
    uri = lay(tables / "t", {"part-0.parquet": samples(tables)})
    (tables / "t" / sign).parent.mkdir()
    (tables / "t" / sign).write_text("{}")
    ended = prepared_here(tables, samples=uri)
    assert ended.exit_code == ExitCode.DATA_INVALID
    assert f"samples ({uri}): is a {name} table" in ended.message


@pytest.mark.parametrize("content", [b"", b"PAR1 and no more"])
def test_one_unreadable_file_among_others_is_named(tables: Path, content: bytes):
    uri = lay(tables / "t", {"a.parquet": samples(tables)})
    (tables / "t/b.parquet").write_bytes(content)
    ended = prepared_here(tables, samples=uri)
    assert ended.exit_code == ExitCode.DATA_INVALID
    assert f"samples ({uri}): b.parquet can't be read as a Parquet table" in ended.message


def test_a_file_that_is_cut_off_in_the_middle_is_named_with_the_column(tables: Path):
    path = tables / "behaviors/visits.parquet"
    pq.write_table(visits(tables), path, compression="zstd")
    content = bytearray(path.read_bytes())
    chunk = pq.read_metadata(path).row_group(0).column(3)
    start = chunk.dictionary_page_offset or chunk.data_page_offset
    content[start + 40 : start + chunk.total_compressed_size] = bytes(chunk.total_compressed_size - 40)
    path.write_bytes(content)
    ended = prepared_here(tables)
    assert ended.exit_code == ExitCode.DATA_INVALID
    assert ended.message.startswith(f"behaviors/visits ({path.as_uri()}): column 'seconds' can't be read")


def test_a_folder_that_is_linked_to_twice_is_read_once(tables: Path):
    uri = lay(tables / "t", {"real/a.parquet": samples(tables)})
    (tables / "t/again").symlink_to(tables / "t/real")
    assert well(prepared_here(tables, samples=uri))


def test_a_file_that_shrank_since_it_was_listed_is_read_again_later(tables: Path):
    address = StoreAddress(uri=tables.as_uri())
    table = open_table("samples", (tables / "samples.parquet").as_uri(), address)
    file = tables / "samples.parquet"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(Retryable, match="is shorter than it was") as raised:
        list(table.values("entity", TEXT))
    assert raised.value.reason == "TableChanged"


# --- partitions ---


@pytest.mark.parametrize("name", ["event_date", "event-date", "dt.day", "event date", "tag%", "日付", "_day"])
def test_partitions_may_be_called_anything(tables: Path, name: str):
    first, second = halves(visits(tables))
    uri = lay(tables / "t", {f"{name}=2024-01-01/a.parquet": first, f"{name}=2024-01-02/a.parquet": second})
    run = prepared if name == "event-date" else prepared_here
    assert well(run(tables, behaviors={"visits": uri}))


@pytest.mark.parametrize("value", ["a%2Fb", "a=b", "007", "1e5", "true", "東京", "", "NULL", "a'b"])
def test_a_partitions_value_is_a_string_whatever_it_looks_like(tables: Path, value: str):
    rows = visits(tables).drop_columns(["page"])
    uri = lay(tables / "t", {f"page={value}/a.parquet": rows})
    ended = prepared_here(tables, behaviors={"visits": uri})
    assert well(ended)
    assert set(ended.parts["behaviors.visits.page"].explode().drop_nulls()) == {value.replace("%2F", "/")}


def test_hives_default_partition_is_null(tables: Path):
    first, second = halves(visits(tables).drop_columns(["page"]))
    uri = lay(tables / "t", {"page=__HIVE_DEFAULT_PARTITION__/a.parquet": first, "page=shop/a.parquet": second})
    ended = prepared_here(tables, behaviors={"visits": uri})
    assert well(ended)
    assert set(ended.parts["behaviors.visits.page"].explode(empty_as_null=False)) == {None, "shop"}


@pytest.mark.parametrize(
    ("paths", "words"),
    [
        (("date=2024-01-01/a.parquet", "b.parquet"), "b.parquet lies in no partition, date=2024-01-01/a.parquet lies"),
        (("date=1/a.parquet", "day=2/b.parquet"), "lies in partitions of 'date', day=2/b.parquet lies in partitions"),
        (("a=1/b=2/x.parquet", "a=1/y.parquet"), "of 'a', 'b', a=1/y.parquet lies in partitions of 'a'"),
        (("a=1/a=2/x.parquet", "a=1/a=3/x.parquet"), "a=1/a=2/x.parquet lies in two partitions of the column 'a'"),
    ],
)
def test_files_that_lie_in_other_partitions_are_named(tables: Path, paths: tuple[str, str], words: str):
    ended = prepared_here(
        tables, behaviors={"visits": lay(tables / "t", dict(zip(paths, halves(visits(tables)), strict=True)))}
    )
    assert ended.exit_code == ExitCode.DATA_INVALID
    assert words in ended.message


def test_a_numeric_feature_may_be_a_partition(tables: Path):
    first, second = halves(visits(tables).drop_columns(["seconds"]))
    ended = prepared_here(
        tables, behaviors={"visits": lay(tables / "t", {"seconds=1/a.parquet": first, "seconds=2.5/a.parquet": second})}
    )
    assert well(ended)
    assert set(ended.parts["behaviors.visits.seconds"].explode(empty_as_null=False)) == {1.0, 2.5}


def test_a_partition_whose_value_is_no_number_is_named_where_one_is_wanted(tables: Path):
    first, second = halves(visits(tables).drop_columns(["seconds"]))
    uri = lay(tables / "t", {"seconds=1/a.parquet": first, "seconds=1_0/a.parquet": second})
    ended = prepared_here(tables, behaviors={"visits": uri})
    assert ended.exit_code == ExitCode.DATA_INVALID
    assert "column 'seconds' of seconds=1_0/a.parquet is a partition, of value '1_0'; write it as numbers" in (
        ended.message
    )


def test_a_partition_that_is_in_the_files_too_must_say_the_same(tables: Path):
    rows = samples(tables)
    for key in ("s0", "s1"):
        lay(tables / "t", {f"scenario={key}/a.parquet": rows.filter(pc.equal(rows["scenario"], key))})
    assert well(prepared_here(tables, samples=(tables / "t").as_uri()))
    lay(tables / "t", {"scenario=s0/a.parquet": rows})
    ended = prepared_here(tables, samples=(tables / "t").as_uri(), data_version="v2", run=2)
    assert ended.exit_code == ExitCode.DATA_INVALID
    assert "column 'scenario' of scenario=s0/a.parquet has other values than the partition" in ended.message


def test_a_time_that_is_a_partition_is_asked_for_as_a_column(tables: Path):
    uri = lay(tables / "t", {"time=2024-01-01/a.parquet": visits(tables).drop_columns(["time"])})
    ended = prepared_here(tables, behaviors={"visits": uri})
    assert ended.exit_code == ExitCode.DATA_INVALID
    assert "column 'time' of time=2024-01-01/a.parquet is a partition, of value '2024-01-01'; write it as a " in (
        ended.message
    )


# --- types ---


def zoned(rows: pa.Table, zone: str, unit: str = "us") -> pa.Table:
    return put(rows, "time", rows["time"].cast(pa.timestamp(unit, "UTC"), safe=False).cast(pa.timestamp(unit, zone)))


@pytest.mark.parametrize("zone", ["+05:30", "-03:30", "+01:00", "Asia/Kolkata", "Z", "UTC+0"])
def test_times_of_any_zone_are_instants(tables: Path, zone: str):
    expected = prepared_here(tables, data_version="v0", run=2).parts["time"].sort()
    for part in tables.glob("store/data/*/v0/part-*"):
        part.unlink()
    rewritten(tables, "samples", lambda rows: zoned(rows, zone))
    ended = prepared(tables) if zone == "+05:30" else prepared_here(tables)
    assert well(ended)
    assert ended.parts["time"].sort().equals(expected)


def test_a_zone_that_nobody_knows_in_a_column_that_nobody_names_is_no_matter(tables: Path):
    rewritten(
        tables, "samples", lambda rows: put(rows, "created_at", rows["time"].cast(pa.timestamp("us", "Mars/Base")))
    )
    assert well(prepared_here(tables))


@pytest.mark.parametrize(
    ("unit", "value"),
    [("ms", 2**63 - 1), ("us", 2**63 - 1), ("ns", 2**63 - 1), ("ms", 1_706_000_000_000_000_000), ("ms", -(2**63) + 1)],
)
def test_a_time_out_of_all_range_is_named_by_its_row(tables: Path, unit: str, value: int):
    def never(rows: pa.Table) -> pa.Table:
        values = rows["time"].cast(pa.timestamp(unit, "UTC"), safe=False).cast(pa.int64()).to_pylist()
        values[3] = value
        return put(rows, "time", pa.array(values, pa.int64()).view(pa.timestamp(unit, "UTC")))

    rewritten(tables, "samples", never)
    ended = (prepared if (unit, value) == ("ms", 2**63 - 1) else prepared_here)(tables)
    assert (ended.exit_code, ended.reason) == (ExitCode.DATA_INVALID, "DataInvalid")
    assert f"column 'time' is {'in the future' if value > 0 else 'before 1970'} in 1 row of 's0' (3," in ended.message


def _cast(column: str, first: Any, second: Any) -> Any:
    def changed(one: pa.Table, two: pa.Table) -> tuple[pa.Table, pa.Table]:
        return put(one, column, one[column].cast(first, safe=False)), put(two, column, two[column].cast(second))

    return changed


DICTIONARY = pa.dictionary(pa.int32(), pa.string())
LOSSLESS = {
    "int32 and int64": ("samples", _cast("clicked", pa.int32(), pa.int64())),
    "int64 and double": ("samples", _cast("clicked", pa.int64(), pa.float64())),
    "string and dictionary": ("samples", _cast("slot", pa.string(), DICTIONARY)),
    "string and binary": ("samples", _cast("slot", pa.string(), pa.binary())),
    "ms and us": ("samples", _cast("time", pa.timestamp("ms", "UTC"), pa.timestamp("us", "UTC"))),
    "zones": ("samples", _cast("time", pa.timestamp("us", "+02:00"), pa.timestamp("us", "America/Lima"))),
    "float and decimal256": ("samples", _cast("position", pa.float32(), pa.decimal256(60, 4))),
}


@pytest.mark.parametrize("case", LOSSLESS)
def test_files_whose_types_differ_are_read_where_nothing_is_lost(tables: Path, case: str):
    table, change = LOSSLESS[case]
    first, second = change(*halves(pq.read_table(tables / f"{table}.parquet")))
    before = prepared_here(tables, data_version="v0", run=2).parts
    for part in tables.glob("store/data/*/v0/part-*"):
        part.unlink()
    after = prepared_here(tables, samples=lay(tables / "t", {"a.parquet": first, "b.parquet": second}))
    assert well(after)
    assert after.parts.sort("entity", "time").equals(before.sort("entity", "time"))


def test_files_whose_types_do_not_meet_are_both_named(tables: Path):
    first, second = _cast("seconds", pa.float64(), pa.string())(*halves(visits(tables)))
    uri = lay(tables / "t", {"a.parquet": first, "b.parquet": second})
    ended = prepared_here(tables, behaviors={"visits": uri})
    assert ended.exit_code == ExitCode.DATA_INVALID
    assert (
        ended.message
        == f"behaviors/visits ({uri}): column 'seconds' is double in a.parquet, string in b.parquet; write it as "
        "numbers"
    )


def test_a_column_that_only_some_files_have_is_named_with_both(tables: Path):
    first, second = halves(visits(tables))
    uri = lay(tables / "t", {"a.parquet": first, "b.parquet": second.drop_columns(["seconds"])})
    ended = prepared_here(tables, behaviors={"visits": uri})
    assert ended.exit_code == ExitCode.DATA_INVALID
    assert "column 'seconds' is in a.parquet, and not in b.parquet" in ended.message


def test_text_that_is_not_utf_8_is_named_with_file_and_column(tables: Path):
    rows = visits(tables)
    bad = pa.array([b"\xff\xfe"] * rows.num_rows, pa.binary())
    uri = lay(tables / "t", {"a.parquet": rows, "b.parquet": put(rows, "page", bad)})
    ended = prepared_here(tables, behaviors={"visits": uri})
    assert ended.exit_code == ExitCode.DATA_INVALID
    assert f"behaviors/visits ({uri}): b.parquet column 'page' can't be read" in ended.message


def naive(rows: pa.Table) -> pa.Table:
    return put(rows, "time", rows["time"].cast(pa.timestamp("us", "UTC")).cast(pa.timestamp("us")))


@pytest.mark.parametrize("mark", ["org.apache.spark.version", "writer.time.zone"])
def test_spark_and_hive_write_instants_as_int96(tables: Path, mark: str):
    rows = naive(samples(tables))
    with pq.ParquetWriter(
        tables / "samples.parquet", rows.schema, use_deprecated_int96_timestamps=True, store_schema=False
    ) as file:
        file.write_table(rows)
        file.add_key_value_metadata({mark: "of the writer"})
    assert well(prepared_here(tables))


def test_int96_of_whom_nobody_knows_is_refused_with_what_spark_needs(tables: Path):
    rewritten(tables, "samples", naive, use_deprecated_int96_timestamps=True, store_schema=False)
    ended = prepared_here(tables)
    assert ended.exit_code == ExitCode.DATA_INVALID
    assert "column 'time' is a timestamp without time zone (INT96)" in ended.message
    assert "spark.sql.parquet.outputTimestampType" in ended.message


def test_a_double_column_is_named_once_it_is_wanted(tables: Path):
    rows = samples(tables)
    pq.write_table(rows.append_column("slot", rows["slot"]), tables / "samples.parquet")
    ended = prepared_here(tables)
    assert ended.exit_code == ExitCode.DATA_INVALID
    assert "column 'slot' stands there twice" in ended.message


def test_names_with_dots_are_columns_of_their_own(tables: Path):
    """`dt.day` is a column, and not the field `day` of a column `dt`."""
    rows = visits(tables)
    nested = pa.array([{"day": 1}] * rows.num_rows)
    rewritten(
        tables, "behaviors/visits", lambda rows: rows.append_column("dt.day", rows["page"]).append_column("dt", nested)
    )
    schema = DataSchema.model_validate(
        {
            **SCHEMA.to_json_dict(),
            "behaviors": [{"name": "visits", "categorical": ["page"], "numeric": ["seconds"], "maxLength": 8}],
        }
    )
    assert well(prepared_here(tables, schema))
    assert pl.read_parquet(tables / "behaviors/visits.parquet").height


# --- keys that don't meet ---


def numbered(form: str) -> Any:
    """Entities as numbers, in this form (`d` for integers)."""

    def changed(rows: pa.Table) -> pa.Table:
        numbers = [int(entity.split("-")[1]) for entity in rows["entity"].to_pylist()]
        return put(rows, "entity", pa.array(numbers if form == "d" else [f"{number:{form}}" for number in numbers]))

    return changed


def test_tables_none_of_whose_keys_meet_are_told_with_an_example_of_both(tables: Path):
    rewritten(tables, "samples", numbered("d"))
    rewritten(tables, "profile", numbered("06d"))
    rewritten(tables, "behaviors/visits", numbered("06d"))
    ended = prepared(tables)
    assert ended.exit_code == 0
    assert ended.outputs["joined"] == {"profile": 0, "behaviors/visits": 0}
    entities = samples(tables).filter(pc.field("scenario") == "s0")["entity"]
    assert ended.outputs["entities"] == len(entities.unique())
    first, second = ended.outputs["unjoined"]
    assert first.startswith("no entity of the samples is in profile: the samples have '")
    assert "' (int64), profile has '000000' (string); write keys alike" in first
    assert first in ended.log
    assert second.startswith("no entity of the samples is in behaviors/visits: ")


def test_tables_whose_keys_meet_are_told_with_counts_alone(tables: Path):
    rewritten(tables, "profile", lambda rows: rows.slice(0, 15))
    ended = prepared_here(tables)
    assert 0 < ended.outputs["joined"]["profile"] <= 15 < ended.outputs["entities"]
    assert "unjoined" not in ended.outputs


def test_a_table_without_any_row_is_nothing_to_warn_of(tables: Path):
    rewritten(tables, "behaviors/visits", lambda rows: rows.slice(0, 0))
    ended = prepared_here(tables)
    assert ended.outputs["joined"]["behaviors/visits"] == 0
    assert "unjoined" not in ended.outputs


def test_a_table_that_knows_few_of_the_entities_is_told_with_counts():
    known = meeting(None, "a", 1_000, {"profile": Dated(None, 9, "b"), "behaviors/visits": Dated(None, 10, "c")})  # pyright: ignore[reportArgumentType]
    assert known.warnings == ["of 1000 entities of the samples profile knows 9"]
