"""What is printed and drawn: the paper's tables, of the rows that there are."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import polars as pl

from benchmarks.alt.methods import (
    ADAPTED,
    BEFORE,
    BOOSTING,
    FINAL,
    INITIAL,
    LIGHT_ABLATIONS,
    POOLED_BOOSTING,
    PREDEFINED,
    PROFILE_ONLY,
    SEARCHED,
    SINGLE,
    SINGLE_PAPER_SCHEDULE,
    SINGLE_POOLED_SCHEDULE,
)
from benchmarks.alt.plan import Wanted
from benchmarks.alt.protocol import SEARCHED_ENCODER
from benchmarks.alt.statistics import difference

ORDER = (
    PROFILE_ONLY,
    POOLED_BOOSTING,
    BOOSTING,
    SINGLE_PAPER_SCHEDULE,
    SINGLE_POOLED_SCHEDULE,
    SINGLE,
    BEFORE,
    ADAPTED,
    PREDEFINED,
    SEARCHED,
)
COMPARED = (
    (ADAPTED, SINGLE),
    (ADAPTED, SINGLE_POOLED_SCHEDULE),
    (ADAPTED, SINGLE_PAPER_SCHEDULE),
    (ADAPTED, BEFORE),
    (ADAPTED, POOLED_BOOSTING),
    (ADAPTED, BOOSTING),
    (SEARCHED, PREDEFINED),
    (SEARCHED, ADAPTED),
    (PREDEFINED, ADAPTED),
)
"""Pairs of methods whose difference is shown."""
DIFFERENCES = "differences-"
PAPER = (SINGLE, ADAPTED, PREDEFINED, SEARCHED)


@dataclass(frozen=True)
class Table:
    """One table and its picture. x: the column of places (of costs, for `scatter`); ys: the AUC columns drawn (for
    `intervals`: figure, low, high)."""

    name: str
    title: str
    frame: pl.DataFrame
    kind: Literal["points", "lines", "scatter", "intervals"]
    x: str
    ys: tuple[str, ...]
    also: str | None = None
    """Column that names a place together with `x`; for `intervals`, the groups of rows."""


def tables(rows: pl.DataFrame, wanted: Wanted) -> list[Table]:
    """For each encoder the main ones, then those over initial numbers and sequences. rows: see `results`."""
    found: list[Table] = []
    for encoder in wanted.encoders:
        initials = [0, wanted.initial[0]]
        main = rows.filter(pl.col("initial").is_in(initials), pl.col("encoder").is_in([encoder, ""]))
        own = main.filter(pl.col("folding") == "", pl.col("method").is_in(ORDER))
        if not own.is_empty():
            found += [
                _scenarios(own, encoder),
                _averages(own, encoder),
                _costs(own, encoder),
                _differences(own, encoder),
            ]
        found += _ablated(main, encoder)
    found += _initial_numbers(rows, wanted)
    found += _sequences(rows.filter(pl.col("folding") == ""), wanted)
    return [table for table in found if not table.frame.is_empty()]


def _scenarios(rows: pl.DataFrame, encoder: str) -> Table:
    """As Tables III and IV: AUC by scenario, mean over seeds, the largest scenario first."""
    size = pl.col("training_rows").filter(pl.col("method") == ADAPTED).mean().cast(pl.Int64).alias("training rows")
    sizes = rows.group_by("scenario").agg(size)
    wide = rows.group_by("scenario", "method").agg(pl.col("auc").mean()).pivot("method", index="scenario", values="auc")
    methods = [method for method in ORDER if method in wide.columns]
    frame = sizes.join(wide, on="scenario").select("scenario", "training rows", *methods)
    frame = frame.sort("training rows", "scenario", descending=[True, False])
    shown = tuple(method for method in PAPER if method in methods)
    return Table(f"scenarios-{encoder}", f"AUC by scenario, {encoder}", frame, "points", "scenario", shown)


def _averages(rows: pl.DataFrame, encoder: str) -> Table:
    """AUC and log loss, averaged over scenarios and seeds: all, initial and emerging scenarios apart."""
    parts: list[pl.Expr] = [pl.col("auc").mean().alias("AUC"), pl.col("auc").count().alias("rows")]
    parts += [
        pl.col("auc").filter(pl.col("group") == group).mean().alias(f"AUC, {group}")
        for group in ("initial", "emerging")
    ]
    parts += [pl.col("log_loss").mean().alias("log loss"), pl.col("calibration_error").mean().alias("ECE")]
    frame = _ordered(rows.group_by("method").agg(parts))
    ys = ("AUC", "AUC, initial", "AUC, emerging")
    return Table(f"averages-{encoder}", f"Averages over scenarios and seeds, {encoder}", frame, "points", "method", ys)


def _costs(rows: pl.DataFrame, encoder: str) -> Table:
    """As Table V, with parameters and seconds of training."""
    names = {
        "flops": "FLOPs",
        "parameters": "parameters",
        "p50_milliseconds": "p50 ms",
        "p99_milliseconds": "p99 ms",
        "seconds": "training s",
    }
    frame = _ordered(
        rows.filter(pl.col("flops").is_not_null(), pl.col("method") != BEFORE)
        .group_by("method")
        .agg(pl.col("auc").mean().alias("AUC"), *(pl.col(name).mean().alias(title) for name, title in names.items()))
        .with_columns(pl.col("FLOPs", "parameters").round().cast(pl.Int64))
    )
    return Table(f"costs-{encoder}", f"Cost of a prediction, {encoder}", frame, "scatter", "FLOPs", ("AUC",))


def _differences(rows: pl.DataFrame, encoder: str) -> Table:
    """AUC of one method less that of another on the same test rows, for all, initial and emerging scenarios.

    low, high: 95 % over (scenario, seed) pairs; by scenario: over scenarios, each with all of its seeds.
    """
    groups = {"all": rows} | {group: rows.filter(pl.col("group") == group) for group in ("initial", "emerging")}
    lines: list[tuple[object, ...]] = []
    for left, right in COMPARED:
        for group, some in groups.items():
            if found := difference(some, {"method": left}, {"method": right}):
                interval = (found.low, found.high, found.scenario_low, found.scenario_high)
                lines.append((f"{left} − {right}", group, found.mean, *interval, found.pairs))
    columns = ["methods", "scenarios", "difference", "low", "high", "low by scenario", "high by scenario", "pairs"]
    kinds = [pl.String, pl.String, *[pl.Float64] * 5, pl.Int64]
    frame = pl.DataFrame(lines, schema=dict(zip(columns, kinds, strict=True)), orient="row")
    shown = ("difference", "low", "high")
    return Table(
        f"{DIFFERENCES}{encoder}",
        f"Paired differences in AUC, {encoder}",
        frame,
        "intervals",
        "methods",
        shown,
        "scenarios",
    )


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


def _ordered(frame: pl.DataFrame, order: Sequence[str] = ORDER) -> pl.DataFrame:
    return pl.DataFrame({"method": list(order)}).join(frame, on="method", how="inner", maintain_order="left")
