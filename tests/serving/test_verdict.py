"""The verdict on a candidate."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from longtail_serving.check.scoring import LabelType
from longtail_serving.check.verdict import Compared, Limits, Measured, judge

LIMITS = Limits(p99_milliseconds=20, max_error_rate=0.01, max_regression=0.02)
GOOD = Measured(
    candidate="v4",
    stable="v3",
    rows=400,
    requests=1000,
    responses=1000,
    latencies=600,
    p50_milliseconds=3.0,
    p99_milliseconds=9.5,
    compared=(Compared("click", "binary", 400, 0.80, 0.80),),
)


def with_figure(candidate: float, stable: float | None = 0.80, kind: LabelType = "binary") -> Measured:
    return replace(GOOD, compared=(Compared("click", kind, 400, candidate, stable),))


def test_a_candidate_within_all_limits_passes_and_the_message_has_the_figures():
    report = judge(GOOD, LIMITS)
    assert (report.verdict, report.reason) == ("Passed", "Succeeded")
    assert "p99 9.5 ms (SLO 20 ms)" in report.message
    assert "0.8000" in report.message


def test_a_slow_candidate_fails_the_slo_with_both_numbers():
    report = judge(replace(GOOD, p99_milliseconds=41.04), LIMITS)
    assert (report.verdict, report.reason) == ("Failed", "SLOCheckFailed")
    assert "41.0 ms" in report.message
    assert "20 ms" in report.message


def test_a_p99_that_the_checkers_own_lateness_explains_is_inconclusive_and_says_how_late_it_was():
    starved = replace(GOOD, p99_milliseconds=2441.1, least_p99_milliseconds=9.0, throttled_seconds=3.2)
    report = judge(starved, LIMITS)
    assert (report.verdict, report.reason) == ("Inconclusive", "CheckInconclusive")
    assert all(words in report.message for words in ("2441.1 ms", "9.0 ms", "throttled for 3.2 s"))


def test_a_candidate_that_is_slow_beyond_the_checkers_lateness_fails():
    report = judge(replace(GOOD, p99_milliseconds=60.0, least_p99_milliseconds=41.0), LIMITS)
    assert (report.verdict, report.reason) == ("Failed", "SLOCheckFailed")
    assert "41.0 ms" in report.message


def test_few_latencies_are_inconclusive_where_a_p99_is_asked_for():
    few = replace(GOOD, latencies=199)
    assert judge(few, LIMITS).verdict == "Inconclusive"
    assert judge(replace(few, p99_milliseconds=2441.1), LIMITS).verdict == "Inconclusive"
    assert judge(few, Limits(max_error_rate=0.01)).verdict == "Passed"


def test_of_few_latencies_half_beyond_the_slo_are_enough_to_fail():
    report = judge(replace(GOOD, latencies=30, p50_milliseconds=700.0, p99_milliseconds=900.0), LIMITS)
    assert (report.verdict, report.reason) == ("Failed", "SLOCheckFailed")
    assert "p50 is 700.0 ms over 30 requests" in report.message


def test_a_p99_at_the_slo_keeps_it():
    assert judge(replace(GOOD, p99_milliseconds=20.0), LIMITS).verdict == "Passed"


def test_a_lower_auc_than_the_stable_versions_is_a_regression():
    report = judge(with_figure(0.77), LIMITS)
    assert (report.verdict, report.reason) == ("Failed", "RegressionFound")
    assert "0.7700" in report.message
    assert "0.8000" in report.message


def test_an_auc_lower_by_just_the_limit_is_none():
    assert 0.80 - 0.78 > 0.02  # in floating point
    assert judge(with_figure(0.78), LIMITS).verdict == "Passed"


def test_a_higher_auc_passes_whatever_the_limit():
    assert judge(with_figure(0.95), replace(LIMITS, max_regression=0.0)).verdict == "Passed"


def test_an_error_of_a_regression_may_grow_by_the_share():
    assert judge(with_figure(102.0, 100.0, "regression"), LIMITS).verdict == "Passed"
    assert judge(with_figure(50.0, 100.0, "regression"), LIMITS).verdict == "Passed"
    report = judge(with_figure(102.5, 100.0, "regression"), LIMITS)
    assert (report.reason, report.candidate_rmse, report.candidate_auc) == ("RegressionFound", 102.5, None)


def test_of_several_labels_the_worst_one_counts():
    """The primary label is better, another one fell."""
    labels = (
        Compared("click", "binary", 400, 0.85, 0.80),
        Compared("spend", "regression", 300, 110.0, 100.0),
        Compared("order", "binary", 90, 0.76, 0.80),
    )
    report = judge(replace(GOOD, compared=labels), LIMITS)
    assert (report.verdict, report.reason, report.label) == ("Failed", "RegressionFound", "spend")
    assert (report.candidate_rmse, report.stable_rmse, report.candidate_auc) == (110.0, 100.0, None)
    assert report.message.index("RMSE of spend is 110.0000") < report.message.index("AUC of order is 0.7600")
    assert "click" not in report.message


def test_a_label_that_can_not_be_compared_hides_no_other():
    labels = (Compared("click", "binary", 0), Compared("order", "binary", 90, 0.70, 0.80))
    assert judge(replace(GOOD, compared=labels), LIMITS).reason == "RegressionFound"


def test_a_pass_shows_the_label_that_fell_most():
    labels = (Compared("click", "binary", 400, 0.80, 0.80), Compared("order", "binary", 90, 0.79, 0.80))
    report = judge(replace(GOOD, compared=labels), LIMITS)
    assert (report.verdict, report.label, report.candidate_auc) == ("Passed", "order", 0.79)
    assert "AUC of order is 0.7900" in report.message


def test_too_many_errors_fail_with_the_first_of_them():
    report = judge(replace(GOOD, errors=11, first_error="400 input 'x' is missing"), LIMITS)
    assert (report.verdict, report.reason) == ("Failed", "CheckFailed")
    assert "11 of 1000" in report.message
    assert "input 'x' is missing" in report.message


def test_errors_within_the_rate_pass():
    assert judge(replace(GOOD, errors=10), LIMITS).verdict == "Passed"


def test_only_errors_fail_even_where_no_rate_is_asked():
    none_good = replace(GOOD, errors=1000, latencies=0, p99_milliseconds=None, first_error="500 oh")
    assert judge(none_good, Limits()).reason == "CheckFailed"


def test_errors_beyond_the_rate_fail_even_where_no_latency_was_measured():
    report = judge(replace(GOOD, errors=500, latencies=0, p99_milliseconds=None), LIMITS)
    assert report.reason == "CheckFailed"


def test_scores_that_are_not_finite_fail():
    assert judge(replace(GOOD, not_finite=1), LIMITS).reason == "CheckFailed"


def test_every_finding_is_in_the_message_and_wrong_answers_come_before_slow_ones():
    report = judge(replace(with_figure(0.5), not_finite=3, p99_milliseconds=99.0), LIMITS)
    assert report.reason == "CheckFailed"
    assert all(words in report.message for words in ("3 answers", "0.5000", "99.0 ms"))


def test_a_comparison_that_can_not_be_made_passes_with_words():
    alone = replace(with_figure(0.8, None), not_compared="v3 takes other inputs")
    report = judge(alone, LIMITS)
    assert report.verdict == "Passed"
    assert "not compared: v3 takes other inputs" in report.message


def test_no_rows_is_inconclusive():
    report = judge(Measured(candidate="v4"), LIMITS)
    assert (report.verdict, report.reason) == ("Inconclusive", "CheckInconclusive")


def test_a_candidate_that_never_was_ready_is_inconclusive():
    assert judge(replace(GOOD, not_ready="503"), LIMITS).verdict == "Inconclusive"


def test_a_candidate_that_answered_nothing_is_inconclusive():
    silent = replace(GOOD, responses=0, errors=1000, latencies=0, p99_milliseconds=None)
    assert judge(silent, LIMITS).verdict == "Inconclusive"


def test_a_candidate_without_a_good_answer_under_load_is_inconclusive():
    assert judge(replace(GOOD, latencies=0, errors=5, p99_milliseconds=None), LIMITS).verdict == "Inconclusive"


metrics = st.none() | st.floats(0, 1)
figures = st.builds(
    Compared, st.just("click"), st.sampled_from(["binary", "regression"]), st.integers(0, 500), metrics, metrics
)
measurements = st.builds(
    Measured,
    candidate=st.just("v4"),
    stable=st.none() | st.just("v3"),
    rows=st.integers(0, 500),
    not_ready=st.sampled_from(["", "503"]),
    requests=st.integers(1, 1000),
    responses=st.integers(0, 1000),
    errors=st.integers(0, 1000),
    first_error=st.text(max_size=2000),
    not_finite=st.integers(0, 5),
    latencies=st.integers(0, 1000),
    p50_milliseconds=st.none() | st.floats(0, 1e6),
    p99_milliseconds=st.none() | st.floats(0, 1e6),
    compared=st.lists(figures, max_size=3).map(tuple),
    not_compared=st.text(max_size=2000),
).filter(lambda measured: max(measured.responses, measured.errors) <= measured.requests)
limits = st.builds(
    Limits,
    p99_milliseconds=st.none() | st.floats(0.1, 1e5),
    max_error_rate=st.none() | st.floats(0, 1),
    max_regression=st.none() | st.floats(0, 1),
)


@given(measurements, limits)
def test_a_pass_rests_on_answers_and_breaks_no_limit(measured: Measured, limit: Limits):
    report = judge(measured, limit)
    assert len(report.message) <= 1000
    if report.verdict != "Passed":
        return
    assert measured.rows
    assert measured.responses
    assert measured.latencies
    assert not measured.not_finite
    if limit.max_error_rate is not None:
        assert measured.errors / measured.requests <= limit.max_error_rate + 1e-9
    if limit.p99_milliseconds is not None and measured.p99_milliseconds is not None:
        assert measured.p99_milliseconds <= limit.p99_milliseconds


@given(measurements, limits, st.floats(0, 1e6))
def test_a_slower_candidate_never_fares_better(measured: Measured, limit: Limits, more: float):
    rank = ["Passed", "Inconclusive", "Failed"]
    slower = replace(measured, p99_milliseconds=(measured.p99_milliseconds or 0) + more)
    assert rank.index(judge(slower, limit).verdict) >= rank.index(judge(measured, limit).verdict)


@given(measurements, limits)
def test_wider_limits_never_fail_what_narrower_ones_passed(measured: Measured, limit: Limits):
    if judge(measured, limit).verdict == "Passed":
        assert judge(measured, Limits()).verdict == "Passed"
