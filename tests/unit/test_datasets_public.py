"""The converters: on rows made up here, and on the real files where they are at hand."""

import os
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
import yaml

from benchmarks.datasets import InvalidInput, Tables, census, kuairand, oulad
from benchmarks.datasets.__main__ import CONVERTERS, main
from benchmarks.datasets.tables import UTC_TIME, check_tables
from longtail_api.data_schema import DataSchema

RUN = {"code_module": "AAA", "code_presentation": "2013J"}
FEBRUARY, OCTOBER = (datetime(2013, month, 1, tzinfo=UTC) for month in (2, 10))


def raw_folder(name: str) -> Path:
    """The real files of a data set; skips where there are none."""
    given = os.environ.get("LONGTAIL_DATA")
    shared = Path(given) if given else Path(__file__).resolve().parents[3] / "shared" / "data"
    if not (shared / name).is_dir():
        pytest.skip(f"no data set {name!r}: set LONGTAIL_DATA to the folder that holds it")
    return shared / name


def a_student(number: int, result: str = "Pass", **fields: object) -> Mapping[str, object]:
    words = {"gender": "F", "region": "Wales", "highest_education": "A Level", "imd_band": None, "age_band": "0-35"}
    counts = {"num_of_prev_attempts": 0, "studied_credits": 60, "disability": False}
    return {**RUN, "id_student": number, **words, **counts, "final_result": result, **fields}


def a_registration(number: int, left: int | None = None, came: int | None = -20, **fields: object):
    return {**RUN, "id_student": number, "date_registration": came, "date_unregistration": left, **fields}


def a_submission(number: int, day: int, score: int | None = 70, assessment: int = 1):
    return {
        "id_assessment": assessment,
        "id_student": number,
        "date_submitted": day,
        "is_banked": False,
        "score": score,
    }


def oulad_tables(
    folder: Path,
    students: list[Mapping[str, object]],
    registrations: list[Mapping[str, object]],
    submissions: list[Mapping[str, object]] | None = None,
) -> Tables:
    dates = ["date_registration", "date_unregistration"]
    pl.DataFrame(students, schema_overrides={"imd_band": pl.String}).write_parquet(folder / "oulad_student.parquet")
    pl.DataFrame(registrations, schema_overrides=dict.fromkeys(dates, pl.Int64)).write_parquet(
        folder / "oulad_student_registration.parquet"
    )
    assessments = [{**RUN, "id_assessment": 1, "assessment_type": "TMA", "date": 30, "weight": 10.0}]
    pl.DataFrame(assessments).write_parquet(folder / "oulad_assessment.parquet")
    pl.DataFrame(submissions or [a_submission(1, 10)], schema_overrides={"score": pl.Int64}).write_parquet(
        folder / "oulad_student_assessment.parquet"
    )
    made = oulad.tables(folder)
    check_tables(made)
    return made


def test_oulad_asks_about_students_still_registered_at_day_90(tmp_path: Path):
    leaves = {1: None, 2: 89, 3: 90, 4: 91}
    made = oulad_tables(
        tmp_path, [a_student(i) for i in leaves], [a_registration(i, left) for i, left in leaves.items()]
    )
    assert made.samples["entity"].to_list() == ["1-aaa-2013j", "4-aaa-2013j"]
    assert made.samples["time"].unique().to_list() == [OCTOBER + timedelta(days=90)]


def test_oulad_who_registers_after_day_90_is_no_sample(tmp_path: Path):
    made = oulad_tables(tmp_path, [a_student(1), a_student(2)], [a_registration(1), a_registration(2, came=95)])
    assert made.samples["entity"].to_list() == ["1-aaa-2013j"]


def test_oulad_withdrawn_and_fail_are_at_risk(tmp_path: Path):
    results = ["Withdrawn", "Fail", "Pass", "Distinction"]
    made = oulad_tables(
        tmp_path, [a_student(i, r) for i, r in enumerate(results)], [a_registration(i) for i in range(4)]
    )
    assert made.samples["at_risk"].to_list() == [1, 1, 0, 0]


def test_oulad_events_keep_their_own_dates_after_day_90_too(tmp_path: Path):
    made = oulad_tables(
        tmp_path, [a_student(1)], [a_registration(1)], [a_submission(1, 28), a_submission(1, 120, score=None)]
    )
    events = made.behaviors["submissions"]
    assert events["time"].to_list() == [OCTOBER + timedelta(days=28), OCTOBER + timedelta(days=120)]
    assert events["days_late"].to_list() == [-2, 90]
    assert events["score"].to_list() == [70, None]


def test_oulad_one_student_in_two_runs_is_two_entities(tmp_path: Path):
    spring = {"code_presentation": "2013B"}
    made = oulad_tables(
        tmp_path, [a_student(1), a_student(1, **spring)], [a_registration(1), a_registration(1, **spring)]
    )
    assert made.samples["scenario"].to_list() == ["aaa-2013b", "aaa-2013j"]
    assert made.samples["entity"].n_unique() == 2
    assert made.samples["time"][0] == FEBRUARY + timedelta(days=90)


def test_oulad_a_profile_is_not_valid_before_the_registration(tmp_path: Path):
    made = oulad_tables(tmp_path, [a_student(1), a_student(2)], [a_registration(1), a_registration(2, came=12)])
    assert made.profile["time"].to_list() == [OCTOBER, OCTOBER + timedelta(days=12)]


def test_oulad_an_unknown_presentation_is_named(tmp_path: Path):
    with pytest.raises(InvalidInput, match="code_presentation '2013X' is not a year and B or J"):
        oulad_tables(tmp_path, [a_student(1, code_presentation="2013X")], [a_registration(1)])


def an_impression(user: int, video: int, seconds: int, **fields: object) -> Mapping[str, object]:
    quiet = dict.fromkeys([*kuairand.LABELS, *kuairand.OUTCOMES, "label"], 0)
    person = dict.fromkeys([*kuairand.PROFILE_CATEGORICAL, *kuairand.PROFILE_NUMERIC], 1)
    rest = {"hourmin": 2300, "duration_ms": 10_000, "user_active_degree": "full_active"}
    return {"user_id": user, "video_id": video, "time_ms": seconds * 1000, **quiet, **person, **rest, **fields}


def kuairand_tables(folder: Path, *impressions: Mapping[str, object]) -> Tables:
    pl.DataFrame(list(impressions)).write_parquet(folder / kuairand.FILE)
    made = kuairand.tables(folder)
    check_tables(made)
    return made


def test_kuairand_an_outcome_is_known_only_after_the_video_was_played(tmp_path: Path):
    made = kuairand_tables(tmp_path, an_impression(1, 7, 100, play_time_ms=8_000, comment_stay_time=2_000))
    assert made.samples["time"][0].timestamp() == 100
    assert made.behaviors["impressions"]["time"][0].timestamp() == 110


def test_kuairand_a_video_is_known_by_its_earlier_impressions(tmp_path: Path):
    made = kuairand_tables(
        tmp_path,
        an_impression(1, 7, 100, is_click=1, play_time_ms=5_000),
        an_impression(2, 7, 105, is_click=1),  # the first one's outcome is of this very moment: not before it
        an_impression(3, 7, 200),
        an_impression(4, 8, 300),
    )
    assert made.samples["video_impressions"].to_list() == [0, 0, 2, 0]
    assert made.samples["video_is_click_rate"].to_list() == [None, None, 1, None]


def test_kuairand_no_outcome_of_an_impression_is_its_feature():
    context = {*kuairand.SCHEMA.context.categorical, *kuairand.SCHEMA.context.numeric}
    profile = {*kuairand.SCHEMA.profile.categorical, *kuairand.SCHEMA.profile.numeric}
    assert not (context | profile) & {*kuairand.LABELS, *kuairand.OUTCOMES, "label", "play_seconds", "played_share"}


def test_kuairand_the_sign_for_unknown_becomes_null(tmp_path: Path):
    made = kuairand_tables(tmp_path, an_impression(1, 7, 100, is_live_streamer=-124))
    assert made.profile["is_live_streamer"].to_list() == [None]


def test_census_has_38_features_and_neither_labels_nor_the_weight_among_them():
    features = [*census.NUMERIC, *census.CATEGORICAL]
    assert len(set(features)) == 38
    assert not {census.INCOME, census.MARITAL, census.WEIGHT, census.INDUSTRY} & set(features)


def test_census_an_unknown_income_is_named(tmp_path: Path):
    row = dict.fromkeys([*census.CATEGORICAL, census.INDUSTRY, census.MARITAL], "x") | dict.fromkeys(census.NUMERIC, 1)
    pl.DataFrame([{**row, census.YEAR: 94, census.INCOME: "lots"}]).write_parquet(tmp_path / census.FILE)
    with pytest.raises(InvalidInput, match="'c41' holds 'lots'"):
        census.tables(tmp_path)


@pytest.mark.parametrize(
    ("name", "scenarios", "samples"), [("oulad", 22, 25_558), ("census", 24, 99_762), ("kuairand", 8, 41_828)]
)
def test_the_real_files_become_the_three_tables(name: str, scenarios: int, samples: int, tmp_path: Path):
    out = tmp_path / "out"
    assert main([name, str(raw_folder(name)), str(out)]) == 0
    schema = DataSchema.model_validate(yaml.safe_load((out / "schema.yaml").read_text()))
    table = pl.read_parquet(out / "samples.parquet")
    assert table.height == samples
    assert table["scenario"].n_unique() == scenarios
    assert table["scenario"].str.contains(r"^[a-z][a-z0-9-]{0,38}[a-z0-9]$").all()
    assert table["entity"].is_in(pl.read_parquet(out / "profile.parquet")["entity"].implode()).all()
    assert schema == CONVERTERS[name](raw_folder(name)).schema
    for sequence in schema.behaviors:
        events = pl.read_parquet(out / "behaviors" / f"{sequence.name}.parquet")
        assert events.schema["time"] == UTC_TIME
        assert events.equals(events.sort("entity", "time", maintain_order=True))
