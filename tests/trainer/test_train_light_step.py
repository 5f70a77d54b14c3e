"""train-light: trained, exported, published, whatever interrupts it."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

from longtail_api.methods.alt import LightTraining
from longtail_api.store_layout import model_card_key, model_key, requests_key, result_key
from longtail_api.store_objects import AltLight, ModelCard, SearchResult, StepResult
from longtail_store import Store, open_store, read_object, write_object_if_absent
from longtail_trainer.export.runtime import feed_of, session
from longtail_trainer.methods import run
from longtail_trainer.methods.alt import train_light
from longtail_trainer.methods.alt.rankings.history import considered
from longtail_trainer.running.errors import BudgetUnreachable, ConfigInvalid, ParityFailed
from tests.trainer.adapted_scenario import (
    ARCHITECTURE,
    HEAVY_RESULT,
    adapt_one,
    copied,
    train_light_config,
)
from tests.trainer.contexts import context_of
from tests.trainer.prepared_data import samples
from tests.trainer.training_steps import ARRIVAL, killed_after, started

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("traced_once")]

MODEL, CARD = model_key(ARRIVAL, "v1"), model_card_key(ARRIVAL, "v1")


@pytest.fixture(scope="module")
def adapted(tmp_path_factory):
    return adapt_one(tmp_path_factory.mktemp("adapted") / "store")


@pytest.fixture
def address(adapted, tmp_path):
    return copied(adapted, tmp_path / "store")


@pytest.fixture(scope="module")
def trained(adapted, tmp_path_factory):
    """The address of a store with an undisturbed run, and its result."""
    address = copied(adapted, tmp_path_factory.mktemp("trained") / "store")
    return address, run("train-light", train_light_config(address))


def test_the_card_describes_the_model_beside_it(trained):
    address, result = trained
    store = open_store(address)
    card, content = read_object(store, CARD, ModelCard), store.get(MODEL)
    heavy = read_object(store, HEAVY_RESULT, StepResult)
    assert card.sha256 == hashlib.sha256(content).hexdigest() == result.outputs["modelSha256"]
    assert card.bytes == len(content)
    assert (card.scenario, card.version, card.data_version, card.agnostic_version) == (ARRIVAL, "v1", "v1", 1)
    assert card.model == AltLight.of(ARCHITECTURE)
    assert card.flops == result.flops == result.outputs["flops"] < card.heavy_flops * 2
    assert card.heavy_flops == heavy.flops
    assert card.metrics["heavyTest"] == heavy.metrics["test"]
    assert card.metrics["test"]["auc"].low is not None
    assert card.labels == ["bought", "spent"]
    assert card.max_lengths == {"behaviors.items": 6, "behaviors.visits": 4}
    assert card.requests_key == requests_key(ARRIVAL, "v1")
    assert card.parity is not None
    assert card.parity < 1e-4
    assert result.metrics["latency"]["p99Milliseconds"].value == card.p99_milliseconds
    assert result.outputs["modelKey"] == MODEL


def test_log_loss_and_calibration_stand_beside_the_auc(trained):
    address, result = trained
    for metrics in (read_object(open_store(address), CARD, ModelCard).metrics, result.metrics):
        for split in ("test", "validation", "heavyTest"):
            assert {"auc", "logLoss", "ece"} <= set(metrics[split])
            assert 0 <= metrics[split]["ece"].value <= 1
            assert metrics[split]["logLoss"].value > 0


def test_the_curves_the_cell_and_the_quality_are_drawn(trained):
    address, result = trained
    shown = {name: open_store(address).get(key).decode() for name, key in result.pictures.items()}
    assert set(shown) == {"learning-curves", "cell", "quality-cost"}
    assert "kept: epoch" in shown["learning-curves"]
    assert re.search(r">items 0\.\d\d<", shown["cell"])
    assert f"light model: AUC {result.metrics['test']['auc'].value:.3f}" in shown["quality-cost"]
    assert f"{result.outputs['heavyFlops']:,} FLOPs" in shown["quality-cost"]


def test_what_the_search_considered_is_drawn_from_its_history(address):
    store = open_store(address)
    write_object_if_absent(
        store,
        "runs/x/1/search/architecture.json",
        SearchResult(found=AltLight.of(ARCHITECTURE), flops=1, smallest_flops=1),
    )
    derived = {"epoch": 2, "queryLoss": 0.5, "derivedFlops": 700, "validation.auc": 0.6}
    lines = [{"epoch": 1, "derivedFlops": 900, "validation.auc": 0.5}, derived, {"epoch": 3, "validation.auc": None}]
    store.put_advisory("runs/x/1/search/metrics.jsonl", "\n".join(json.dumps(line) for line in lines).encode())
    config = train_light_config(address, architecture=None, search_result="runs/x/1/search/architecture.json")
    drawn = run("train-light", config).pictures["quality-cost"]
    assert "what the search considered" in store.get(drawn).decode()
    assert considered(lines, "auc").points == [(700, 0.6)]
    tried = considered([{"trial": 1, "flops": 50, "validation.auc": 0.7}], "auc")
    assert (tried.points, tried.trained) == ([(50, 0.7)], True)


def test_pictures_that_cannot_be_drawn_do_not_fail_the_step(address, monkeypatch, caplog):
    def fails(*arguments: object) -> str:
        raise RuntimeError("no paper left")

    for name in ("cell", "learning_curves", "quality_cost"):
        monkeypatch.setattr(f"longtail_trainer.methods.alt.train_light.{name}", fails)
    result = run("train-light", train_light_config(address))
    assert result.pictures == {}
    assert open_store(address).exists(MODEL)
    assert caplog.text.count("no paper left") == 3


def test_the_published_model_answers_raw_rows(trained):
    address, _ = trained
    store = open_store(address)
    card = read_object(store, CARD, ModelCard)
    (bought, spent) = session(store.get(MODEL)).run(card.labels, feed_of(samples(9), card.inputs))
    assert bought.shape == spent.shape == (9,)
    assert ((bought > 0) & (bought < 1)).all()


def test_the_architecture_can_come_from_a_search(address):
    store = open_store(address)
    found = SearchResult(found=AltLight.of(ARCHITECTURE), flops=1, smallest_flops=1)
    write_object_if_absent(store, "runs/x/1/search/architecture.json", found)
    config = train_light_config(address, architecture=None, search_result="runs/x/1/search/architecture.json")
    run("train-light", config)
    assert read_object(store, CARD, ModelCard).model == AltLight.of(ARCHITECTURE)


def test_without_any_architecture_the_config_is_wrong(address):
    with pytest.raises(ConfigInvalid, match="both missing"):
        run("train-light", train_light_config(address, architecture=None))
    with pytest.raises(ConfigInvalid, match="run the search first"):
        run("train-light", train_light_config(address, architecture=None, search_result="runs/x/1/none.json"))


@pytest.mark.slow
def test_a_run_killed_with_sigkill_publishes_what_an_uninterrupted_one_does(trained, address, tmp_path):
    config = train_light_config(address)
    killed_after(started(config, tmp_path), "epoch=2")
    assert not open_store(address).exists(MODEL)
    run("train-light", config)
    assert open_store(address).get(MODEL) == open_store(trained[0]).get(MODEL)


class Interrupted(BaseException):
    """The process ends here."""


class StopsAfterWrite:
    """A store whose n-th immutable write is the last thing that happens."""

    def __init__(self, store: Store, number: int) -> None:
        self._store, self._left = store, number

    def put_if_absent(self, key: str, data: bytes | Path) -> bool:
        written = self._store.put_if_absent(key, data)
        self._left -= 1
        if self._left == 0:
            raise Interrupted
        return written

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


@pytest.mark.parametrize(("write", "what"), [(1, "weights"), (2, "model.onnx"), (3, "model.json")])
def test_a_run_that_ends_between_two_writes_is_finished_by_the_next(trained, address, tmp_path, write, what):
    config = train_light_config(address)
    store = open_store(address)
    with pytest.raises(Interrupted):
        train_light.run(config, context_of(config, tmp_path / what, StopsAfterWrite(store, write)))
    result = train_light.run(config, context_of(config, tmp_path / "two", store))
    card = read_object(store, CARD, ModelCard)
    assert card.sha256 == hashlib.sha256(store.get(MODEL)).hexdigest() == result.outputs["modelSha256"]
    assert store.get(MODEL) == open_store(trained[0]).get(MODEL)
    assert card.metrics == read_object(open_store(trained[0]), CARD, ModelCard).metrics


def test_a_published_version_is_not_trained_again(trained, tmp_path):
    address, result = trained
    store = open_store(address)
    config = train_light_config(address, manifest="data/none/manifest.json")  # could not be read
    again = train_light.run(config, context_of(config, tmp_path, store))
    assert again.outputs == result.outputs
    assert again.metrics == result.metrics
    assert again.pictures == result.pictures


def test_nothing_is_published_where_parity_fails(address, monkeypatch):
    def fails(*arguments: object) -> float:
        raise ParityFailed("differs")

    monkeypatch.setattr("longtail_trainer.export.publication.check_parity", fails)
    with pytest.raises(ParityFailed):
        run("train-light", train_light_config(address))
    store = open_store(address)
    assert not store.exists(MODEL)
    assert not store.exists(CARD)
    assert not store.exists(result_key(ARRIVAL, 1, "train-light"))


def test_an_architecture_above_the_budget_is_refused_before_training(address):
    with pytest.raises(
        BudgetUnreachable, match=r"1 = conv3\(0\) \+ 0; 2 = max_pool3\(1\)\) needs \d+ FLOPs, above 100"
    ):
        run("train-light", train_light_config(address, max_flops=100, light_training=LightTraining(epochs=10_000)))


def test_a_model_that_is_too_slow_is_not_published(address):
    with pytest.raises(BudgetUnreachable, match="the lowest of 3 measurements\\), above 1e-06 ms"):
        run("train-light", train_light_config(address, max_latency_milliseconds=1e-6))
    assert not open_store(address).exists(MODEL)


def test_features_that_are_not_selected_are_no_inputs(address):
    run("train-light", train_light_config(address, features=["age", "items"]))
    card = read_object(open_store(address), CARD, ModelCard)
    assert [spec.name for spec in card.inputs] == [
        "profile.age", "behaviors.items.kind", "behaviors.items.price", "behaviors.items:length",
    ]  # fmt: skip
    assert card.max_lengths == {"behaviors.items": 6}
