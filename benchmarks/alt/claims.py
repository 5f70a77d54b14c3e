"""What ALT's comparison must show, as figures with intervals, targets, and whether they hold.

A claim appears where the rows it needs are there. What was expected of one data set comes from outside (`targets`);
what holds of any, as that nothing falls below what it builds on by more than noise, is judged on all.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from benchmarks.alt.methods import (
    ADAPTED,
    ADAPTED_AGAIN,
    BEFORE,
    BOOSTING,
    FINAL,
    FOLDING_ABLATIONS,
    INITIAL,
    LIGHT_ABLATIONS,
    POOLED_BOOSTING,
    PREDEFINED,
    PREDEFINED_AGAIN,
    PROFILE_ONLY,
    RANDOM,
    SEARCHED,
    SINGLE,
    SINGLE_PAPER_SCHEDULE,
    SINGLE_POOLED_SCHEDULE,
    TARGET_BOOSTING,
)  # fmt: skip
from benchmarks.alt.plan import Wanted, ablated_folding
from benchmarks.alt.protocol import SEARCHED_ENCODER
from benchmarks.alt.rows import folding_name
from benchmarks.alt.targets import Targets
from benchmarks.comparison.claims import above, above_zero, at_least, at_most, claim, not_below, shown, within
from benchmarks.comparison.results import Claim
from benchmarks.comparison.statistics import average, difference, pairs, ratio

ASYNCHRONOUS = 0.003


def claims(rows: pl.DataFrame, wanted: Wanted, budgets: Sequence[Mapping[str, Any]], targets: Targets) -> list[Claim]:
    """For each encoder, each figure beside the baselines it is judged by. rows: see `results`."""
    found: list[Claim] = []
    for method in (PROFILE_ONLY, POOLED_BOOSTING, BOOSTING, TARGET_BOOSTING):
        if one := average(rows.filter(pl.col("initial").is_in([0, wanted.initial[0]])), {"method": method}):
            found.append(at_least(f"{method}, scenario-average AUC", one, targets.averages.get(method)))
    for encoder in wanted.encoders:
        main = rows.filter(pl.col("initial").is_in([0, wanted.initial[0]]), pl.col("encoder").is_in([encoder, ""]))
        found += _quality(main.filter(pl.col("folding") == ""), encoder, targets)
        found += _cost(main.filter(pl.col("folding") == ""), encoder, targets)
        found += _ablations(main, encoder, wanted)
        found += _initial_numbers(rows.filter(pl.col("folding") == ""), encoder, wanted)
    if budgets:
        exceeded, drawn = (sum(one[name] for one in budgets) for name in ("exceeded", "budgets"))
        found.append(claim(f"budgets exceeded, of {drawn} random ones", exceeded, "= 0", exceeded == 0))
    return found


def _quality(own: pl.DataFrame, encoder: str, targets: Targets) -> Iterator[Claim]:
    meh, mel, ours = ({"method": method} for method in (ADAPTED, PREDEFINED, SEARCHED))
    heavy_again = difference(own, {"method": ADAPTED_AGAIN}, meh)
    light_again = difference(own, {"method": PREDEFINED_AGAIN}, mel)
    for method, again in ((ADAPTED, heavy_again), (PREDEFINED, light_again)):
        if again:
            yield shown(f"{encoder}: {method}, other seed − {method}, AUC (noise floor)", again)
    if found := difference(own, meh, {"method": SINGLE}):
        yield at_least(f"{encoder}: MeH − SinH, AUC", found, targets.meh_over_sinh)
        yield from _more_in_the_smaller_half(own, encoder)
    for other in (SINGLE_POOLED_SCHEDULE, SINGLE_PAPER_SCHEDULE, POOLED_BOOSTING, TARGET_BOOSTING):
        if found := difference(own, meh, {"method": other}):
            yield shown(f"{encoder}: MeH − {other}, AUC", found)
    if found := difference(own, meh, {"method": BEFORE}):
        yield not_below(f"{encoder}: MeH − {BEFORE}, AUC", found, heavy_again)
        yield from _scenarios_made_worse(own, encoder)
    for method in (SINGLE, ADAPTED, PREDEFINED, SEARCHED):
        if found := average(own, {"method": method}):
            yield at_least(f"{encoder}: {method}, scenario-average AUC", found, targets.averages.get(method))
    if found := difference(own, meh, {"method": BOOSTING}):
        yield at_least(f"{encoder}: MeH − boosting on all rows, AUC", found, targets.meh_to_boosting)
    if found := difference(own, mel, meh):
        yield not_below(f"{encoder}: MeL − MeH, AUC", found, light_again)
    if found := difference(own, ours, mel):
        yield above_zero(f"{encoder}: Ours − MeL, AUC", found)
        if light_again:
            yield not_below(f"{encoder}: Ours − MeL, AUC, beside noise", found, light_again)
    if found := ratio(own, ours, mel, "flops"):
        yield at_most(f"{encoder}: Ours ÷ MeL, FLOPs", found, 1)
    if found := difference(own, ours, meh):
        yield at_least(f"{encoder}: Ours − MeH, AUC", found, targets.ours_to_meh)
        if light_again:
            yield not_below(f"{encoder}: Ours − MeH, AUC, beside noise", found, light_again)


def _scenarios_made_worse(own: pl.DataFrame, encoder: str) -> Iterator[Claim]:
    """How many scenarios fine-tuning leaves below the version it began with, by more than another seed might.

    Of each scenario the mean over seeds. Its noise floor is 1.96 standard deviations, over scenarios, of what a second
    training differs by.
    """
    again = _by_scenario(own, ADAPTED_AGAIN, ADAPTED)
    if len(again) > 1:
        floor = 1.96 * float((again**2).mean()) ** 0.5  # type: ignore[arg-type]
        worse = int((_by_scenario(own, ADAPTED, BEFORE) < -floor).sum())
        name = f"{encoder}: scenarios in which MeH is below {BEFORE} by more than {floor:.4f} (noise floor of one)"
        yield claim(name, worse, "= 0", worse == 0)


def _by_scenario(own: pl.DataFrame, left: str, right: str) -> pl.Series:
    """Of each scenario the difference in AUC, mean over seeds."""
    both = pairs(own, {"method": left}, {"method": right}).with_columns(
        (pl.col("left") - pl.col("right")).alias("gain")
    )
    return both.group_by("scenario", maintain_order=True).agg(pl.col("gain").mean())["gain"]


def _more_in_the_smaller_half(rows: pl.DataFrame, encoder: str) -> Iterator[Claim]:
    """The halves by training rows of MeH's scenarios."""
    sizes = rows.filter(pl.col("method") == ADAPTED).group_by("scenario").agg(pl.col("training_rows").mean())
    by_size = sizes.sort("training_rows", "scenario")["scenario"].to_list()
    halves = (by_size[: len(by_size) // 2], by_size[len(by_size) // 2 :])
    smaller, larger = (
        difference(rows.filter(pl.col("scenario").is_in(half)), {"method": ADAPTED}, {"method": SINGLE})
        for half in halves
    )
    if smaller and larger:
        yield above(f"{encoder}: MeH − SinH in the smaller half, AUC", smaller, larger, "larger half")


def _cost(own: pl.DataFrame, encoder: str, targets: Targets) -> Iterator[Claim]:
    ours, meh = {"method": SEARCHED}, {"method": ADAPTED}
    if found := ratio(own, ours, meh, "flops"):
        yield at_most(f"{encoder}: Ours ÷ heavy, FLOPs", found, targets.flops_ratio)
    if found := ratio(own, ours, meh, "p50_milliseconds"):
        yield at_most(f"{encoder}: Ours ÷ heavy, median latency", found, targets.latency_ratio.get(encoder))
    seconds = own.filter(pl.col("method") == SEARCHED)["pipeline_seconds"].drop_nulls()
    if len(seconds):
        longest, most = float(seconds.max()), targets.pipeline_seconds  # type: ignore[arg-type]
        name = f"{encoder}: seconds from tables to exported light model, slowest scenario"
        yield claim(name, longest) if most is None else claim(name, longest, f"≤ {most:g}", longest <= most)


def _ablations(rows: pl.DataFrame, encoder: str, wanted: Wanted) -> Iterator[Claim]:
    for name in LIGHT_ABLATIONS:
        if found := difference(rows, {"method": SEARCHED, "folding": ""}, {"method": name}):
            kind = above_zero if name == RANDOM else shown
            yield kind(f"{encoder}: Ours − {name}, AUC", found)
        if found := ratio(rows, {"method": SEARCHED, "folding": ""}, {"method": name}, "flops"):
            yield shown(f"{encoder}: Ours ÷ {name}, FLOPs", found)
    ways = {name: folding_name(ablated_folding(name, wanted.in_flight)) for name in FOLDING_ABLATIONS}
    late = rows.filter(3 * pl.col("arrival") >= 2 * pl.col("arrivals"))
    frozen = {"method": ADAPTED, "folding": ways["frozen-agnostic"]}
    if found := difference(late, {"method": ADAPTED, "folding": ""}, frozen):
        yield above_zero(f"{encoder}: with feedback − frozen agnostic, MeH's AUC, last third of arrivals", found)
    asynchronous = {"method": FINAL, "folding": ways["asynchronous"]}
    for name in ("synchronous", "staleness-0", "staleness-1"):
        if found := difference(rows, asynchronous, {"method": FINAL, "folding": ways[name]}):
            title = f"{encoder}: asynchronous − {name}, final agnostic AUC"
            yield within(title, found, ASYNCHRONOUS) if name == "synchronous" else shown(title, found)


def _initial_numbers(rows: pl.DataFrame, encoder: str, wanted: Wanted) -> Iterator[Claim]:
    """As Table VI (version 1 by architecture search against this encoder), and Table VIII at the other numbers."""
    for initial in sorted(wanted.initial):
        searched, own = ({"method": INITIAL, "initial": initial, "encoder": one} for one in (SEARCHED_ENCODER, encoder))
        if len(wanted.initial) > 1 and (found := average(rows, own)):
            yield shown(f"{encoder}, {initial} initial: agnostic AUC on these", found)
        if found := difference(rows, searched, own):
            yield shown(f"{SEARCHED_ENCODER} − {encoder}, {initial} initial: agnostic AUC on these", found)
    methods = rows.filter(pl.col("encoder") == encoder)
    for initial in sorted(wanted.initial[1:]):
        single = {"method": SINGLE, "initial": 0}
        meh, mel, ours = ({"method": one, "initial": initial} for one in (ADAPTED, PREDEFINED, SEARCHED))
        compared = {"MeH − SinH": (meh, single), "Ours − MeL": (ours, mel), "Ours − MeH": (ours, meh)}
        for name, sides in compared.items():
            if found := difference(methods, *sides):
                yield shown(f"{encoder}, {initial} initial: {name}, AUC", found)
