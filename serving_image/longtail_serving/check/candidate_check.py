"""A check from beginning to end: rows from the store, answers from the servers, numbers for the verdict."""

import argparse
import asyncio
import math
from dataclasses import dataclass, replace

import numpy as np

from longtail_api.store_layout import model_card_key
from longtail_api.store_objects import CheckReport, ModelCard, RecordedRequest
from longtail_serving.check.asking import Answer, Server
from longtail_serving.check.lateness import Lateness, throttled_seconds
from longtail_serving.check.load import ask_each, drive
from longtail_serving.check.recorded import NotFitting, bodies, read_requests
from longtail_serving.check.scoring import LabelType, metric
from longtail_serving.check.verdict import ENOUGH_LATENCIES, Compared, Limits, Measured, judge
from longtail_serving.errors import FlagsInvalid
from longtail_store import ObjectMissing, Store, read_object

_SCORING_SECONDS = 120.0
"""Longest pass over the rows. Rows beyond it are not compared."""
_STABLE_READY_SECONDS = 10.0
_LOAD_SECONDS = 120.0
"""Longest load where the time asked for brings too few answers for a percentile."""


@dataclass(frozen=True)
class Side:
    """A version and where it answers."""

    version: str
    url: str


@dataclass(frozen=True)
class CheckOptions:
    """What `longtail-serving check` was asked for."""

    scenario: str
    model_name: str
    candidate: Side
    stable: Side | None
    requests_key: str
    labels: dict[str, LabelType]
    """Type by name, the primary label first."""
    seconds: float
    concurrency: int
    ready_seconds: float
    limits: Limits

    @classmethod
    def of(cls, options: argparse.Namespace) -> "CheckOptions":
        """Raises `FlagsInvalid` where only one of --stable and --stable-url is given."""
        if bool(options.stable) != bool(options.stable_url):
            raise FlagsInvalid("longtail-serving check: give --stable and --stable-url together, or neither")
        return cls(
            scenario=options.scenario,
            model_name=options.model_name,
            candidate=Side(options.candidate, options.candidate_url),
            stable=Side(options.stable, options.stable_url) if options.stable else None,
            requests_key=options.requests_key,
            labels=options.labels,
            seconds=options.seconds,
            concurrency=options.concurrency,
            ready_seconds=options.ready_seconds,
            limits=Limits(options.p99_milliseconds, options.max_error_rate, options.max_regression),
        )


def check(store: Store, options: CheckOptions) -> CheckReport:
    """Measure and judge. Raises the store's errors, except for missing rows, which are a finding."""
    return judge(asyncio.run(_measured(store, options)), options.limits)


async def _measured(store: Store, options: CheckOptions) -> Measured:
    candidate = options.candidate
    nothing = Measured(
        candidate=candidate.version,
        stable=options.stable.version if options.stable else None,
    )
    try:
        rows = read_requests(store, options.requests_key)
    except ObjectMissing:
        rows = []
    if not rows:
        return nothing
    card = read_object(store, model_card_key(options.scenario, candidate.version), ModelCard)
    asked = bodies(rows, card)
    if isinstance(asked, NotFitting):
        return replace(nothing, rows=len(rows), not_ready=f"it can't be asked: {asked.reason}")
    throttled = throttled_seconds()
    async with (
        Lateness() as lateness,
        Server(candidate.url, options.model_name, candidate.version, options.concurrency, lateness) as server,
    ):
        not_ready = await server.wait_until_ready(options.ready_seconds)
        if not_ready:
            return replace(nothing, rows=len(rows), not_ready=not_ready)
        once = await ask_each(server, asked, options.concurrency, _SCORING_SECONDS)
        stable_once, not_compared = await _stable_answers(store, options, rows, lateness)
        enough = ENOUGH_LATENCIES if options.limits.p99_milliseconds is not None else 0
        load = await drive(server, asked, options.concurrency, options.seconds, enough, _LOAD_SECONDS)
    nothing = replace(nothing, throttled_seconds=throttled_seconds() - throttled)
    sides = [once] if stable_once is None else [once, stable_once]
    compared = tuple(_compared(rows, sides, label, kind) for label, kind in options.labels.items())
    if all(one.candidate is None for one in compared):
        not_compared = "; ".join(filter(None, (not_compared, *map(_not_estimable, compared[:1]))))
    found = replace(nothing, rows=len(rows), compared=compared, not_compared=not_compared)
    return _with_answers(found, once, load)


async def _stable_answers(
    store: Store, options: CheckOptions, rows: list[RecordedRequest], lateness: Lateness
) -> tuple[list[Answer | None] | None, str]:
    """The stable version's answers to the rows; or None, and why there are none."""
    if options.stable is None:
        return None, "there is no stable version"
    version = options.stable.version
    try:
        card = read_object(store, model_card_key(options.scenario, version), ModelCard)
    except ObjectMissing:
        return None, f"model.json of {version} is not in the store"
    asked = bodies(rows, card)
    if isinstance(asked, NotFitting):
        return None, f"{version} takes other inputs: {asked.reason}"
    async with Server(options.stable.url, options.model_name, version, options.concurrency, lateness) as server:
        not_ready = await server.wait_until_ready(_STABLE_READY_SECONDS)
        if not_ready:
            return None, f"{version} is not ready: {not_ready}"
        answers = await ask_each(server, asked, options.concurrency, _SCORING_SECONDS)
    errors = [answer.error for answer in answers if answer is not None and answer.error]
    if len(errors) == sum(answer is not None for answer in answers):
        return None, f"{version} answered no row (first: {errors[0] if errors else 'out of time'})"
    return answers, ""


def _compared(
    rows: list[RecordedRequest], sides: list[list[Answer | None]], label: str, label_type: LabelType
) -> Compared:
    """The figure of each side, the candidate first, on the rows that have the label and that every side answered."""
    labels: list[float] = []
    scores: list[list[float]] = [[] for _ in sides]
    for number, row in enumerate(rows):
        value = row.labels.get(label)
        found = [_score(side[number], label) for side in sides]
        if value is not None and all(map(math.isfinite, found)):
            labels.append(value)
            for values, score in zip(scores, found, strict=True):
                values.append(score)
    figures = [metric(label_type, values, labels) for values in scores]
    return Compared(label, label_type, len(labels), figures[0], figures[1] if len(figures) > 1 else None)


def _score(answer: Answer | None, label: str) -> float:
    """NaN where there is none."""
    return math.nan if answer is None else answer.scores.get(label, math.nan)


def _not_estimable(one: Compared) -> str:
    if not one.rows:
        return f"no row has both a label {one.label} and its score from every side"
    return f"all {one.rows} rows have the same {one.label}, so that there is no AUC"


def _with_answers(measured: Measured, once: list[Answer | None], load: list[Answer]) -> Measured:
    """Counts over both passes, percentiles of the load.

    A request that had no response while the checker itself could not run for most of its time says nothing of the
    server, and is none.
    """
    every = [answer for answer in once if answer is not None] + load
    answers = [answer for answer in every if answer.responded or answer.late <= answer.seconds / 2]
    good = [answer for answer in load if not answer.error]
    p50, p99 = _percentiles([answer.seconds for answer in good])
    least_p50, least_p99 = _percentiles([max(0.0, answer.seconds - answer.late) for answer in good])
    return replace(
        measured,
        requests=len(answers),
        responses=sum(answer.responded for answer in answers),
        errors=sum(bool(answer.error) for answer in answers),
        first_error=next((answer.error for answer in answers if answer.error), ""),
        not_finite=sum(not answer.finite for answer in answers),
        latencies=len(good),
        p50_milliseconds=p50,
        p99_milliseconds=p99,
        least_p50_milliseconds=least_p50,
        least_p99_milliseconds=least_p99,
    )


def _percentiles(seconds: list[float]) -> tuple[float | None, float | None]:
    """p50 and p99, in milliseconds; None where there is nothing to take them of."""
    if not seconds:
        return None, None
    p50, p99 = np.percentile(seconds, [50, 99]) * 1000
    return float(p50), float(p99)
