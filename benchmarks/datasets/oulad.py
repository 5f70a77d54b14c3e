"""OULAD, day-90 risk: of the students registered at day 90 of a course run, who will end Withdrawn or Fail?

Kuzilek, Hlosta, Zdrahal: Open University Learning Analytics dataset, 2017, doi:10.1038/sdata.2017.171 (CC BY 4.0).
A scenario is a course run (`code_module` + `code_presentation`), an entity one student in one course run. All events
are written with their own dates, those after day 90 too: the point-in-time join of `prepare` is what cuts them. The
data dates a submission, not its marking: a score counts as known at the day of its submission.
"""

from decimal import Decimal
from pathlib import Path

import polars as pl

from benchmarks.datasets.tables import UTC_TIME, InvalidInput, Tables, read_raw, scenario_names
from longtail_api.data_schema import BehaviorSequence, DataSchema, FeatureColumns, LabelColumn, SplitRule

SAMPLE_DAY = 90
RUN = ["code_module", "code_presentation"]
STUDENT_IN_RUN = [*RUN, "id_student"]
# The month of a presentation: B is February, J is October. The data gives no day.
START_MONTH = {"B": 2, "J": 10}
FAILURES = ["Withdrawn", "Fail"]

SCHEMA = DataSchema(
    labels=[LabelColumn(name="at_risk")],
    profile=FeatureColumns(
        categorical=["gender", "region", "highest_education", "imd_band", "age_band", "disability"],
        numeric=["num_of_prev_attempts", "studied_credits", "date_registration"],
    ),
    behaviors=[
        BehaviorSequence(
            name="submissions",
            categorical=["assessment_type", "is_banked"],
            numeric=["score", "days_late", "assessment_weight", "day_submitted"],
            # No student has more than 12 submissions before day 90 (median 3).
            max_length=16,
        )
    ],
    split=SplitRule(method="random", test=Decimal("0.2"), validation=Decimal("0.1")),
)


def course_start() -> pl.Expr:
    """First instant of the month in which the presentation starts."""
    presentation = pl.col("code_presentation")
    return pl.datetime(
        presentation.str.head(4).cast(pl.Int32),
        presentation.str.tail(1).replace_strict(START_MONTH, return_dtype=pl.Int32),
        1,
        time_zone="UTC",
        time_unit="us",
    ).cast(UTC_TIME)


def tables(raw: Path) -> Tables:
    student = read_raw(
        raw,
        "oulad_student.parquet",
        [
            *STUDENT_IN_RUN,
            "gender",
            "region",
            "highest_education",
            "imd_band",
            "age_band",
            "num_of_prev_attempts",
            "studied_credits",
            "disability",
            "final_result",
        ],
    )
    registration = read_raw(
        raw,
        "oulad_student_registration.parquet",
        [*STUDENT_IN_RUN, "date_registration", "date_unregistration"],
    )
    assessment = read_raw(raw, "oulad_assessment.parquet", [*RUN, "id_assessment", "assessment_type", "date", "weight"])
    submission = read_raw(
        raw,
        "oulad_student_assessment.parquet",
        ["id_assessment", "id_student", "date_submitted", "is_banked", "score"],
    )
    unknown = student.filter(~pl.col("code_presentation").str.contains(r"^\d{4}[BJ]$"))
    if unknown.height:
        raise InvalidInput(
            f"{raw / 'oulad_student.parquet'}: code_presentation {unknown['code_presentation'][0]!r} "
            "is not a year and B or J; correct it"
        )

    run = pl.concat_str(RUN, separator="-")
    names = scenario_names(student.select(run).to_series().to_list(), "code_module-code_presentation")
    scenario = run.replace_strict(names, return_dtype=pl.String)
    keyed = [
        scenario.alias("scenario"),
        pl.concat_str([pl.col("id_student").cast(pl.String), scenario], separator="-").alias("entity"),
        course_start().alias("start"),
    ]
    enrolled = student.join(registration, on=STUDENT_IN_RUN, how="left").with_columns(keyed)
    # A registration without a date is taken as made before the start, as all but a few of them are.
    registered = (pl.col("date_registration").fill_null(0) < SAMPLE_DAY) & (
        pl.col("date_unregistration").is_null() | (pl.col("date_unregistration") > SAMPLE_DAY)
    )
    samples = (
        enrolled.filter(registered)
        .select(
            "scenario",
            "entity",
            (pl.col("start") + pl.duration(days=SAMPLE_DAY)).alias("time"),
            pl.col("final_result").is_in(FAILURES).cast(pl.Int8).alias("at_risk"),
        )
        .sort("scenario", "entity")
    )
    # Valid from the course start; for who registers later, from the registration.
    valid_from = pl.col("start") + pl.duration(days=pl.col("date_registration").fill_null(0).clip(lower_bound=0))
    profile = enrolled.select(
        "entity",
        valid_from.alias("time"),
        *SCHEMA.profile.categorical[:-1],
        pl.when("disability").then(pl.lit("yes")).otherwise(pl.lit("no")).alias("disability"),
        pl.col(SCHEMA.profile.numeric).cast(pl.Float64),
    ).sort("entity")
    submissions = (
        submission.join(assessment, on="id_assessment", how="inner")
        .with_columns(keyed)
        .select(
            "entity",
            (pl.col("start") + pl.duration(days=pl.col("date_submitted"))).alias("time"),
            "assessment_type",
            pl.when("is_banked").then(pl.lit("yes")).otherwise(pl.lit("no")).alias("is_banked"),
            pl.col("score").cast(pl.Float64),
            (pl.col("date_submitted") - pl.col("date")).cast(pl.Float64).alias("days_late"),
            pl.col("weight").cast(pl.Float64).alias("assessment_weight"),
            pl.col("date_submitted").cast(pl.Float64).alias("day_submitted"),
            "id_assessment",
        )
        .sort("entity", "time", "id_assessment")
        .drop("id_assessment")
    )
    return Tables(SCHEMA, samples, profile, {"submissions": submissions})
