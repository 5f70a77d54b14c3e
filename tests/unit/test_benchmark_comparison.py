"""What comparisons share: cache, runner, report, in a made-up benchmark of two ways to judge coins."""

import argparse
import json
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks.comparison.benchmark import Repetition
from benchmarks.comparison.cache import Cache, data_hash, source_hash
from benchmarks.comparison.claims import above_zero
from benchmarks.comparison.command import TERMINATED, add_options, compare
from benchmarks.comparison.progress import Progress
from benchmarks.comparison.report import Shown
from benchmarks.comparison.rows import FigureRow, Frozen, Outcome, Work
from benchmarks.comparison.runner import Gathered, Runner
from benchmarks.comparison.statistics import difference
from benchmarks.comparison.stopping import Interrupted
from benchmarks.comparison.tables import averages, differences, row_frame, scenarios


class Coins(Frozen):
    """Protocol."""

    tosses: int = 50


class Toss(Work):
    """kind: `mint` (the beginning) or `guess`."""

    method: str = ""
    scenario: str = ""


class CoinRow(FigureRow):
    """With a figure of its own."""

    tosses: int = 0


class CoinOutcome(Outcome[CoinRow]):
    """What a toss left."""


CoinCache = Cache[CoinOutcome, Coins]


@dataclass(frozen=True)
class CoinBenchmark:
    cache: CoinCache
    methods: tuple[str, ...] = ("Count", "Look")
    on_carry_out: Callable[[Toss], None] = lambda work: None

    def beginning(self, seed: int) -> Toss:
        return Toss(kind="mint", seed=seed)

    def repetition(self, seed: int, begun: CoinOutcome) -> Repetition[Toss]:
        coins = begun.outputs["coins"]
        guesses = [
            Toss(kind="guess", seed=seed, method=method, scenario=coin) for method in self.methods for coin in coins
        ]
        return Repetition(coins, [guesses], {"forged": "has no edge"})

    def carry_out(self, work: Toss) -> CoinOutcome:
        self.on_carry_out(work)
        if work.kind == "mint":
            return CoinOutcome(outputs={"coins": ["dime", "penny"]})
        auc = {"Count": 0.8, "Look": 0.6}[work.method] + 0.01 * work.seed
        tosses = self.cache.protocol.tosses
        row = CoinRow(
            seed=work.seed, scenario=work.scenario, method=work.method, auc=auc, test_rows=tosses, tosses=tosses
        )
        return CoinOutcome(rows=[row])


def coin_cache(folder: Path, data: str = "data", source: str = "source", tosses: int = 50) -> CoinCache:
    return Cache(folder, data, source, Coins(tosses=tosses), CoinOutcome)


def show(gathered: Gathered) -> Shown:
    rows = row_frame(gathered.rows, CoinRow)
    gain = difference(rows, {"method": "Count"}, {"method": "Look"})
    assert gain is not None
    methods = ["Count", "Look"]
    tables = [
        averages(rows, methods, "coins"),
        scenarios(rows, methods, "Count", methods, "coins"),
        differences({"all": rows}, [("Count", "Look")], "coins"),
    ]
    return Shown(rows, [above_zero("Count − Look, AUC", gain)], tables)


def coins(folder: Path, *arguments: str, benchmark: CoinBenchmark | None = None) -> int:
    parser = argparse.ArgumentParser()
    add_options(parser, ["Count", "Look"], folder)
    options = parser.parse_args(
        ["--dataset", str(folder), "--out", str(folder), "--json", str(folder / "x"), *arguments]
    )
    benchmark = benchmark or CoinBenchmark(coin_cache(folder), tuple(options.methods))
    return compare(benchmark, options, benchmark.cache.protocol, "python -m coins", show)


def test_a_benchmark_of_its_own_methods_is_run_shown_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert coins(tmp_path, "--seeds", "2") == 0
    printed = capsys.readouterr()
    assert "Count − Look" in printed.out
    assert printed.out.count("has no edge") == 1, "two seeds skip the same scenario for the same reason"
    assert "10 of 10 units" in printed.err
    written = json.loads((tmp_path / "x").read_text())
    assert [claim["holds"] for claim in written["claims"]] == [True]
    assert len(written["rows"]) == 8
    assert written["rows"][0]["tosses"] == 50
    assert {line["method"] for line in written["averages"]} == {"Count", "Look"}
    assert {line["of"] for line in written["differences"]} == {"coins"}
    assert len(list((tmp_path / "plots").glob("*.png"))) == 3


def test_what_is_done_is_not_done_again(tmp_path: Path):
    assert coins(tmp_path, "--seeds", "1") == 0

    def refuse(work: Toss) -> None:
        raise AssertionError(f"{work.title()} was done before")

    assert coins(tmp_path, "--seeds", "1", benchmark=CoinBenchmark(coin_cache(tmp_path), on_carry_out=refuse)) == 0


def test_a_failed_unit_is_told_and_ends_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    def fail(work: Toss) -> None:
        if work.scenario == "penny" and work.method == "Look":
            raise ValueError("it rolled away")

    assert coins(tmp_path, "--seeds", "1", benchmark=CoinBenchmark(coin_cache(tmp_path), on_carry_out=fail)) == 1
    assert "FAILED guess, seed 0: ValueError: it rolled away" in capsys.readouterr().err
    assert len(json.loads((tmp_path / "x").read_text())["rows"]) == 3


def test_sigterm_ends_a_comparison_without_a_failure_and_the_next_one_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    done: list[str] = []

    def stop_at_the_third(work: Toss) -> None:
        done.append(work.title())
        if len(done) == 3:
            signal.raise_signal(signal.SIGTERM)
            raise Interrupted  # as a step does that has saved what it had

    stopped = CoinBenchmark(coin_cache(tmp_path), on_carry_out=stop_at_the_third)
    assert coins(tmp_path, "--seeds", "2", benchmark=stopped) == TERMINATED
    told = capsys.readouterr()
    assert "FAILED" not in told.err
    assert "goes on" in told.err
    assert len(done) == 3
    assert coins(tmp_path, "--seeds", "2") == 0
    assert len(json.loads((tmp_path / "x").read_text())["rows"]) == 8


def test_sigterm_that_a_step_keeps_to_itself_still_ends_the_comparison(tmp_path: Path):
    """A step's own handler may get it, and the step end before it looks."""
    done: list[str] = []

    def signalled(work: Toss) -> None:
        done.append(work.title())
        before = signal.signal(signal.SIGTERM, lambda *_: None)
        signal.raise_signal(signal.SIGTERM)
        signal.signal(signal.SIGTERM, before)

    gathered = Runner(CoinBenchmark(coin_cache(tmp_path), on_carry_out=signalled)).run(range(2), lambda _: None)
    assert gathered.interrupted
    assert len(done) == 1


def test_afterwards_sigterm_goes_where_it_went_before(tmp_path: Path):
    before = signal.getsignal(signal.SIGTERM)
    Runner(CoinBenchmark(coin_cache(tmp_path))).run(range(1), lambda _: None)
    assert signal.getsignal(signal.SIGTERM) is before
    assert signal.set_wakeup_fd(-1) == -1


def test_a_cached_outcome_is_found_for_the_same_work_only(tmp_path: Path):
    cache, work = coin_cache(tmp_path), Toss(kind="guess", seed=0, method="Look")
    cache.keep(work, CoinOutcome(outputs={"answer": 42}))
    assert coin_cache(tmp_path).done(work).outputs == {"answer": 42}
    for other in (
        coin_cache(tmp_path, data="other data"),
        coin_cache(tmp_path, source="other source"),
        coin_cache(tmp_path, tosses=51),
    ):
        assert other.outcome(work) is None
    assert cache.outcome(work.model_copy(update={"seed": 1})) is None


def test_a_data_set_and_a_source_are_known_by_their_content(tmp_path: Path):
    (tmp_path / "schema.yaml").write_text("labels: []")
    before = data_hash(tmp_path)
    (tmp_path / "schema.yaml").write_text("labels: [] ")
    assert data_hash(tmp_path) != before
    assert source_hash(["benchmarks.comparison.folds"]) != source_hash(["benchmarks.comparison.rows"])


def test_the_time_left_follows_from_what_each_kind_took():
    progress = Progress(repetitions=2)
    begin, quick, slow = (Work(kind=kind, seed=0) for kind in ("begin", "quick", "slow"))
    progress.carried_out(begin, 1)
    assert progress.line() == "1 units"
    progress.repetition([begin, quick, quick, slow])
    progress.carried_out(quick, 3)
    progress.carried_out(slow, 50)
    assert progress.line() == "3 of 8 units, about 60 seconds left"
    progress.cached([quick])
    assert progress.line() == "4 of 8 units, about 57 seconds left"
