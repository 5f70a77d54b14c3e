"""Ranges of settled runs are a set of numbers, written short."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longtail_store.settled import is_settled, merged, with_runs

RUNS = st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 30)), max_size=40)


@given(RUNS, RUNS)
def test_exactly_the_runs_added_are_settled(first: list[tuple[str, int]], second: list[tuple[str, int]]) -> None:
    settled = with_runs(with_runs({}, first), second)
    members = {(scenario, run) for scenario in "abcd" for run in range(35) if is_settled(settled, scenario, run)}
    assert members == {*first, *second}


@given(RUNS, st.randoms())
def test_the_order_of_settling_leaves_no_trace(runs: list[tuple[str, int]], random) -> None:
    shuffled = list(runs)
    random.shuffle(shuffled)
    assert with_runs({}, shuffled) == with_runs({}, runs)


@given(RUNS)
def test_ranges_ascend_and_never_touch(runs: list[tuple[str, int]]) -> None:
    for ranges in with_runs({}, runs).values():
        assert all(first <= last for first, last in ranges)
        assert all(before[1] + 1 < after[0] for before, after in pairwise(ranges))


def test_runs_one_after_another_are_one_range() -> None:
    assert with_runs({}, [("a", run) for run in range(1, 1001)]) == {"a": [(1, 1000)]}


def test_settling_changes_no_earlier_value() -> None:
    before = {"a": [(1, 1)]}
    with_runs(before, [("a", 2), ("b", 1)])
    assert before == {"a": [(1, 1)]}


def test_a_range_that_ends_before_it_starts_is_refused() -> None:
    with pytest.raises(ValueError, match="ends before it starts"):
        merged([(3, 1)])
