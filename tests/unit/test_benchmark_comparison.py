"""What comparisons share: folds, intervals, cache, runner, report; and a made-up benchmark that uses all of it."""

import argparse
import json
import signal
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml

from benchmarks.comparison.benchmark import Repetition
from benchmarks.comparison.cache import Cache, data_hash, source_hash
from benchmarks.comparison.claims import above_zero, noise_floor, not_below
from benchmarks.comparison.command import TERMINATED, add_options, compare
from benchmarks.comparison.dataset import UnusableDataset, open_dataset, scenario_names
from benchmarks.comparison.folds import IDENTITY, Splits, with_split
from benchmarks.comparison.progress import Progress
from benchmarks.comparison.report import Shown
from benchmarks.comparison.rows import FigureRow, Frozen, Outcome, Work
from benchmarks.comparison.runner import Gathered, Runner
from benchmarks.comparison.shown_command import shown_command
from benchmarks.comparison.statistics import Comparison, compared, difference, pairs, two_way_interval
from benchmarks.comparison.stopping import Interrupted
from benchmarks.comparison.tables import averages, differences, row_frame, scenarios
from benchmarks.comparison.target_statistics import SMOOTHING, TargetStatistics
from tests.trainer import tiny

# -- folds -----------------------------------------------------------------------------------------------------------


def samples(count: int = 4003) -> pl.DataFrame:
    """Of three scenarios, each identity twice."""
    start = datetime(2024, 1, 1, tzinfo=UTC)
    identities = pl.DataFrame(
        {
            "scenario": [f"s{number % 3}" for number in range(count)],
            "entity": [f"e{number}" for number in range(count)],
            "time": [start + timedelta(hours=number) for number in range(count)],
        }
    )
    return pl.concat([identities, identities])


def test_five_seeds_test_every_row_exactly_once_and_never_part_an_identity():
    drawn = pl.concat([with_split(samples(), Splits(), seed) for seed in range(5)])
    tested = drawn.filter(pl.col("split") == "test").group_by(IDENTITY).len()
    assert len(tested) == 4003
    assert tested["len"].unique().to_list() == [2], "both rows of an identity, in one fold"


def test_folds_of_a_scenario_are_of_one_size_and_validation_rows_have_their_share():
    drawn = with_split(samples(), Splits(), 2)
    tested = drawn.filter(pl.col("split") == "test").group_by("scenario").len()["len"].to_list()
    assert all(abs(rows - 2 * 4003 / 3 / 5) <= 2 for rows in tested)
    assert (drawn["split"] == "validation").mean() == pytest.approx(0.1, abs=0.02)


def test_a_seed_splits_alike_whatever_the_order_of_rows_and_rows_that_come_stay_apart_from_it():
    first = with_split(samples(), Splits(), 1)
    assert with_split(samples(), Splits(), 1).equals(first)
    again = with_split(samples().reverse(), Splits(), 1).reverse()
    assert again.equals(first)


def test_seeds_beyond_the_last_fold_divide_the_rows_anew():
    tested = [set(with_split(samples(), Splits(), seed).filter(pl.col("split") == "test")["entity"]) for seed in (0, 5)]
    assert tested[0] != tested[1]
    assert tested[0] & tested[1]


# -- intervals -------------------------------------------------------------------------------------------------------


def drawn_values(generator: np.random.Generator, seed_sd: float, scenario_sd: float, rest_sd: float) -> np.ndarray:
    """(5, 22) of a random-effects model around 0: seeds and scenarios move all of their values together."""
    of_seeds = seed_sd * generator.normal(size=(5, 1))
    of_scenarios = scenario_sd * generator.normal(size=(1, 22))
    return of_seeds + of_scenarios + rest_sd * generator.normal(size=(5, 22))


def interval(values: np.ndarray) -> tuple[float, float]:
    seeds, scenario_numbers = np.indices(values.shape)
    return two_way_interval(values.ravel(), seeds.ravel(), scenario_numbers.ravel())


def pairwise(values: np.ndarray) -> tuple[float, float]:
    """As if every value were an independent trial."""
    half = 1.96 * values.std(ddof=1) / np.sqrt(values.size)
    return float(values.mean() - half), float(values.mean() + half)


def coverage(of: Callable[[np.ndarray], tuple[float, float]], *deviations: float, draws: int = 150) -> float:
    """Share of the draws whose interval holds the true mean."""
    generator = np.random.default_rng(0)
    bounds = [of(drawn_values(generator, *deviations)) for _ in range(draws)]
    return sum(low <= 0 <= high for low, high in bounds) / draws


@pytest.mark.parametrize(
    "deviations", [(1, 0, 0.1), (0, 1, 0.1), (0, 0, 1), (0.5, 0.5, 1)], ids=["seeds", "scenarios", "neither", "both"]
)
def test_the_interval_holds_the_true_mean_nearly_as_often_as_it_says(
    deviations: tuple[float, float, float], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("benchmarks.comparison.statistics.RESAMPLES", 1500)
    assert coverage(interval, *deviations) >= 0.9


def test_pairs_taken_for_independent_trials_promise_too_much_where_seeds_differ():
    assert coverage(pairwise, 1, 0, 0.1) < 0.5


def test_the_interval_is_wider_than_that_of_pairs_where_seeds_differ():
    values = drawn_values(np.random.default_rng(1), 1, 0, 0.5)
    low, high = interval(values)
    pair_low, pair_high = pairwise(values)
    assert high - low > 2 * (pair_high - pair_low)


def test_the_interval_is_the_same_every_time():
    values = drawn_values(np.random.default_rng(1), 1, 1, 1)
    assert interval(values) == interval(values)


def test_with_one_seed_the_interval_is_that_of_scenarios():
    values = np.random.default_rng(0).normal(size=(1, 200))
    low, high = interval(values)
    pair_low, pair_high = pairwise(values)
    assert (low, high) == (pytest.approx(pair_low, abs=0.02), pytest.approx(pair_high, abs=0.02))


def test_seeds_that_each_have_other_scenarios_are_compared_too():
    table = pl.DataFrame({"seed": [0, 0, 1, 1], "scenario": ["a", "b", "c", "d"], "value": [1.0, 2.0, 3.0, 4.0]})
    found = compared(table)
    assert found is not None
    assert found.mean == 2.5
    assert found.low < 2.5 < found.high


# -- rows, pairs, tables, claims -------------------------------------------------------------------------------------


def row(method: str, scenario: str = "s0", seed: int = 0, auc: float | None = 0.8, **fields: object) -> FigureRow:
    return FigureRow.model_validate({"method": method, "scenario": scenario, "seed": seed, "auc": auc, **fields})


def frame(*rows: FigureRow) -> pl.DataFrame:
    return row_frame(rows, FigureRow)


def test_a_difference_is_of_pairs_that_both_sides_have():
    table = frame(
        row("a", "s0", auc=0.8),
        row("b", "s0", auc=0.7),
        row("a", "s1", auc=0.9),
        row("b", "s1", auc=None),
        row("a", "s2"),
    )
    assert pairs(table, {"method": "a"}, {"method": "b"}).rows() == [(0, "s0", 0.8, 0.7)]
    found = difference(table, {"method": "a"}, {"method": "b"})
    assert found is not None
    assert (found.pairs, found.mean) == (1, pytest.approx(0.1))
    assert difference(table, {"method": "a"}, {"method": "c"}) is None


def test_averages_over_large_scenarios_and_over_rows_stand_beside_the_plain_one():
    table = averages(
        frame(
            row("a", "tiny", auc=0.5, test_rows=9),
            row("a", "large", auc=0.8, test_rows=991),
            row("a", "one class", auc=None, test_rows=500),
        ),
        ["a"],
        "x",
    ).frame
    assert table["AUC"].to_list() == [pytest.approx(0.65)]
    assert table["AUC, ≥ 100 rows"].to_list() == [0.8]
    assert table["AUC by rows"].to_list() == [pytest.approx((9 * 0.5 + 991 * 0.8) / 1000)]
    assert table["rows"].to_list() == [2]


def comparison(mean: float, low: float, high: float, by_seed: tuple[float, ...] = ()) -> Comparison:
    return Comparison(mean, low, high, 10, by_seed)


def test_a_claim_of_a_gain_is_judged_by_its_whole_interval():
    assert above_zero("gain", comparison(0.01, 0.001, 0.02)).holds
    assert above_zero("gain", comparison(0.01, -0.001, 0.02)).holds is False


def test_not_below_means_by_no_more_than_what_another_seed_makes_of_the_same():
    again = comparison(0.001, -0.01, 0.012, by_seed=(0.004, -0.004, 0.004, -0.004))
    assert noise_floor(again) == pytest.approx(1.96 * 0.004 / 2)
    assert not_below("new − old", comparison(-0.003, -0.01, 0.004), again).holds
    assert not_below("new − old", comparison(-0.005, -0.01, 0.0), again).holds is False
    assert not_below("new − old", comparison(-0.005, -0.01, 0.0), None).holds is None


def test_the_noise_floor_is_passed_by_equals_about_39_times_of_40():
    generator = np.random.default_rng(0)
    fell = 0
    for _ in range(400):
        again, difference_ = (generator.normal(0, 0.004, 5) for _ in range(2))
        fell += difference_.mean() < -noise_floor(comparison(0, 0, 0, tuple(again)))
    assert 0.01 <= fell / 400 <= 0.08


def test_the_shown_command_names_no_folder_of_the_machine():
    shown = shown_command(["--dataset", "/data/mine/shop", "--json=/data/x.json", "--seeds", "2"], "benchmarks.it")
    assert shown == "python -m benchmarks.it --dataset shop --json=x.json --seeds 2"


# -- target statistics -----------------------------------------------------------------------------------------------


def test_a_training_rows_own_label_is_not_in_its_statistics():
    keys = pl.DataFrame({"item": [f"item-{number}" for number in range(200)]})
    labels = (np.random.default_rng(0).random(200) < 0.5).astype(np.float64)
    found = TargetStatistics(keys, labels, seed=0).training()
    assert (found[:, 1] == 0).all(), "an item that occurs once was never seen elsewhere"
    flipped = labels.copy()
    flipped[7] = 1 - flipped[7]
    assert TargetStatistics(keys, flipped, seed=0).training()[7] == pytest.approx(found[7])


def test_categories_have_smoothed_means_and_counts_and_new_ones_the_overall_mean():
    keys = pl.DataFrame({"item": ["good"] * 60 + ["bad"] * 40 + [None] * 20})
    labels = np.array([1.0] * 60 + [0.0] * 60)
    found = TargetStatistics(keys, labels, seed=0).later(pl.DataFrame({"item": ["good", "bad", None, "new"]}))
    mean = 0.5
    assert found[:, 0] == pytest.approx(
        [(60 + SMOOTHING * mean) / (60 + SMOOTHING), SMOOTHING * mean / (40 + SMOOTHING), 0.25, mean]
    )
    assert np.expm1(found[:, 1]) == pytest.approx([60, 40, 20, 0])


# -- data sets that can't be used ------------------------------------------------------------------------------------


def data_set(folder: Path) -> Path:
    schema = tiny.write_tables(folder, scenarios=2, rows=40)
    (folder / "schema.yaml").write_text(yaml.safe_dump(schema.to_json_dict()))
    return folder


def reason(folder: Path) -> str:
    """Why it is refused, on one line."""
    with pytest.raises(UnusableDataset) as refused:
        open_dataset(folder)
    text = str(refused.value)
    assert "\n" not in text
    return text


def changed(folder: Path, **changes: object) -> Path:
    """The data set with another schema."""
    path = folder / "schema.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | changes))
    return folder


def test_a_misspelt_key_of_the_schema_is_named_with_its_file(tmp_path: Path):
    text = reason(changed(data_set(tmp_path), lables=[]))
    assert "schema.yaml" in text
    assert "lables" in text


def test_a_missing_table_is_named(tmp_path: Path):
    (data_set(tmp_path) / "samples.parquet").unlink()
    assert "samples.parquet: no such file" in reason(tmp_path)


def test_a_missing_split_column_is_named_once(tmp_path: Path):
    text = reason(changed(data_set(tmp_path), split={"method": "column"}))
    assert "samples.parquet: no column split" in text


def test_a_missing_feature_is_named(tmp_path: Path):
    pl.read_parquet(data_set(tmp_path) / "profile.parquet").drop("age").write_parquet(tmp_path / "profile.parquet")
    assert "profile.parquet: no column age" in reason(tmp_path)


def test_scenarios_can_be_chosen_and_unknown_ones_are_named(tmp_path: Path):
    dataset = open_dataset(data_set(tmp_path))
    assert scenario_names(dataset) == ["s0", "s1"]
    assert scenario_names(dataset, ("s1",)) == ["s1"]
    with pytest.raises(UnusableDataset, match="no scenario s7; choose of s0, s1"):
        scenario_names(dataset, ("s1", "s7"))


# -- a made-up benchmark: whether coins are fair, guessed by two methods -----------------------------------------------


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
