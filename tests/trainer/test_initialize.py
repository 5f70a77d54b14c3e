"""initialize: from a pool to the first version of a generation, exactly once."""

import hashlib
import os
import signal
import time

import polars as pl
import pytest
import torch

from longtail_api.architecture import Training
from longtail_api.run_config import ExitCode, StoreAddress
from longtail_api.store_layout import (
    CHECKPOINTS_PREFIX,
    checkpoint_key,
    features_key,
    result_key,
    resume_key,
    step_prefix,
)
from longtail_api.store_objects import AltHeavy, Version
from longtail_store import AttemptExpired, Chain, StoreUnreachable, open_store
from longtail_trainer.data.encoded import concatenate
from longtail_trainer.data.loading import load_manifest, load_split
from longtail_trainer.methods import run
from longtail_trainer.methods.alt.first_version import commit_first, first_of_generation
from longtail_trainer.methods.alt.teacher import load_version
from longtail_trainer.running.errors import ConfigInvalid, DataInvalid, Terminated, trainer_error
from longtail_trainer.running.progress import Progress
from longtail_trainer.training.evaluation import evaluate
from longtail_trainer.training.scoring import predict
from tests.trainer.prepared_data import FEATURES, SCHEMA, parts_read, write_scenario
from tests.trainer.training_steps import POOL, SMALL, initialize_config, killed_after, started

SLOW_TRAINING = Training(epochs=8, batch_size=4, learning_rate="0.003")


@pytest.fixture
def address(tmp_path):
    return StoreAddress(uri=f"file://{tmp_path}/store")


@pytest.fixture
def store(address):
    return open_store(address)


def a_pool(store, **options):
    return [write_scenario(store, name, seed=number, **options) for number, name in enumerate(POOL)]


def test_the_first_version_names_what_it_was_made_from(store, address):
    pool = a_pool(store)
    result = run("initialize", initialize_config(address, pool))
    version = Chain(store).version(1)
    assert (version.kind, version.generation, version.pool, version.schema_hash) == ("initial", 1, pool, "h1")
    assert store.exists(features_key(version.features_sha256))
    assert result.outputs == {
        "agnosticVersion": 1,
        "generation": 1,
        "checkpointSha256": version.checkpoint.sha256,
        "featuresSha256": version.features_sha256,
        "heavyFlops": version.flops,
        "sharedEntities": version.shared_entities,
    }
    assert hashlib.sha256(store.get(version.checkpoint.key)).hexdigest() == version.checkpoint.sha256


def test_entities_that_are_trained_on_in_one_scenario_and_tested_in_another_are_counted(store, address, caplog):
    """Three rows an entity: e0 … e39 in support rows, e0 … e19 in test rows, of every scenario."""
    apart = pl.col("entity") + " of the north"
    pool = [
        write_scenario(store, POOL[0], rows={"support": 30, "query": 0, "test": 60}, seed=0),
        write_scenario(store, POOL[1], rows={"support": 45, "query": 0, "test": 60}, seed=1),
        write_scenario(
            store,
            "ns.north.00000009",
            rows={"test": 90},
            seed=2,
            changed=lambda frame: frame.with_columns(entity=apart),
        ),
    ]
    result = run("initialize", initialize_config(address, pool, training=Training(epochs=1)))
    assert result.outputs["sharedEntities"] == 15
    assert "15 entities have training rows in one scenario" in caplog.text


def test_it_learns_and_says_how_well_on_validation_rows(store, address):
    pool = a_pool(store)
    result = run("initialize", initialize_config(address, pool, training=Training(epochs=8, learning_rate="0.02")))
    version = Chain(store).version(1)
    model = load_version(store, version)
    validation = concatenate(
        [load_split(store, load_manifest(store, key), "validation", model.features) for key in pool]
    )
    expected = evaluate(predict(model, validation), validation, model.features)
    assert result.metrics["validation"]["auc"].value == pytest.approx(expected["auc"].value)
    assert expected["auc"].value > 0.75
    assert set(result.metrics) == {"validation"}
    assert "validation rows" in store.get(result.pictures["learning-curves"]).decode()
    assert {f"auc/{name}" for name in POOL} <= set(version.metrics)
    average = sum(version.metrics[f"auc/{name}"] for name in POOL) / 2
    assert version.metrics["scenarioAverageAuc"] == pytest.approx(average)


def test_of_test_rows_nothing_but_the_entities_is_read(store, address, monkeypatch):
    read = parts_read(monkeypatch)
    run("initialize", initialize_config(address, a_pool(store), training=Training(epochs=1)))
    of_test_rows = [columns for split, columns in read if split == "test"]
    assert of_test_rows == [["entity"]] * len(POOL)


def test_the_same_inputs_give_the_same_weights_and_another_seed_others(tmp_path):
    def checkpoint(name, **fields):
        address = StoreAddress(uri=f"file://{tmp_path}/{name}")
        run("initialize", initialize_config(address, a_pool(open_store(address)), **fields))
        return Chain(open_store(address)).version(1).checkpoint.sha256

    assert checkpoint("one") == checkpoint("two") != checkpoint("three", seed=6)


@pytest.mark.slow
def test_a_killed_training_resumes_and_ends_in_the_same_weights(tmp_path, capfd):
    weights = {}
    for name in ("killed", "whole"):
        address = StoreAddress(uri=f"file://{tmp_path}/{name}")
        store = open_store(address)
        config = initialize_config(address, a_pool(store), training=SLOW_TRAINING)
        if name == "killed":
            killed_after(started(config, tmp_path), "epoch=3")
            assert not store.exists(result_key("agnostic", 1, "initialize"))
            assert Chain(store).head_number() == 0
        run("initialize", config)
        assert ("epoch=1 " in capfd.readouterr().out) == (name == "whole")  # resumed, not started over
        weights[name] = Chain(store).version(1).checkpoint.sha256
    assert weights["killed"] == weights["whole"]


@pytest.mark.parametrize("encoder", ["LSTM", "Transformer"])
def test_sigterm_ends_it_cleanly_and_the_next_attempt_goes_on_to_the_same_weights(tmp_path, monkeypatch, encoder):
    weights = {}
    for name in ("stopped", "whole"):
        address = StoreAddress(uri=f"file://{tmp_path}/{name}")
        store = open_store(address)
        config = initialize_config(address, a_pool(store), encoder=encoder)
        if name == "stopped":
            with monkeypatch.context() as patch:
                patch.setattr(Progress, "metric", sigterm_at_epoch(2))
                with pytest.raises(Terminated):
                    run("initialize", config)
            assert store.exists(resume_key(step_prefix("agnostic", 1, "initialize"), "training"))
            assert Chain(store).head_number() == 0
        run("initialize", config)
        weights[name] = Chain(store).version(1).checkpoint.sha256
    assert weights["stopped"] == weights["whole"]


def sigterm_at_epoch(number):
    def metric(progress, epoch, **values):
        if epoch == number:
            os.kill(os.getpid(), signal.SIGTERM)

    return metric


def test_killed_between_commit_and_result_it_adopts_its_own_version(store, address, tmp_path):
    config = initialize_config(address, a_pool(store))
    first = run("initialize", config)
    (tmp_path / "store" / result_key("agnostic", 1, "initialize")).unlink()
    second = run("initialize", config)
    assert (second.outputs, second.metrics) == (first.outputs, first.metrics)
    assert Chain(store).head_number() == 1


def test_a_generation_that_has_begun_is_not_begun_again(store, address):
    pool = a_pool(store)
    first = run("initialize", initialize_config(address, pool))
    other = run("initialize", initialize_config(address, pool, identity="i2", run=2, seed=9))
    assert other.outputs == first.outputs


def test_another_schema_in_a_generation_that_has_begun_is_refused(store, address):
    pool = a_pool(store)
    run("initialize", initialize_config(address, pool))
    with pytest.raises(ConfigInvalid, match=r"generation 1 began with version 1 of another schema .* generation 2"):
        run("initialize", initialize_config(address, pool, identity="i2", run=2, schema_hash="h2"))


def test_the_next_generation_goes_on_after_the_head_and_keeps_what_is_settled(store, address):
    pool = a_pool(store)
    run("initialize", initialize_config(address, pool))
    chain = Chain(store)
    folded = chain.version(1).model_copy(
        update={"number": 2, "kind": "fold", "settled": {POOL[0]: [(1, 4)]}, "nonce": "fold"}
    )
    chain.commit(folded)
    result = run("initialize", initialize_config(address, pool, identity="i2", run=2, generation=2, schema_hash="h2"))
    assert result.outputs["agnosticVersion"] == 3
    assert chain.version(3).generation == 2
    assert chain.version(3).settled == {POOL[0]: [(1, 4)]}
    assert first_of_generation(chain, 1).number == 1
    assert first_of_generation(chain, 3) is None


class LosesOneResponse:
    """A store whose first write of a version record arrives, and then fails to answer."""

    def __init__(self, store):
        self._store = store
        self.failed = False

    def __getattr__(self, name):
        return getattr(self._store, name)

    def put_if_absent(self, key, data):
        written = self._store.put_if_absent(key, data)
        if "/versions/" in key and not self.failed:
            self.failed = True
            raise StoreUnreachable(f"no answer about {key}")
        return written


class OvertakenOnce:
    """A store in which another writer takes version 2 just before this one writes it."""

    def __init__(self, store, other: Version):
        self._store = store
        self._other = other

    def __getattr__(self, name):
        return getattr(self._store, name)

    def put_if_absent(self, key, data):
        if "/versions/" in key and self._other is not None:
            other, self._other = self._other, None
            assert self._store.put_if_absent(key, other.to_bytes())
        return self._store.put_if_absent(key, data)


def recorder(generation, schema_hash="h1"):
    def record(number, nonce, checkpoint, before):
        return Version(
            number=number,
            kind="initial",
            generation=generation,
            checkpoint=checkpoint,
            features_sha256="0" * 64,
            model=AltHeavy(encoder="LSTM", architecture=SMALL),
            schema_hash=schema_hash,
            nonce=nonce,
            created="2026-01-01T00:00:00Z",
        )

    return record


def first_committed(store, generation, weights, record, monotonic=time.monotonic):
    return commit_first(Chain(store), generation, weights, record, orphans_seconds=600, monotonic=monotonic)


class DiesAtTheCommit:
    """A store whose user is killed right before a version record is written."""

    def __init__(self, store):
        self._store = store

    def __getattr__(self, name):
        return getattr(self._store, name)

    def put_if_absent(self, key, data):
        if "/versions/" in key:
            raise KeyboardInterrupt
        return self._store.put_if_absent(key, data)


def checkpoints_of(store):
    return {found.key for found in store.list(CHECKPOINTS_PREFIX)}


def test_a_repeated_attempt_never_takes_up_the_checkpoint_of_one_that_died(store, tmp_path):
    weights = tmp_path / "weights"
    weights.write_bytes(b"weights")
    with pytest.raises(KeyboardInterrupt):
        first_committed(DiesAtTheCommit(store), 1, weights, recorder(1))
    left_behind = checkpoints_of(store)
    version = first_committed(store, 1, weights, recorder(1))
    for key in left_behind:  # as the collector does with an orphan, whenever it comes by
        store.delete(key)
    assert Chain(store).head() == version
    Chain(store).load_checkpoint(version.checkpoint, tmp_path / "loaded")


def test_of_two_attempts_at_once_one_commits_and_the_other_accepts_it(store, tmp_path):
    weights = tmp_path / "weights"
    weights.write_bytes(b"weights")
    committed = []

    def record(number, nonce, checkpoint, before):
        if not committed:  # the other pod is faster
            committed.append(first_committed(store, 1, weights, recorder(1)))
        return recorder(1)(number, nonce, checkpoint, before)

    assert first_committed(store, 1, weights, record) == committed[0]
    assert Chain(store).head_number() == 1
    assert len(checkpoints_of(store)) == 2, "each wrote a checkpoint of its own"


def test_an_attempt_that_took_half_the_retention_of_orphans_gives_up(store, tmp_path):
    weights = tmp_path / "weights"
    weights.write_bytes(b"weights")
    ticks = iter([0.0, 301.0])
    with pytest.raises(AttemptExpired) as raised:
        first_committed(store, 1, weights, recorder(1), monotonic=lambda: next(ticks))
    assert Chain(store).head_number() == 0
    assert trainer_error(raised.value).exit_code == ExitCode.RETRYABLE


def test_a_lost_response_to_the_commit_is_recognized_as_ones_own_version(store, tmp_path):
    weights = tmp_path / "weights"
    weights.write_bytes(b"weights")
    unreliable = LosesOneResponse(store)
    version = first_committed(unreliable, 1, weights, recorder(1))
    assert unreliable.failed
    assert version == Chain(store).version(1)
    assert Chain(store).head_number() == 1


def test_a_fold_of_the_generation_before_that_takes_the_number_is_followed(store, tmp_path):
    weights = tmp_path / "weights"
    weights.write_bytes(b"weights")
    first = first_committed(store, 1, weights, recorder(1))
    fold = first.model_copy(update={"number": 2, "kind": "fold", "nonce": "fold"})
    version = first_committed(OvertakenOnce(store, fold), 2, weights, recorder(2, "h2"))
    assert version.number == 3
    assert store.exists(checkpoint_key(3, version.nonce))


def test_another_attempt_that_commits_first_is_what_stands(store, tmp_path):
    weights = tmp_path / "weights"
    weights.write_bytes(b"weights")
    first = first_committed(store, 1, weights, recorder(1))
    rival = first.model_copy(update={"number": 2, "generation": 2, "nonce": "rival"})
    version = first_committed(OvertakenOnce(store, rival), 2, weights, recorder(2, "h2"))
    assert version.nonce == "rival"
    assert Chain(store).head_number() == 2


def test_a_manifest_that_is_not_there_is_named(store, address):
    with pytest.raises(DataInvalid, match=r"data/ns\.gone/v1/manifest\.json: no such data version"):
        run("initialize", initialize_config(address, ["data/ns.gone/v1/manifest.json"]))


def test_a_pool_prepared_with_another_schema_is_refused(store, address):
    other = SCHEMA.model_copy(deep=True)
    other.profile.numeric = []
    key = write_scenario(store, POOL[0], schema=other)
    with pytest.raises(ConfigInvalid, match="was prepared with another schema; prepare the scenario again"):
        run("initialize", initialize_config(address, [key]))


def test_validation_rows_of_one_class_leave_the_metric_out_and_do_not_fail(store, address):
    pool = a_pool(store, rows={"validation": 1})
    metrics = run("initialize", initialize_config(address, pool)).metrics["validation"]
    assert "logLoss" in metrics


def test_a_pool_without_validation_rows_keeps_the_last_epoch(store, address):
    pool = a_pool(store, rows={"validation": 0})
    result = run("initialize", initialize_config(address, pool))
    assert result.metrics["validation"] == {}
    model = load_version(store, Chain(store).version(1))
    assert all(torch.isfinite(one).all() for one in model.parameters())
    assert model.features != FEATURES
