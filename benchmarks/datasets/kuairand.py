"""KuaiRand-27K subset: six labels per impression, with the user's earlier impressions as behavior.

KuaiRand (CC BY-SA 4.0). A scenario is a user's degree of activity, an entity a user. The rows are only likes or hates:
fit to rank methods, not to calibrate a click-through rate. Whatever an impression itself brought about (play time, time
in the comments, the other labels) is no feature of it; as *past* behavior all of it is one. An impression's event is
dated when its outcome was known: at its time, and the time spent in the video and its comments. What is known of a
video (`video_*`) are the outcomes of its impressions, of all users, known strictly before the sample's own time.
"""

from decimal import Decimal
from pathlib import Path

import polars as pl

from benchmarks.datasets.tables import UTC_TIME, Tables, read_raw, scenario_names
from longtail_api.data_schema import BehaviorSequence, DataSchema, FeatureColumns, LabelColumn, SplitRule

FILE = "samples.parquet"
DEGREE = "user_active_degree"
LABELS = ["is_click", "long_view", "is_profile_enter", "is_comment", "is_follow", "is_forward"]
OUTCOMES = ["play_time_ms", "comment_stay_time"]
PROFILE_CATEGORICAL = ["is_live_streamer", "is_video_author", *(f"onehot_feat{i}" for i in range(18))]
PROFILE_NUMERIC = ["follow_user_num", "fans_user_num", "friend_user_num", "register_days"]
VIDEO_RATES = {f"video_{outcome}_rate": outcome for outcome in [*LABELS[:4], "label"]}
UNKNOWN = -124  # the data set's own sign for an unknown value

SCHEMA = DataSchema(
    labels=[LabelColumn(name=name) for name in LABELS],
    context=FeatureColumns(
        categorical=["video_id", "hour"], numeric=["duration_seconds", "video_impressions", *VIDEO_RATES]
    ),
    profile=FeatureColumns(categorical=PROFILE_CATEGORICAL, numeric=PROFILE_NUMERIC),
    behaviors=[
        BehaviorSequence(
            name="impressions",
            categorical=["video_id", "is_liked", *LABELS],
            numeric=["duration_seconds", "play_seconds", "played_share", "comment_seconds"],
            # Median of 44 impressions per user.
            max_length=32,
        )
    ],
    split=SplitRule(method="temporal", test=Decimal("0.2"), validation=Decimal("0.1")),
)


def instant(milliseconds: pl.Expr) -> pl.Expr:
    return pl.from_epoch(milliseconds, time_unit="ms").dt.replace_time_zone("UTC").cast(UTC_TIME)


def word(column: str) -> pl.Expr:
    """A code as a string, null where it is the sign for unknown."""
    code = pl.col(column).cast(pl.Int64)
    return pl.when(code != UNKNOWN).then(code.cast(pl.String)).alias(column)


def with_video_history(impressions: pl.DataFrame) -> pl.DataFrame:
    """The impressions with each video's outcomes so far: how many, and the share of each; null before the first."""
    outcomes = sorted(set(VIDEO_RATES.values()))
    past = (
        impressions.sort("known_ms", "time_ms", "user_id")
        .select(
            "video_id",
            "known_ms",
            pl.int_range(1, pl.len() + 1).over("video_id").cast(pl.Float64).alias("video_impressions"),
            *(pl.col(outcome).cum_sum().over("video_id").alias(f"past_{outcome}") for outcome in outcomes),
        )
        .unique(["video_id", "known_ms"], keep="last", maintain_order=True)
    )
    joined = impressions.sort("time_ms", maintain_order=True).join_asof(
        past,
        left_on="time_ms",
        right_on="known_ms",
        by="video_id",
        allow_exact_matches=False,
        check_sortedness=False,  # polars cannot check it by group; both sides are sorted above
    )
    return joined.with_columns(
        (pl.col(f"past_{outcome}") / pl.col("video_impressions")).alias(name) for name, outcome in VIDEO_RATES.items()
    ).with_columns(pl.col("video_impressions").fill_null(0))


def tables(raw: Path) -> Tables:
    columns = ["user_id", "video_id", "hourmin", "time_ms", "duration_ms", "label", DEGREE]
    impressions = read_raw(raw, FILE, [*columns, *LABELS, *OUTCOMES, *PROFILE_CATEGORICAL, *PROFILE_NUMERIC])
    names = scenario_names(impressions[DEGREE].to_list(), DEGREE)
    impressions = (
        impressions.with_columns(
            entity=pl.col("user_id").cast(pl.String),
            duration_seconds=pl.col("duration_ms") / 1000,
            known_ms=pl.col("time_ms") + pl.sum_horizontal(OUTCOMES),
        )
        .pipe(with_video_history)
        .sort("user_id", "time_ms", "video_id", maintain_order=True)
    )
    samples = impressions.select(
        pl.col(DEGREE).replace_strict(names, return_dtype=pl.String).alias("scenario"),
        "entity",
        instant(pl.col("time_ms")).alias("time"),
        *(pl.col(label).cast(pl.Int8) for label in LABELS),
        word("video_id"),
        (pl.col("hourmin") // 100).cast(pl.String).alias("hour"),
        *SCHEMA.context.numeric,
    )
    profile = (
        impressions.unique("user_id", keep="first", maintain_order=True)
        .select("entity", *map(word, PROFILE_CATEGORICAL), pl.col(PROFILE_NUMERIC).cast(pl.Float64))
        .sort("entity")
    )
    events = impressions.select(
        "entity",
        instant(pl.col("known_ms")).alias("time"),
        word("video_id"),
        pl.col("label").cast(pl.String).alias("is_liked"),
        *(word(label) for label in LABELS),
        "duration_seconds",
        (pl.col("play_time_ms") / 1000).alias("play_seconds"),
        pl.when(pl.col("duration_ms") > 0)
        .then((pl.col("play_time_ms") / pl.col("duration_ms")).clip(0, 3))
        .alias("played_share"),
        (pl.col("comment_stay_time") / 1000).alias("comment_seconds"),
    ).sort("entity", "time", maintain_order=True)
    return Tables(SCHEMA, samples, profile, {"impressions": events})
