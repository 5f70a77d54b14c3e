"""What the comparison must show, as figures with intervals, targets, and whether they hold.

A claim appears where the rows it needs are there. Targets of averages belong to a data set: they come from the command
line (`--target`).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import polars as pl
from pydantic import BaseModel

from benchmarks.alt.methods import (
    ADAPTED,
    BEFORE,
    BOOSTING,
    FINAL,
    FOLDING_ABLATIONS,
    INITIAL,
    LIGHT_ABLATIONS,
    POOLED_BOOSTING,
    PREDEFINED,
    PROFILE_ONLY,
    RANDOM,
    SEARCHED,
    SINGLE,
    SINGLE_PAPER_SCHEDULE,
    SINGLE_POOLED_SCHEDULE,
)
from benchmarks.alt.plan import Wanted, ablated_folding
from benchmarks.alt.protocol import SEARCHED_ENCODER
from benchmarks.alt.rows import folding_name
from benchmarks.alt.statistics import Comparison, average, difference, ratio

MEH_OVER_SINH, OURS_TO_MEH, TO_BOOSTING = 0.08, -0.003, -0.003
FLOPS_RATIO = 0.44
LATENCY_RATIO = {"LSTM": 0.31, "Transformer": 0.44}
ASYNCHRONOUS = 0.003
MINUTES = 3


class Claim(BaseModel):
    """holds: null where no target is set."""

    name: str
    figure: float
    interval: tuple[float, float] | None = None
    target: str
    holds: bool | None


def claims(
    rows: pl.DataFrame, wanted: Wanted, budgets: Sequence[Mapping[str, Any]], targets: Mapping[str, float]
) -> list[Claim]:
    """For each encoder, each figure beside the baselines it is judged by. rows: see `results`."""
    found: list[Claim] = []
    for method in (PROFILE_ONLY, POOLED_BOOSTING, BOOSTING):
        if one := average(rows.filter(pl.col("initial").is_in([0, wanted.initial[0]])), {"method": method}):
            found.append(_of(f"{method}, scenario-average AUC", one, "–", None))
    for encoder in wanted.encoders:
        main = rows.filter(pl.col("initial").is_in([0, wanted.initial[0]]), pl.col("encoder").is_in([encoder, ""]))
        found += _quality(main, encoder, targets)
        found += _cost(main, encoder)
        found += _ablations(main, encoder, wanted)
        found += _initial_numbers(rows.filter(pl.col("folding") == ""), encoder, wanted)
    if budgets:
        exceeded, drawn = (sum(one[name] for one in budgets) for name in ("exceeded", "budgets"))
        found.append(_claim(f"budgets exceeded, of {drawn} random ones", exceeded, "= 0", exceeded == 0))
    return found


def _quality(rows: pl.DataFrame, encoder: str, targets: Mapping[str, float]) -> Iterator[Claim]:
    own = rows.filter(pl.col("folding") == "")
    meh, ours = {"method": ADAPTED}, {"method": SEARCHED}
    if found := difference(own, meh, {"method": SINGLE}):
        yield _of(f"{encoder}: MeH − SinH, AUC", found, f"≥ {MEH_OVER_SINH}", found.mean >= MEH_OVER_SINH)
        yield from _more_in_the_smaller_half(own, encoder)
    for other in (SINGLE_POOLED_SCHEDULE, SINGLE_PAPER_SCHEDULE, BEFORE, POOLED_BOOSTING):
        if found := difference(own, meh, {"method": other}):
            yield _of(f"{encoder}: MeH − {other}, AUC", found, "–", None)
    for method in (SINGLE, ADAPTED, PREDEFINED, SEARCHED):
        if found := average(own, {"method": method}):
            least = targets.get(method)
            yield _of(
                f"{encoder}: {method}, scenario-average AUC",
                found,
                "–" if least is None else f"≥ {least}",
                None if least is None else found.mean >= least,
            )
    if found := difference(own, meh, {"method": BOOSTING}):
        yield _of(f"{encoder}: MeH − boosting on all rows, AUC", found, f"≥ {TO_BOOSTING}", found.mean >= TO_BOOSTING)
    if found := difference(own, ours, {"method": PREDEFINED}):
        yield _of(f"{encoder}: Ours − MeL, AUC", found, "interval above 0", found.low > 0)
    if found := ratio(own, ours, {"method": PREDEFINED}, "flops"):
        yield _of(f"{encoder}: Ours ÷ MeL, FLOPs", found, "≤ 1", found.mean <= 1)
    if found := difference(own, ours, meh):
        yield _of(f"{encoder}: Ours − MeH, AUC", found, f"≥ {OURS_TO_MEH}", found.mean >= OURS_TO_MEH)


def _more_in_the_smaller_half(rows: pl.DataFrame, encoder: str) -> Iterator[Claim]:
    """The halves by training rows of MeH's scenarios."""
    sizes = rows.filter(pl.col("method") == ADAPTED).group_by("scenario").agg(pl.col("training_rows").mean())
    ordered = sizes.sort("training_rows", "scenario")["scenario"].to_list()
    halves = (ordered[: len(ordered) // 2], ordered[len(ordered) // 2 :])
    gains = [
        difference(rows.filter(pl.col("scenario").is_in(half)), {"method": ADAPTED}, {"method": SINGLE})
        for half in halves
    ]
    smaller, larger = gains
    if smaller and larger:
        more = smaller.mean > larger.mean
        yield _of(
            f"{encoder}: MeH − SinH in the smaller half, AUC", smaller, f"> {larger.mean:.4f} (larger half)", more
        )


def _cost(rows: pl.DataFrame, encoder: str) -> Iterator[Claim]:
    own = rows.filter(pl.col("folding") == "")
    ours, meh = {"method": SEARCHED}, {"method": ADAPTED}
    if found := ratio(own, ours, meh, "flops"):
        yield _of(f"{encoder}: Ours ÷ heavy, FLOPs", found, f"≤ {FLOPS_RATIO}", found.mean <= FLOPS_RATIO)
    if found := ratio(own, ours, meh, "p50_milliseconds"):
        most = LATENCY_RATIO[encoder]
        yield _of(f"{encoder}: Ours ÷ heavy, median latency", found, f"≤ {most}", found.mean <= most)
    seconds = own.filter(pl.col("method") == SEARCHED)["pipeline_seconds"].drop_nulls()
    if len(seconds):
        longest = float(seconds.max())  # type: ignore[arg-type]
        name = f"{encoder}: seconds from tables to exported light model, slowest scenario"
        yield _claim(name, longest, f"≤ {60 * MINUTES}", longest <= 60 * MINUTES)


def _ablations(rows: pl.DataFrame, encoder: str, wanted: Wanted) -> Iterator[Claim]:
    for name in LIGHT_ABLATIONS:
        if found := difference(rows, {"method": SEARCHED, "folding": ""}, {"method": name}):
            above = found.low > 0 if name == RANDOM else None
            target = "interval above 0" if name == RANDOM else "–"
            yield _of(f"{encoder}: Ours − {name}, AUC", found, target, above)
        if found := ratio(rows, {"method": SEARCHED, "folding": ""}, {"method": name}, "flops"):
            yield _of(f"{encoder}: Ours ÷ {name}, FLOPs", found, "–", None)
    ways = {name: folding_name(ablated_folding(name, wanted.in_flight)) for name in FOLDING_ABLATIONS}
    late = rows.filter(3 * pl.col("arrival") >= 2 * pl.col("arrivals"))
    frozen = {"method": ADAPTED, "folding": ways["frozen-agnostic"]}
    if found := difference(late, {"method": ADAPTED, "folding": ""}, frozen):
        yield _of(
            f"{encoder}: with feedback − frozen agnostic, MeH's AUC, last third of arrivals",
            found,
            "interval above 0",
            found.low > 0,
        )
    asynchronous = {"method": FINAL, "folding": ways["asynchronous"]}
    for name in ("synchronous", "staleness-0", "staleness-1"):
        if found := difference(rows, asynchronous, {"method": FINAL, "folding": ways[name]}):
            within = abs(found.mean) <= ASYNCHRONOUS if name == "synchronous" else None
            target = f"within {ASYNCHRONOUS}" if name == "synchronous" else "–"
            yield _of(f"{encoder}: asynchronous − {name}, final agnostic AUC", found, target, within)


def _initial_numbers(rows: pl.DataFrame, encoder: str, wanted: Wanted) -> Iterator[Claim]:
    """As Table VI (version 1 by architecture search against this encoder), and Table VIII at the other numbers."""
    for initial in sorted(wanted.initial):
        searched, own = ({"method": INITIAL, "initial": initial, "encoder": one} for one in (SEARCHED_ENCODER, encoder))
        if len(wanted.initial) > 1 and (found := average(rows, own)):
            yield _of(f"{encoder}, {initial} initial: agnostic AUC on these", found, "–", None)
        if found := difference(rows, searched, own):
            yield _of(f"{SEARCHED_ENCODER} − {encoder}, {initial} initial: agnostic AUC on these", found, "–", None)
    methods = rows.filter(pl.col("encoder") == encoder)
    for initial in sorted(wanted.initial[1:]):
        single = {"method": SINGLE, "initial": 0}
        meh, mel, ours = ({"method": one, "initial": initial} for one in (ADAPTED, PREDEFINED, SEARCHED))
        compared = {"MeH − SinH": (meh, single), "Ours − MeL": (ours, mel), "Ours − MeH": (ours, meh)}
        for name, sides in compared.items():
            if found := difference(methods, *sides):
                yield _of(f"{encoder}, {initial} initial: {name}, AUC", found, "–", None)


def _of(name: str, found: Comparison, target: str, holds: bool | None) -> Claim:
    return _claim(name, found.mean, target, holds, (found.low, found.high))


def _claim(
    name: str, figure: float, target: str, holds: bool | None, interval: tuple[float, float] | None = None
) -> Claim:
    rounded = (round(interval[0], 5), round(interval[1], 5)) if interval else None
    return Claim(name=name, figure=round(float(figure), 5), interval=rounded, target=target, holds=holds)
