"""What is printed and drawn of ALT's comparison: the paper's tables, of the rows that there are."""

from collections.abc import Iterator

import polars as pl

from benchmarks.alt.methods import (
    ADAPTED,
    ADAPTED_AGAIN,
    BEFORE,
    BEFORE_AGAIN,
    BOOSTING,
    FINAL,
    INITIAL,
    LIGHT_ABLATIONS,
    METHODS,
    POOLED_BOOSTING,
    PREDEFINED,
    PREDEFINED_AGAIN,
    PROFILE_ONLY,
    SEARCHED,
    SINGLE,
    SINGLE_PAPER_SCHEDULE,
    SINGLE_POOLED_SCHEDULE,
    TARGET_BOOSTING,
)  # fmt: skip
from benchmarks.alt.plan import Wanted
from benchmarks.alt.protocol import SEARCHED_ENCODER
from benchmarks.comparison.tables import Table, averages, differences, ordered, scenarios

COMPARED = (
    (ADAPTED_AGAIN, ADAPTED),
    (PREDEFINED_AGAIN, PREDEFINED),
    (ADAPTED, SINGLE),
    (ADAPTED, SINGLE_POOLED_SCHEDULE),
    (ADAPTED, SINGLE_PAPER_SCHEDULE),
    (ADAPTED, BEFORE),
    (ADAPTED, POOLED_BOOSTING),
    (ADAPTED, BOOSTING),
    (ADAPTED, TARGET_BOOSTING),
    (TARGET_BOOSTING, BOOSTING),
    (SEARCHED, PREDEFINED),
    (SEARCHED, ADAPTED),
    (PREDEFINED, ADAPTED),
)
"""Pairs of methods whose difference is shown, the noise floor first."""
GROUPS = ("initial", "emerging")
PAPER = (SINGLE, ADAPTED, PREDEFINED, SEARCHED)


def tables(rows: pl.DataFrame, wanted: Wanted) -> list[Table]:
    """For each encoder the main ones, then those over initial numbers and sequences. rows: see `results`."""
    found: list[Table] = []
    for encoder in wanted.encoders:
        initials = [0, wanted.initial[0]]
        main = rows.filter(pl.col("initial").is_in(initials), pl.col("encoder").is_in([encoder, ""]))
        own = main.filter(pl.col("folding") == "", pl.col("method").is_in(METHODS))
        if not own.is_empty():
            groups = {"all": own} | {group: own.filter(pl.col("group") == group) for group in GROUPS}
            found += [
                scenarios(own, METHODS, ADAPTED, PAPER, encoder),  # as Tables III and IV
                averages(own, METHODS, encoder, GROUPS),
                _costs(own, encoder),
                differences(groups, COMPARED, encoder),
            ]
        found += _ablated(main, encoder)
    found += _initial_numbers(rows, wanted)
    found += _sequences(rows.filter(pl.col("folding") == ""), wanted)
    return [table for table in found if not table.frame.is_empty()]


def _costs(rows: pl.DataFrame, encoder: str) -> Table:
    """As Table V, with parameters and seconds of training."""
    names = {
        "flops": "FLOPs",
        "parameters": "parameters",
        "p50_milliseconds": "p50 ms",
        "p99_milliseconds": "p99 ms",
        "seconds": "training s",
    }
    frame = ordered(
        rows.filter(pl.col("flops").is_not_null(), ~pl.col("method").is_in([BEFORE, BEFORE_AGAIN]))
        .group_by("method")
        .agg(pl.col("auc").mean().alias("AUC"), *(pl.col(name).mean().alias(title) for name, title in names.items()))
        .with_columns(pl.col("FLOPs", "parameters").round().cast(pl.Int64)),
        METHODS,
    )
    return Table(f"costs-{encoder}", f"Cost of a prediction, {encoder}", frame, "scatter", "FLOPs", ("AUC",))


def _ablated(rows: pl.DataFrame, encoder: str) -> Iterator[Table]:
    """Each ablation beside Ours on the same scenarios and seeds; and the ways of folding."""
    lights = rows.filter(pl.col("method").is_in(LIGHT_ABLATIONS))
    if not lights.is_empty():
        drawn = lights.select("seed", "scenario").unique()
        same = rows.filter(pl.col("method").is_in([SEARCHED, *LIGHT_ABLATIONS])).join(drawn, on=["seed", "scenario"])
        frame = same.group_by("method").agg(
            pl.col("auc").mean().alias("AUC"),
            pl.col("log_loss").mean().alias("log loss"),
            pl.col("flops").mean().round().cast(pl.Int64).alias("FLOPs"),
            pl.len().alias("rows"),
        )
        yield Table(
            f"ablations-{encoder}",
            f"Ablations of the light model, {encoder}",
            frame.sort("method"),
            "points",
            "method",
            ("AUC",),
        )
    foldings = rows.filter(pl.col("method").is_in([ADAPTED, BEFORE, FINAL]))
    if foldings["folding"].n_unique() > 1:
        late = 3 * pl.col("arrival") >= 2 * pl.col("arrivals")
        meh = pl.col("method") == ADAPTED
        frame = (
            foldings.with_columns(pl.col("folding").replace("", "one at a time"))
            .group_by("folding")
            .agg(
                pl.col("auc").filter(meh).mean().alias("MeH"),
                pl.col("auc").filter(meh & late).mean().alias("MeH, last third"),
                pl.col("auc").filter(pl.col("method") == BEFORE).mean().alias("agnostic on arrival"),
                pl.col("auc").filter(pl.col("method") == FINAL).mean().alias("final agnostic"),
            )
            .sort("folding")
        )
        ys = ("MeH", "MeH, last third", "agnostic on arrival", "final agnostic")
        yield Table(f"folding-{encoder}", f"Ways of folding feedback, {encoder}", frame, "points", "folding", ys)


def _initial_numbers(rows: pl.DataFrame, wanted: Wanted) -> Iterator[Table]:
    """As Table VI (version 1 on test rows of its own scenarios) and Table VIII (the methods) over initial numbers."""
    first_encoders = [*wanted.encoders, *([SEARCHED_ENCODER] if wanted.searched_initialization else [])]
    if len(wanted.initial) < 2 and not wanted.searched_initialization:
        return
    version_1 = rows.filter(pl.col("method") == INITIAL)
    means = version_1.group_by("initial", "encoder").agg(pl.col("auc").mean())
    frame = means.pivot("encoder", index="initial", values="auc").sort("initial")
    ys = tuple(encoder for encoder in first_encoders if encoder in frame.columns)
    yield Table(
        "initial-agnostic",
        "Agnostic model by number of initial scenarios",
        frame.select("initial", *ys),
        "lines",
        "initial",
        ys,
    )
    if len(wanted.initial) < 2:
        return
    for encoder in wanted.encoders:
        own = rows.filter(pl.col("encoder") == encoder, pl.col("folding") == "", pl.col("method").is_in(PAPER))
        single = own.filter(pl.col("method") == SINGLE).drop("initial")
        spread = single.join(pl.DataFrame({"initial": list(wanted.initial)}), how="cross").select(own.columns)
        every = pl.concat([own.filter(pl.col("method") != SINGLE), spread.cast(dict(own.schema))])
        frame = _in_every_place(every).group_by("initial", "method").agg(pl.col("auc").mean())
        frame = frame.pivot("method", index="initial", values="auc").sort("initial")
        ys = tuple(method for method in PAPER if method in frame.columns)
        yield Table(
            f"initial-{encoder}",
            f"Methods by number of initial scenarios, {encoder}",
            frame.select("initial", *ys),
            "lines",
            "initial",
            ys,
        )


def _in_every_place(rows: pl.DataFrame) -> pl.DataFrame:
    """Of the scenarios and seeds that have the most places (a method at a number of initial scenarios)."""
    pair = ["seed", "scenario"]
    places = rows.select(*pair, "initial", "method").unique().group_by(pair).len()
    return rows.join(places.filter(pl.col("len") == pl.col("len").max()), on=pair, how="semi")


def _sequences(rows: pl.DataFrame, wanted: Wanted) -> Iterator[Table]:
    """As Table VII: the heavy model on single scenarios, without sequences and with them."""
    basic = (
        rows.filter(pl.col("method") == PROFILE_ONLY).select("auc").with_columns(pl.lit("Profile only").alias("model"))
    )
    single = rows.filter(pl.col("method") == SINGLE).select("auc", pl.col("encoder").alias("model"))
    if basic.is_empty() or single.is_empty():
        return
    means = pl.concat([basic, single]).group_by("model").agg(pl.col("auc").mean().alias("AUC"))
    order = pl.DataFrame({"model": ["Profile only", *wanted.encoders]})
    frame = order.join(means, on="model", how="inner", maintain_order="left")
    yield Table(
        "sequences", "With and without behavior sequences, single scenarios", frame, "points", "model", ("AUC",)
    )
