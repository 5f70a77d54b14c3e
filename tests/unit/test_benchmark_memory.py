"""The benchmarks of memory: which sets they make and what they claim; and, slow, both on tiny tables."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import prepare_memory, training_memory
from benchmarks.comparison.results import Claim
from benchmarks.memory import LIMIT_MIB, report
from benchmarks.training_memory import (
    OF_POOL,
    SEARCHED,
    STEPS,
    DataSet,
    Measured,
    claims,
    data_sets,
    table,
    with_foundations,
)

ROOT = Path(__file__).resolve().parents[2]


def row(step: str, peak_mib: float, events: int = 2_000, scenarios: int = 1, epochs: int = 1) -> Measured:
    return Measured(step, events, scenarios, events // 10, epochs, seconds=1, cpu_seconds=1, peak_mib=peak_mib)


def rows(peak_mib: float, **of_set: int) -> list[Measured]:
    return [row(step, peak_mib, **of_set) for step in STEPS]


def failing(found: list[Claim]) -> list[str]:
    return [claim.name for claim in found if not claim.holds]


def test_every_size_is_trained_on_once_the_smallest_longer_and_the_largest_spread():
    assert data_sets([20, 2, 20], scenarios=4, epochs=3) == [
        DataSet(2),
        DataSet(20),
        DataSet(2, epochs=3),
        DataSet(20, scenarios=4),
    ]
    assert data_sets([2], scenarios=1, epochs=1) == [DataSet(2)]


def test_a_step_is_measured_with_all_that_it_builds_on():
    assert with_foundations(STEPS) == list(STEPS)
    assert with_foundations(["search", "meta-train"]) == ["prepare", "initialize", "adapt", "search", "meta-train"]
    some = [row(step, 900) for step in with_foundations([SEARCHED])]
    assert [claim.name for claim in claims(some)] == [
        f"peak memory of {step} at 2,000 events, MiB" for step in ("prepare", SEARCHED)
    ]
    assert table(some).splitlines()[2] == "| 2,000 | 1 | 200 | 1 | 900 MiB, 1 s | 900 MiB, 1 s |"


def test_the_limit_holds_for_every_step_at_the_largest_size_however_it_is_spread():
    small, large = rows(LIMIT_MIB + 1.0, events=10), rows(900)
    assert not failing(claims([*small, *large, *rows(800, scenarios=4)]))
    spread = rows(800, scenarios=4)
    spread[1] = replace(spread[1], peak_mib=float(LIMIT_MIB))
    assert failing(claims([*small, *large, *spread])) == ["peak memory of initialize at 2,000 events, MiB"]


def test_epochs_must_cost_no_memory():
    once, often = rows(1_000), rows(1_050, epochs=3)
    assert not failing(claims([*once, *often]))
    at = STEPS.index("train-light")
    often[at] = replace(often[at], peak_mib=1_200)
    assert failing(claims([*once, *often])) == [
        "peak memory of train-light with 3 epochs over that with 1, at 2,000 events"
    ]


def test_prepare_must_stay_under_the_limit_and_flat():
    def peak(events: int, peak_mib: float) -> prepare_memory.Measured:
        return prepare_memory.Measured(events, events // 10, seconds=1, cpu_seconds=1, peak_mib=peak_mib)

    assert not failing(prepare_memory.claims([peak(10, 400), peak(100, 600)]))
    assert failing(prepare_memory.claims([peak(10, 400), peak(100, 601 + 400)])) == [
        "peak memory over that at 10 events"
    ]
    assert len(failing(prepare_memory.claims([peak(10, 400), peak(100, LIMIT_MIB)]))) == 2


def test_a_claim_that_fails_is_the_exit_code_and_figures_without_target_are_none(tmp_path: Path):
    file = tmp_path / "found.json"
    assert report("python -m it", 0.0, [Claim(name="figure", figure=1.0)], [], None) == 0
    assert (
        report(
            "python -m it", 0.0, [Claim(name="figure", figure=3.0, target="< 2", holds=False)], [row("adapt", 3)], file
        )
        == 1
    )
    found = json.loads(file.read_text())
    assert found["claims"] == [{"name": "figure", "figure": 3.0, "interval": None, "target": "< 2", "holds": False}]
    assert found["rows"][0]["step"] == "adapt"


@pytest.mark.parametrize("result", sorted((ROOT / "benchmarks/results").glob("training_memory*.json")))
def test_the_page_shows_the_figures_of_the_result(result: Path):
    page = (ROOT / "docs/benchmarks.md").read_text()
    content = json.loads(result.read_text())
    assert table([Measured(**measured) for measured in content["rows"]]) in page
    assert f"benchmarks/results/{result.name}" in page
    assert content["command"].startswith("python -m benchmarks.training_memory --events ")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_all_steps_are_measured_on_tiny_tables(tmp_path: Path):
    measured = list(training_memory.measured(DataSet(4_000, scenarios=2), tmp_path))
    assert [one.step for one in measured] == list(STEPS)
    own, pool = measured[0].samples, measured[1].samples
    assert pool == 2 * own
    assert all(one.samples == (pool if one.step in OF_POOL else own) for one in measured[2:])
    assert all(one.peak_mib > 50 for one in measured)
    assert all(one.cpu_seconds > 0 for one in measured)
    assert claims(measured)[0].name == "peak memory of prepare at 4,000 events, MiB"


@pytest.mark.slow
def test_prepare_is_measured_on_tiny_tables(tmp_path: Path):
    measured = prepare_memory.measured(4_000, tmp_path)
    assert measured.samples > 400
    assert measured.peak_mib > 50
