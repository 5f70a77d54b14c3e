"""Settled runs: which runs of each scenario were folded or rejected, as inclusive ranges.

`Settled` is what `Version.settled` holds. Pure values: every function returns a new one. Ranges of a scenario
are ascending, never touch (1–3 and 4–5 are 1–5), and stay few, since runs are numbered one after another.
"""

from collections.abc import Iterable, Mapping, Sequence

Ranges = list[tuple[int, int]]
Settled = dict[str, Ranges]


def is_settled(settled: Mapping[str, Sequence[tuple[int, int]]], scenario: str, run: int) -> bool:
    return any(first <= run <= last for first, last in settled.get(scenario, ()))


def merged(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """The same runs as ascending ranges that do not touch. Raises `ValueError` where one ends before it starts."""
    result: Ranges = []
    for first, last in sorted(ranges):
        if last < first:
            raise ValueError(f"a range of runs ends before it starts: {first}–{last}")
        if result and first <= result[-1][1] + 1:
            result[-1] = (result[-1][0], max(result[-1][1], last))
        else:
            result.append((first, last))
    return result


def with_runs(settled: Mapping[str, Sequence[tuple[int, int]]], runs: Iterable[tuple[str, int]]) -> Settled:
    """`settled` and the given (scenario, run) pairs."""
    result: Settled = {scenario: list(ranges) for scenario, ranges in settled.items()}
    touched: set[str] = set()
    for scenario, run in runs:
        result.setdefault(scenario, []).append((run, run))
        touched.add(scenario)
    for scenario in touched:
        result[scenario] = merged(result[scenario])
    return result
