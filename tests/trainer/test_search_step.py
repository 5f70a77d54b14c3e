"""search: an architecture inside the budget, in the store, once."""

import json
from functools import partial

import polars as pl
import pytest

from longtail_api.light_model_search import Algorithm, GdasParameters, Objective, Teacher
from longtail_api.run_config import ExitCode
from longtail_api.store_layout import architecture_key, metrics_key, result_key, step_prefix
from longtail_api.store_objects import Metric, SearchResult
from longtail_store import open_store, read_object
from longtail_trainer.methods import run
from longtail_trainer.methods.alt.rankings import ALGORITHMS
from longtail_trainer.methods.alt.rankings.gdas import gdas_ranking
from longtail_trainer.methods.alt.rankings.task import Ranking, SearchTask, goodness, objective_name, reached
from longtail_trainer.methods.alt.teacher import load_heavy
from longtail_trainer.models.alt_light.model import LightModel
from longtail_trainer.running.errors import BudgetUnreachable, ConfigInvalid
from longtail_trainer.search.candidate import Candidate
from longtail_trainer.search.latency_cache import LatencyParts, table_of_search
from longtail_trainer.search.latency_table import LatencyTable
from longtail_trainer.search.spaces.alt_cell import space_of
from tests.trainer.adapted_scenario import HEAVY_RESULT, SMALL_SPACE, adapt_one, copied, search_config
from tests.trainer.invented_tables import a_table
from tests.trainer.prepared_data import SCHEMA
from tests.trainer.training_steps import ARRIVAL, killed_after, started

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def adapted(tmp_path_factory):
    return adapt_one(tmp_path_factory.mktemp("adapted") / "store")


@pytest.fixture
def address(adapted, tmp_path):
    return copied(adapted, tmp_path / "store")


def the_space(address):
    return space_of(load_heavy(open_store(address), HEAVY_RESULT).features, SMALL_SPACE)


def test_the_result_is_inside_the_budget_and_says_what_it_costs(address):
    space = the_space(address)
    budget = (space.smallest_flops() + space.largest_flops()) // 2
    result = run("search", search_config(address, max_flops=budget))
    store = open_store(address)
    found = read_object(store, architecture_key(ARRIVAL, 1), SearchResult)
    features = load_heavy(store, HEAVY_RESULT).features
    assert found.flops == LightModel(features, found.found).flops() == result.flops <= budget
    assert found.smallest_flops == space.smallest_flops()
    assert result.outputs["architectureKey"] == architecture_key(ARRIVAL, 1)
    assert result.outputs["flops"] == found.flops
    assert result.metrics["validation"]["auc"].value is not None


def test_what_is_searched_with_knows_only_the_categories_that_its_rows_have(tmp_path, monkeypatch):
    """As the light model will: what it costs to tell all of the pool's apart is no part of the search."""
    address = adapt_one(tmp_path / "store", lambda frame: frame.with_columns(pl.lit("Bern").alias("profile.city")))
    tasks: list[SearchTask] = []

    def ranking(task: SearchTask) -> Ranking:
        tasks.append(task)
        return gdas_ranking(task)

    monkeypatch.setitem(ALGORITHMS, "gdas", ranking)
    run("search", search_config(address, teacher=Teacher(transfer_rows=0)))
    column = "profile.city"
    assert len(load_heavy(open_store(address), HEAVY_RESULT).features.vocabularies[column]) == 2
    assert tasks[0].features.vocabularies[column] == ["Bern"]


@pytest.mark.parametrize("algorithm", ["gdas", "random"])
def test_the_tightest_budget_is_kept(address, algorithm):
    tightest = the_space(address).smallest_flops()
    chosen = Algorithm(name=algorithm, gdas=GdasParameters(epochs=1))
    result = run("search", search_config(address, algorithm=chosen, max_flops=tightest, max_trials=1))
    assert result.flops == tightest


def test_a_budget_below_the_cheapest_fails_before_any_training(address):
    smallest = the_space(address).smallest_flops()
    with pytest.raises(BudgetUnreachable, match=f"needs {smallest} FLOPs") as caught:
        run("search", search_config(address, max_flops=smallest - 1))
    assert caught.value.exit_code == ExitCode.UNREACHABLE_GOAL
    store = open_store(address)
    assert not store.exists(metrics_key(step_prefix(ARRIVAL, 1, "search")))
    assert not store.exists(architecture_key(ARRIVAL, 1))


def test_the_history_of_the_distributions_is_in_the_metrics(address):
    run("search", search_config(address))
    lines = open_store(address).get(metrics_key(step_prefix(ARRIVAL, 1, "search"))).decode().splitlines()
    rows = [json.loads(line) for line in lines]
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    probabilities = json.loads(rows[-1]["probabilities"])
    assert set(probabilities) == {
        "1.input", "1.operation", "1.residual.0", "2.input", "2.operation", "2.residual.0", "2.residual.1",
    }  # fmt: skip
    assert all(sum(values) == pytest.approx(1, abs=1e-3) for values in probabilities.values())


def test_the_cell_the_probabilities_and_the_losses_are_drawn(address):
    result = run("search", search_config(address))
    assert set(result.pictures) == {"cell", "probabilities", "learning-curves"}
    shown = {name: open_store(address).get(key).decode() for name, key in result.pictures.items()}
    for layer in read_object(open_store(address), architecture_key(ARRIVAL, 1), SearchResult).found.layers:
        assert f">{layer.operation}<" in shown["cell"]
    assert f"{result.flops:,} FLOPs" in shown["cell"]
    assert all(f">{name}<" in shown["probabilities"] for name in SMALL_SPACE.operations)
    assert "architecture, on query rows" in shown["learning-curves"]


def test_a_random_search_has_no_probabilities_to_draw(address):
    result = run("search", search_config(address, algorithm=Algorithm(name="random"), max_trials=1))
    assert set(result.pictures) == {"cell"}


def test_a_picture_that_cannot_be_drawn_does_not_fail_the_search(address, monkeypatch, caplog):
    def fails(*arguments: object) -> str:
        raise RuntimeError("no paper left")

    monkeypatch.setattr("longtail_trainer.methods.alt.search.cell", fails)
    monkeypatch.setattr("longtail_trainer.methods.alt.search.distributions", fails)
    result = run("search", search_config(address))
    assert set(result.pictures) == {"learning-curves"}
    assert result.flops
    assert "no paper left" in caplog.text


@pytest.mark.slow
def test_a_search_killed_with_sigkill_ends_as_an_uninterrupted_one(adapted, tmp_path):
    whole = copied(adapted, tmp_path / "whole")
    run("search", search_config(whole))
    killed = copied(adapted, tmp_path / "killed")
    config = search_config(killed)
    killed_after(started(config, tmp_path), "epoch=2")
    assert not open_store(killed).exists(result_key(ARRIVAL, 1, "search"))
    run("search", config)
    key = architecture_key(ARRIVAL, 1)
    assert open_store(killed).get(key) == open_store(whole).get(key)


def test_random_search_takes_the_best_of_its_trials_and_runs_none_twice(address):
    config = search_config(address, algorithm=Algorithm(name="random"), max_trials=3)
    result = run("search", config)
    store = open_store(address)
    prefix = step_prefix(ARRIVAL, 1, "search")
    rows = [json.loads(line) for line in store.get(metrics_key(prefix)).decode().splitlines()]
    assert len(rows) == 3
    assert result.metrics["validation"]["auc"].value == max(row["validation.auc"] for row in rows)
    store.delete(result_key(ARRIVAL, 1, "search"))
    again = run("search", config)
    assert again.outputs == result.outputs
    assert len(store.get(metrics_key(prefix)).decode().splitlines()) == 3


def test_a_reached_goal_ends_the_search(address):
    run("search", search_config(address, objective=Objective(metric="auc", goal="0.01")))
    lines = open_store(address).get(metrics_key(step_prefix(ARRIVAL, 1, "search"))).decode().splitlines()
    assert len(lines) == 2, "of three epochs one is the warm-up, which no goal ends"


def test_an_objective_that_the_label_has_not_is_a_fault_of_the_config():
    assert objective_name(Objective(label="spent"), SCHEMA) == "spent.rmse"
    with pytest.raises(ConfigInvalid, match="no label 'sold'"):
        objective_name(Objective(label="sold"), SCHEMA)


def test_smaller_errors_and_larger_aucs_are_better():
    metrics = {"auc": Metric(value=0.7), "rmse": Metric(value=2.0), "spent.auc": Metric(reason="MetricNotEstimable")}
    assert goodness(metrics, "auc") == 0.7
    assert goodness(metrics, "rmse") == -2.0
    assert goodness(metrics, "spent.auc") == float("-inf")
    assert reached(metrics, "rmse", 2.5)
    assert not reached(metrics, "rmse", 1.5)
    assert not reached(metrics, "auc", None)


def invented(monkeypatch: pytest.MonkeyPatch, **operations: float) -> list[LatencyParts]:
    """Tables with these operations' milliseconds are handed out instead of measured, and predictions are right."""
    asked: list[LatencyParts] = []

    def measured(parts: LatencyParts) -> LatencyTable:
        asked.append(parts)
        return a_table(**operations)

    def as_predicted(task: SearchTask, found: Candidate) -> float:
        return task.space.nanoseconds(task.space.picks(found.point)) / 1e6

    monkeypatch.setattr(
        "longtail_trainer.methods.alt.search.table_of_search", partial(table_of_search, measure=measured)
    )
    monkeypatch.setattr("longtail_trainer.methods.alt.rankings.latency_gate._p99", as_predicted)
    return asked


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LONGTAIL_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("algorithm", ["gdas", "random"])
def test_what_is_too_slow_is_not_found(address, algorithm, own_cache, monkeypatch):
    asked = invented(monkeypatch, conv1=9, conv3=9, max_pool3=9)
    config = search_config(address, algorithm=Algorithm(name=algorithm), max_trials=2, max_latency_milliseconds=1.0)
    run("search", config)
    store = open_store(address)
    found = read_object(store, architecture_key(ARRIVAL, 1), SearchResult).found
    assert {layer.operation for layer in found.layers} == {"lstm"}, "the most FLOPs, and the least time"
    lines = store.get(metrics_key(step_prefix(ARRIVAL, 1, "search"))).decode().splitlines()
    assert all(0 < json.loads(line)["predictedMilliseconds"] < 1 for line in lines)
    store.delete(result_key(ARRIVAL, 1, "search"))
    run("search", config)
    assert len(asked) == 1


def test_without_a_latency_limit_no_table_is_asked_for(address, own_cache, monkeypatch):
    asked = invented(monkeypatch)
    run("search", search_config(address, algorithm=Algorithm(gdas=GdasParameters(epochs=1))))
    assert asked == []
    lines = open_store(address).get(metrics_key(step_prefix(ARRIVAL, 1, "search"))).decode().splitlines()
    assert not any("predictedMilliseconds" in line or "expectedLatencyShare" in line for line in lines)


def test_a_latency_below_every_prediction_fails_after_the_fastest_was_measured(address, own_cache, monkeypatch):
    invented(monkeypatch, conv1=9)
    config = search_config(address, algorithm=Algorithm(gdas=GdasParameters(epochs=1)), max_latency_milliseconds=0.01)
    with pytest.raises(BudgetUnreachable, match=r"within 0\.01 ms .* took 0\.070 ms"):
        run("search", config)
