"""adapt: fine-tuning on one scenario, its heavy model, and its feedback."""

import hashlib
import os
import signal
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch

from longtail_api.architecture import Training
from longtail_api.run_config import StoreAddress
from longtail_api.store_layout import result_key
from longtail_api.store_objects import FeedbackMetadata
from longtail_store import Chain, open_store
from longtail_store.feedback import FeedbackConflict, RowSparse, read_feedback
from longtail_trainer.data.encoded import concatenate
from longtail_trainer.data.loading import load_manifest, load_split
from longtail_trainer.methods import run
from longtail_trainer.methods.alt.adaptation import Rows
from longtail_trainer.methods.alt.feedback import feedback
from longtail_trainer.methods.alt.teacher import load_heavy, load_version
from longtail_trainer.models.weights import weights_bytes
from longtail_trainer.running.errors import DataInvalid, Terminated
from longtail_trainer.running.progress import Progress
from longtail_trainer.running.stop import StopSignal
from longtail_trainer.training.evaluation import evaluate
from longtail_trainer.training.loss import LabelLosses
from longtail_trainer.training.scoring import mean_loss, predict, row_losses
from longtail_trainer.training.settings import TrainingSettings
from longtail_trainer.training.supervised import train
from tests.trainer.prepared_data import SCHEMA, write_scenario
from tests.trainer.training_steps import ARRIVAL, POOL, adapt_config, initialize_config

RESULT = result_key(ARRIVAL, 1, "adapt")
LOSSES = LabelLosses.of(SCHEMA)
ADAPTED_ON = ("support", "query", "validation")


@pytest.fixture(scope="module")
def initialized(tmp_path_factory):
    """A store with version 1 and the data of a new scenario; tests copy it."""
    folder = tmp_path_factory.mktemp("initialized") / "store"
    address = StoreAddress(uri=f"file://{folder}")
    store = open_store(address)
    pool = [write_scenario(store, name, seed=number) for number, name in enumerate(POOL)]
    run("initialize", initialize_config(address, pool))
    return folder


@pytest.fixture
def address(initialized, tmp_path):
    return copied(initialized, tmp_path / "store")


@pytest.fixture
def store(address):
    return open_store(address)


def copied(folder, target):
    target.mkdir()
    for file in folder.rglob("*"):
        if file.is_file() and ".drafts" not in file.parts:
            (target / file.relative_to(folder)).parent.mkdir(parents=True, exist_ok=True)
            (target / file.relative_to(folder)).write_bytes(file.read_bytes())
    return StoreAddress(uri=f"file://{target}")


def kept(result):
    return tuple(result.outputs[name] for name in ("interpolation", "adaptReason", "fineTuneEpochs"))


def a_scenario(store, **options):
    return write_scenario(store, ARRIVAL, seed=7, **options)


def rows_of(store, manifest, features):
    found = {name: load_split(store, load_manifest(store, manifest), name, features) for name in ADAPTED_ON}
    return Rows(**found)


def fine_tuned(store, address, manifest):
    """θ0 with what leads on from there, and θu: the model holds it."""
    training = adapt_config(address, manifest).training
    settings = TrainingSettings(
        epochs=training.fine_tune_epochs, batch_size=training.fine_tune_batch_size,
        learning_rate=float(training.fine_tune_learning_rate), seed=training.seed,
    )  # fmt: skip
    torch.set_num_threads(1)
    model = load_version(store, Chain(store).version(1))
    rows = rows_of(store, manifest, model.features)
    train(model, rows.support, rows.validation, LOSSES, replace(settings, keep_start=True), None, StopSignal())
    return model, rows, settings


def test_of_one_class_nothing_is_learned_and_the_agnostic_model_is_kept(store, address):
    manifest = a_scenario(store, changed=lambda frame: frame.with_columns(bought=pl.lit(1.0)))
    result = run("adapt", adapt_config(address, manifest))
    assert kept(result) == (0, "OneClass", 0)
    base = load_version(store, Chain(store).version(1))
    assert weights_bytes(load_heavy(store, RESULT)) == weights_bytes(base)
    assert result.metrics["test"]["auc"].reason == "MetricNotEstimable"
    assert result.metrics["test"] == result.metrics["agnosticTest"]


def test_columns_that_lie_outside_of_the_pools_features_are_named(store, address):
    abroad = a_scenario(store, changed=lambda frame: frame.with_columns(pl.col("context.hour") * 100 + 1000))
    uncovered = run("adapt", adapt_config(address, abroad)).outputs["uncovered"]
    assert list(uncovered) == ["context.hour"]
    assert uncovered["context.hour"] > 0.95


def test_a_scenario_like_the_pool_has_no_uncovered_column(store, address):
    assert run("adapt", adapt_config(address, a_scenario(store))).outputs["uncovered"] == {}


def test_the_feedback_is_the_query_gradient_at_the_weights_fine_tuned_on_support_rows_alone(store, address):
    manifest = a_scenario(store)
    result = run("adapt", adapt_config(address, manifest))
    theta_u, rows, _ = fine_tuned(store, address, manifest)
    expected = feedback(theta_u, rows.query, LOSSES)
    metadata, gradients = read_feedback(store, ARRIVAL, 1)
    assert isinstance(metadata, FeedbackMetadata)
    assert (metadata.base_version, metadata.generation, metadata.examples) == (1, 1, expected.examples)
    assert metadata.loss == pytest.approx(mean_loss(theta_u, rows.query, LOSSES))
    assert result.outputs["feedbackSha256"] == metadata.payload_sha256
    assert store.exists(result.outputs["feedbackKey"])
    assert set(gradients) == set(expected.gradients)
    for name, gradient in gradients.items():
        dense = expected.gradients[name].numpy()
        if isinstance(gradient, RowSparse):
            assert len(gradient.rows) == np.any(dense != 0, axis=1).sum()
            dense = dense[gradient.rows]
            gradient = gradient.values
        np.testing.assert_array_equal(gradient, dense)


def test_the_heavy_model_lies_on_the_way_to_one_that_was_refitted_with_the_query_rows(store, address):
    manifest = a_scenario(store)
    outputs = run("adapt", adapt_config(address, manifest)).outputs
    share, epochs = outputs["interpolation"], outputs["fineTuneEpochs"]
    assert 0 < share <= 1
    assert outputs["adaptReason"] is None
    base = load_version(store, Chain(store).version(1))
    _, rows, settings = fine_tuned(store, address, manifest)
    refitted = load_version(store, Chain(store).version(1))
    both = concatenate([rows.support, rows.query])
    train(refitted, both, None, LOSSES, replace(settings, last_epoch=epochs), None, StopSignal())
    heavy, start, end = (dict(one.named_parameters()) for one in (load_heavy(store, RESULT), base, refitted))
    for name, weight in heavy.items():
        torch.testing.assert_close(weight, start[name] + share * (end[name] - start[name]))
    assert outputs["agnosticLoss"] == pytest.approx(mean_loss(base, rows.validation, LOSSES))
    assert outputs["adaptedLoss"] == pytest.approx(mean_loss(refitted, rows.validation, LOSSES))


def test_without_query_rows_the_fine_tuned_model_needs_no_refit(store, address):
    manifest = a_scenario(store, rows={"query": 0})
    outputs = run("adapt", adapt_config(address, manifest)).outputs
    theta_u, rows, _ = fine_tuned(store, address, manifest)
    assert outputs["adaptedLoss"] == pytest.approx(mean_loss(theta_u, rows.validation, LOSSES))


def test_where_fine_tuning_only_harms_the_agnostic_model_is_kept(store, address):
    manifest = a_scenario(store)
    config = adapt_config(address, manifest, training=Training(fine_tune_epochs=2, fine_tune_learning_rate="1"))
    assert kept(run("adapt", config)) == (0, "NotBetter", 0)
    base = load_version(store, Chain(store).version(1))
    assert weights_bytes(load_heavy(store, RESULT)) == weights_bytes(base)


def test_losses_of_rows_average_to_the_loss_of_all(store, address):
    base = load_version(store, Chain(store).version(1))
    rows = rows_of(store, a_scenario(store), base.features).validation
    rows.observed[::3, 0] = False
    average = (row_losses(base, rows, LOSSES) * rows.weight).sum() / rows.weight.sum()
    assert float(average) == pytest.approx(mean_loss(base, rows, LOSSES))


def test_the_metrics_are_of_the_heavy_model_and_of_this_scenario(store, address):
    manifest = a_scenario(store)
    result = run("adapt", adapt_config(address, manifest))
    assert hashlib.sha256(store.get(result.outputs["heavyKey"])).hexdigest() == result.outputs["heavySha256"]
    base, heavy = load_version(store, Chain(store).version(1)), load_heavy(store, RESULT)
    assert weights_bytes(base) != weights_bytes(heavy)
    assert result.flops == result.outputs["heavyFlops"] == heavy.flops()
    assert result.outputs["agnosticVersion"] == 1
    for split in ("validation", "test"):
        rows = load_split(store, load_manifest(store, manifest), split, heavy.features)
        assert result.metrics[split] == evaluate(predict(heavy, rows), rows, heavy.features)
        agnostic = result.metrics[f"agnostic{split.capitalize()}"]
        assert agnostic == evaluate(predict(base, rows), rows, base.features)


def test_without_validation_rows_the_agnostic_model_stays_and_its_feedback_is_still_handed_in(store, address):
    manifest = a_scenario(store, rows={"validation": 0})
    result = run("adapt", adapt_config(address, manifest))
    base, heavy = load_version(store, Chain(store).version(1)), load_heavy(store, RESULT)
    assert weights_bytes(heavy) == weights_bytes(base)
    assert kept(result) == (0, "NoValidationRows", 0)
    assert result.outputs["agnosticLoss"] is result.outputs["adaptedLoss"] is None
    assert result.outputs["feedbackKey"] is not None


@pytest.mark.parametrize("rate", ["0.05", "1"])
def test_fine_tuning_never_ends_worse_on_validation_rows_than_it_began(store, address, rate):
    manifest = a_scenario(store)
    run("adapt", adapt_config(address, manifest, training=Training(fine_tune_epochs=2, fine_tune_learning_rate=rate)))
    base, heavy = load_version(store, Chain(store).version(1)), load_heavy(store, RESULT)
    validation = load_split(store, load_manifest(store, manifest), "validation", heavy.features)
    assert mean_loss(heavy, validation, LOSSES) <= mean_loss(base, validation, LOSSES)


def test_the_agnostic_model_is_untouched(store, address):
    before = Chain(store).version(1)
    run("adapt", adapt_config(address, a_scenario(store)))
    assert Chain(store).head_number() == 1
    assert Chain(store).version(1) == before
    assert hashlib.sha256(store.get(before.checkpoint.key)).hexdigest() == before.checkpoint.sha256


def test_without_query_rows_there_is_no_feedback_and_the_outputs_say_so(store, address):
    result = run("adapt", adapt_config(address, a_scenario(store, rows={"query": 0})))
    assert result.outputs["feedbackKey"] is None
    assert result.outputs["feedbackSha256"] is None
    assert result.outputs["feedbackReason"] == "EmptyQuerySet"
    assert list(store.list("agnostic/feedback/")) == []
    assert load_heavy(store, RESULT)


def test_rows_that_are_learned_already_give_no_feedback_and_the_model_is_the_same(store, address, tmp_path):
    manifest = a_scenario(store)
    first = run("adapt", adapt_config(address, manifest))
    second = run("adapt", adapt_config(address, manifest, run=2, identity="a2", feedback=False))
    assert second.outputs["feedbackKey"] is second.outputs["feedbackSha256"] is None
    assert second.outputs["feedbackReason"] == "AlreadyLearned"
    assert [found.key for found in store.list("agnostic/feedback/")] == [first.outputs["feedbackKey"]]
    assert second.outputs["heavySha256"] == first.outputs["heavySha256"]


def test_the_losses_of_fine_tuning_are_drawn(store, address):
    result = run("adapt", adapt_config(address, a_scenario(store)))
    assert set(result.pictures) == {"learning-curves"}
    assert "kept: " in store.get(result.pictures["learning-curves"]).decode()


def test_without_support_rows_the_agnostic_model_is_kept(store, address):
    result = run("adapt", adapt_config(address, a_scenario(store, rows={"support": 0})))
    assert result.pictures == {}
    assert kept(result) == (0, "NoSupportRows", 0)
    assert weights_bytes(load_heavy(store, RESULT)) == weights_bytes(load_version(store, Chain(store).version(1)))


def test_test_rows_of_one_class_are_not_estimable_and_the_run_goes_on(store, address):
    result = run("adapt", adapt_config(address, a_scenario(store, rows={"test": 1})))
    assert result.metrics["test"]["auc"].reason == "MetricNotEstimable"
    assert result.outputs["feedbackKey"]


@pytest.mark.parametrize("where", ["epoch 2", "refit on support and query rows, epoch 1"])
def test_a_stopped_step_resumes_and_ends_alike(initialized, tmp_path, monkeypatch, where):
    def stop(self, fraction, message=""):
        if message == where:
            os.kill(os.getpid(), signal.SIGTERM)

    results = {}
    for name in ("stopped", "whole"):
        address = copied(initialized, tmp_path / name)
        config = adapt_config(address, a_scenario(open_store(address)))
        if name == "stopped":
            with monkeypatch.context() as patch:
                patch.setattr(Progress, "update", stop)
                with pytest.raises(Terminated):
                    run("adapt", config)
        results[name] = run("adapt", config)
    assert results["stopped"].outputs == results["whole"].outputs
    assert results["stopped"].metrics == results["whole"].metrics


@pytest.mark.parametrize("lost", ["heavy.safetensors put", "feedback put"])
def test_an_attempt_that_died_after_a_write_is_taken_up_where_it_was(store, address, tmp_path, lost):
    config = adapt_config(address, a_scenario(store))
    first = run("adapt", config)
    (tmp_path / "store" / RESULT).unlink()
    if lost == "heavy.safetensors put":
        (tmp_path / "store" / first.outputs["feedbackKey"]).unlink()
    second = run("adapt", config)
    assert (second.outputs, second.metrics) == (first.outputs, first.metrics)


def test_weights_that_an_earlier_attempt_saved_stand_and_the_metrics_are_theirs(store, address):
    manifest = a_scenario(store)
    earlier = load_version(store, Chain(store).version(1))
    with torch.no_grad():
        earlier.logits.bias.add_(0.25)  # what another machine might have come to
    store.put_if_absent(f"runs/{ARRIVAL}/1/adapt/heavy.safetensors", weights_bytes(earlier))
    result = run("adapt", adapt_config(address, manifest))
    assert weights_bytes(load_heavy(store, RESULT)) == weights_bytes(earlier)
    validation = rows_of(store, manifest, earlier.features).validation
    assert result.metrics["validation"] == evaluate(predict(earlier, validation), validation, earlier.features)


def test_a_feedback_that_stands_from_an_earlier_attempt_is_never_replaced(store, address, tmp_path):
    config = adapt_config(address, a_scenario(store))
    first = run("adapt", config)
    (tmp_path / "store" / RESULT).unlink()
    (tmp_path / "store" / first.outputs["heavyKey"]).unlink()
    other = config.model_copy(update={"seed": 99})  # stands for sums rounded otherwise
    for file in (tmp_path / "store").rglob("resume/*"):
        file.unlink()
    second = run("adapt", other)
    assert second.outputs["heavySha256"] != first.outputs["heavySha256"]
    assert second.outputs["feedbackSha256"] == first.outputs["feedbackSha256"]


def test_a_feedback_of_another_base_under_the_same_run_is_a_conflict(store, address, tmp_path):
    config = adapt_config(address, a_scenario(store))
    run("adapt", config)
    chain = Chain(store)
    chain.commit(chain.version(1).model_copy(update={"number": 2, "kind": "fold", "nonce": "fold"}))
    (tmp_path / "store" / RESULT).unlink()
    with pytest.raises(FeedbackConflict, match="already holds another feedback of this run"):
        run("adapt", config.model_copy(update={"base_version": 2}))


def test_a_base_version_that_is_not_committed_is_named(store, address):
    with pytest.raises(DataInvalid, match="agnostic version 7 is not committed"):
        run("adapt", adapt_config(address, a_scenario(store), base_version=7))
