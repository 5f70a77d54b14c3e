"""The verdict on a candidate: a pure function of what was measured and of the limits."""

from dataclasses import dataclass
from typing import Literal

from longtail_api.conditions import Reason
from longtail_api.store_objects import CheckReport
from longtail_serving.check.scoring import LabelType
from longtail_serving.termination import shortened

_TOLERANCE = 1e-9
"""0.80 − 0.78 is a little more than 0.02 in floating point."""
ENOUGH_LATENCIES = 200
"""Of fewer the p99 is hardly more than the slowest one."""


@dataclass(frozen=True)
class Limits:
    """What a candidate must keep; None: not asked."""

    p99_milliseconds: float | None = None
    max_error_rate: float | None = None
    max_regression: float | None = None
    """AUC: how much lower than the stable version's. RMSE: by what share of the stable version's higher."""


@dataclass(frozen=True)
class Compared:
    """One label's figure on the rows that have the label and that every side answered: AUC, or RMSE of a regression."""

    label: str
    label_type: LabelType
    rows: int = 0
    candidate: float | None = None
    """None where it can't be estimated."""
    stable: float | None = None
    """None also where there is no stable version."""

    @property
    def worse(self) -> float | None:
        """How much worse the candidate is: by AUC, or by a share of the stable version's RMSE, which has the label's
        unit. Below 0 where it is better; None where that can't be told."""
        if self.candidate is None or self.stable is None:
            return None
        if self.label_type == "binary":
            return self.stable - self.candidate
        return (self.candidate - self.stable) / max(self.stable, _TOLERANCE)


@dataclass(frozen=True)
class Measured:
    """What was seen of a candidate, over the scoring pass and the load together."""

    candidate: str
    stable: str | None = None
    rows: int = 0
    """Recorded rows there were to ask."""
    not_ready: str = ""
    """Why nothing could be asked; empty where something was."""
    requests: int = 0
    responses: int = 0
    """Requests with an HTTP response, whatever its status."""
    errors: int = 0
    """Requests without a good answer: other statuses, time-outs, broken connections."""
    first_error: str = ""
    not_finite: int = 0
    """Good answers with a score that is no number."""
    latencies: int = 0
    """Good answers under load, which the percentiles are of."""
    p50_milliseconds: float | None = None
    p99_milliseconds: float | None = None
    least_p50_milliseconds: float | None = None
    """Without the time in which the checker itself could not run: the server took no less. None: as seen."""
    least_p99_milliseconds: float | None = None
    throttled_seconds: float = 0.0
    """How long the checker was kept from running by its CPU limit."""
    compared: tuple[Compared, ...] = ()
    """Every label, the primary one first."""
    not_compared: str = ""
    """Why the candidate can't be compared with a stable version; empty where it can, or none was asked for."""

    @property
    def worst(self) -> Compared | None:
        """The label whose figure fell most; the primary one where none can be compared."""
        known = [one for one in self.compared if one.worse is not None]
        return max(known, key=lambda one: one.worse or 0.0, default=next(iter(self.compared), None))


@dataclass(frozen=True)
class Finding:
    """Something that is wrong with the candidate."""

    reason: Reason
    words: str


def judge(measured: Measured, limits: Limits) -> CheckReport:
    """Passed, Failed or Inconclusive, with the words why.

    Nothing measured is never a pass. What fails is listed in full; the first finding gives the reason. A comparison
    that can't be made (no stable version, other inputs, one class) fails nobody, but the message says so.
    """
    unknown = _unknown(measured)
    if unknown:
        return _report(measured, "Inconclusive", Reason.CHECK_INCONCLUSIVE, unknown)
    findings = [
        *_errors(measured, limits),
        *_not_finite(measured),
        *_regression(measured, limits),
        *_slow(measured, limits),
    ]
    if findings:
        words = "; ".join(finding.words for finding in findings)
        return _report(measured, "Failed", findings[0].reason, f"{measured.candidate}: {words}")
    unmeasured = _unmeasured(measured, limits)
    if unmeasured:
        return _report(measured, "Inconclusive", Reason.CHECK_INCONCLUSIVE, f"{measured.candidate} {unmeasured}")
    return _report(measured, "Passed", Reason.SUCCEEDED, _summary(measured, limits))


def _unknown(measured: Measured) -> str:
    """Why there is nothing to judge; empty where there is something."""
    if measured.not_ready:
        return f"{measured.candidate} did not become ready: {measured.not_ready}"
    if not measured.rows:
        return f"there are no recorded requests to ask {measured.candidate}; give the scenario test rows"
    if not measured.responses:
        return (
            f"{measured.candidate} answered none of {measured.requests} requests"
            + (f" (first: {measured.first_error})" if measured.first_error else "")
            + "; look at its pods and at network policies"
        )
    return ""


def _errors(measured: Measured, limits: Limits) -> list[Finding]:
    rate = measured.errors / measured.requests
    words = f"{measured.errors} of {measured.requests} requests failed"
    first = f" (first: {measured.first_error})"
    if limits.max_error_rate is not None and rate > limits.max_error_rate + _TOLERANCE:
        return [Finding(Reason.CHECK_FAILED, f"{words}, {rate:.2%}; at most {limits.max_error_rate:.2%} may{first}")]
    if measured.errors == measured.requests:  # whatever the limit: nothing else about it is known
        return [Finding(Reason.CHECK_FAILED, f"{words}{first}")]
    return []


def _not_finite(measured: Measured) -> list[Finding]:
    if not measured.not_finite:
        return []
    return [Finding(Reason.CHECK_FAILED, f"{measured.not_finite} answers hold scores that are not finite")]


def _regression(measured: Measured, limits: Limits) -> list[Finding]:
    """One finding a label: the worst one decides, and each that is worse than it may be is told."""
    limit = limits.max_regression
    if limit is None:
        return []
    allowed = {"binary": f"it may be {limit:g} lower", "regression": f"it may be {limit:.2%} higher"}
    fallen = [one for one in measured.compared if one.worse is not None and one.worse > limit + _TOLERANCE]
    return [
        Finding(Reason.REGRESSION, f"{_comparison(one, measured)}; {allowed[one.label_type]}")
        for one in sorted(fallen, key=lambda one: -(one.worse or 0.0))
    ]


def _slow(measured: Measured, limits: Limits) -> list[Finding]:
    """Slow is what breaks the SLO even without the checker's own lateness; of few requests, where half of them do."""
    name, least = "p99", _least(measured.least_p99_milliseconds, measured.p99_milliseconds)
    if measured.latencies < ENOUGH_LATENCIES:
        name, least = "p50", _least(measured.least_p50_milliseconds, measured.p50_milliseconds)
    if least is None or limits.p99_milliseconds is None or least <= limits.p99_milliseconds:
        return []
    words = f"{name} is {least:.1f} ms over {measured.latencies} requests under load"
    return [Finding(Reason.SLO_CHECK_FAILED, f"{words}, the SLO {limits.p99_milliseconds:g} ms (p99)")]


def _least(least: float | None, seen: float | None) -> float | None:
    return seen if least is None else least


def _unmeasured(measured: Measured, limits: Limits) -> str:
    """Why the candidate, with which nothing is wrong, can't be said to keep the SLO; empty where it can."""
    if not measured.latencies:
        return "was not measured under load: no good answer in that time"
    slo, p99 = limits.p99_milliseconds, measured.p99_milliseconds
    if slo is None or p99 is None:
        return ""
    if measured.latencies < ENOUGH_LATENCIES:
        return (
            f"answered {measured.latencies} requests under load, too few for a p99 (at least {ENOUGH_LATENCIES}); "
            "raise serving.rollout.checkSeconds or checkConcurrency, or look at what else keeps the node busy"
        )
    if p99 > slo:
        least = _least(measured.least_p99_milliseconds, p99)
        throttled = f", throttled for {measured.throttled_seconds:.1f} s" if measured.throttled_seconds else ""
        return (
            f"was asked by a check that was itself late{throttled}: p99 is {p99:.1f} ms as seen and {least:.1f} ms "
            f"without its own delays, the SLO {slo:g} ms; the node is busy, or "
            "serving.rollout.checkConcurrency too high"
        )
    return ""


def _comparison(one: Compared, measured: Measured) -> str:
    name = "AUC" if one.label_type == "binary" else "RMSE"
    return (
        f"{name} of {one.label} is {one.candidate:.4f}, that of {measured.stable} "
        f"{one.stable:.4f} on the same {one.rows} rows"
    )


def _summary(measured: Measured, limits: Limits) -> str:
    """What a pass rests on."""
    parts = [f"{measured.candidate}: {measured.requests} requests, {measured.errors} failed"]
    if measured.p99_milliseconds is not None:
        slo = "" if limits.p99_milliseconds is None else f" (SLO {limits.p99_milliseconds:g} ms)"
        parts.append(f"p99 {measured.p99_milliseconds:.1f} ms{slo}")
    worst = measured.worst
    if worst is not None and worst.worse is not None:
        parts.append(_comparison(worst, measured))
    elif measured.not_compared:
        parts.append(f"not compared: {measured.not_compared}")
    return ", ".join(parts)


def _report(
    measured: Measured, verdict: Literal["Passed", "Failed", "Inconclusive"], reason: Reason, message: str
) -> CheckReport:
    worst = measured.worst
    candidate, stable = (None, None) if worst is None else (worst.candidate, worst.stable)
    binary = worst is None or worst.label_type == "binary"
    return CheckReport(
        verdict=verdict,
        reason=reason.value,
        message=shortened(message),
        candidate=measured.candidate,
        stable=measured.stable,
        requests=measured.requests,
        errors=measured.errors,
        p50_milliseconds=measured.p50_milliseconds,
        p99_milliseconds=measured.p99_milliseconds,
        label=worst.label if worst is not None else None,
        candidate_auc=candidate if binary else None,
        stable_auc=stable if binary else None,
        candidate_rmse=None if binary else candidate,
        stable_rmse=None if binary else stable,
    )
