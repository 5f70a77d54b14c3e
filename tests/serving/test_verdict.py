"""The verdict on a candidate."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from longtail_serving.check.verdict import Limits, Measured, judge

LIMITS = Limits(p99_milliseconds=20, max_error_rate=0.01, max_regression=0.02)
GOOD = Measured(
    candidate="v4",
    stable="v3",
    label="click",
    label_type="binary",
    rows=400,
    requests=1000,
    responses=1000,
    latencies=600,
    p50_milliseconds=3.0,
    p99_milliseconds=9.5,
    candidate_metric=0.80,
    stable_metric=0.80,
    compared_rows=400,
)


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


def test_a_p99_at_the_slo_keeps_it():
    assert judge(replace(GOOD, p99_milliseconds=20.0), LIMITS).verdict == "Passed"


def test_a_lower_auc_than_the_stable_versions_is_a_regression():
    report = judge(replace(GOOD, candidate_metric=0.77), LIMITS)
    assert (report.verdict, report.reason) == ("Failed", "RegressionFound")
    assert "0.7700" in report.message
    assert "0.8000" in report.message


def test_an_auc_lower_by_just_the_limit_is_none():
    assert 0.80 - 0.78 > 0.02  # in floating point
    assert judge(replace(GOOD, candidate_metric=0.78), LIMITS).verdict == "Passed"


def test_a_higher_auc_passes_whatever_the_limit():
    assert judge(replace(GOOD, candidate_metric=0.95), replace(LIMITS, max_regression=0.0)).verdict == "Passed"


def test_an_error_of_a_regression_may_grow_by_the_share():
    rmse = replace(GOOD, label_type="regression", stable_metric=100.0)
    assert judge(replace(rmse, candidate_metric=102.0), LIMITS).verdict == "Passed"
    assert judge(replace(rmse, candidate_metric=50.0), LIMITS).verdict == "Passed"
    report = judge(replace(rmse, candidate_metric=102.5), LIMITS)
    assert (report.reason, report.candidate_rmse, report.candidate_auc) == ("RegressionFound", 102.5, None)


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
    report = judge(replace(GOOD, not_finite=3, candidate_metric=0.5, p99_milliseconds=99.0), LIMITS)
    assert report.reason == "CheckFailed"
    assert all(words in report.message for words in ("3 answers", "0.5000", "99.0 ms"))


def test_a_comparison_that_can_not_be_made_passes_with_words():
    alone = replace(GOOD, stable_metric=None, not_compared="v3 takes other inputs")
    report = judge(alone, LIMITS)
    assert report.verdict == "Passed"
    assert "not compared: v3 takes other inputs" in report.message


def test_no_rows_is_inconclusive():
    report = judge(Measured(candidate="v4", label="click", label_type="binary"), LIMITS)
    assert (report.verdict, report.reason) == ("Inconclusive", "CheckInconclusive")


def test_a_candidate_that_never_was_ready_is_inconclusive():
    assert judge(replace(GOOD, not_ready="503"), LIMITS).verdict == "Inconclusive"


def test_a_candidate_that_answered_nothing_is_inconclusive():
    silent = replace(GOOD, responses=0, errors=1000, latencies=0, p99_milliseconds=None)
    assert judge(silent, LIMITS).verdict == "Inconclusive"


def test_a_candidate_without_a_good_answer_under_load_is_inconclusive():
    assert judge(replace(GOOD, latencies=0, errors=5, p99_milliseconds=None), LIMITS).verdict == "Inconclusive"


metrics = st.none() | st.floats(0, 1)
measurements = st.builds(
    Measured,
    candidate=st.just("v4"),
    stable=st.none() | st.just("v3"),
    label=st.just("click"),
    label_type=st.sampled_from(["binary", "regression"]),
    rows=st.integers(0, 500),
    not_ready=st.sampled_from(["", "503"]),
    requests=st.integers(1, 1000),
    responses=st.integers(0, 1000),
    errors=st.integers(0, 1000),
    first_error=st.text(max_size=2000),
    not_finite=st.integers(0, 5),
    latencies=st.integers(0, 1000),
    p99_milliseconds=st.none() | st.floats(0, 1e6),
    candidate_metric=metrics,
    stable_metric=metrics,
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
