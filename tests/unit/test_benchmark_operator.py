"""What the benchmark of the control plane makes of its measurements."""

import json
from pathlib import Path
from typing import Any

from benchmarks.operator.__main__ import COLUMNS, claims, growth, table

ROOT = Path(__file__).resolve().parents[2]


def row(scenarios: int, **measured: float) -> dict[str, Any]:
    usual = {"scenarios": scenarios, "heavyModels": 1, "firstJobsPerSecond": 90.0, "resyncShareOfACore": 0.1}
    return dict.fromkeys(COLUMNS, 1.0) | usual | measured


def test_growth_is_the_power_that_a_figure_follows():
    assert growth([row(n, coldStartCpuSeconds=0.03 * n) for n in (100, 500, 2000)], "coldStartCpuSeconds") == 1
    assert growth([row(n, coldStartCpuSeconds=0.001 * n**2) for n in (100, 500)], "coldStartCpuSeconds") == 2
    assert growth([row(n) for n in (100, 500)], "cpuPerChangeMilliseconds") == 0


def test_a_change_that_costs_more_the_more_scenarios_there_are_breaks_the_claim():
    found = claims([row(100), row(2000, cpuPerChangeMilliseconds=8.0, coldStartCpuSeconds=20.0)], None)
    broken = [claim.name for claim in found if not claim.holds]
    assert broken == ["of 1: CPU of a change follows N^"]


def test_an_idle_operator_that_asks_twice_a_minute_breaks_the_claim():
    found = claims([], {"requestsPerMinute": 2.0, "memoryMib": 90.0})
    assert [claim.holds for claim in found] == [False, True]


def test_the_page_shows_the_rows_of_the_result():
    content = json.loads((ROOT / "benchmarks/results/operator.json").read_text())
    page = (ROOT / "docs/benchmarks.md").read_text()
    assert table([one for one in content["rows"] if "scenarios" in one]) in page
