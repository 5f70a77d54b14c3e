"""meta-train: all stored data in, a better version of the agnostic model out, or none; exactly once in one chain."""

import copy
import io
import os
import shutil
import signal
import weakref

import pytest
import torch

from longtail_api.architecture import Training
from longtail_api.run_config import StoreAddress
from longtail_api.store_layout import result_key, version_key
from longtail_api.store_objects import MetaUpdateParameters
from longtail_store import Chain, open_store
from longtail_trainer.data.loading import load_manifest, load_split
from longtail_trainer.methods import run
from longtail_trainer.methods.alt import meta_train as step
from longtail_trainer.methods.alt.feedback import feedback
from longtail_trainer.methods.alt.meta_training import Learner, MetaTrainingSettings, Quality, Task, meta_train, twin_of
from longtail_trainer.methods.alt.teacher import load_version
from longtail_trainer.running.errors import ConfigInvalid, DataInvalid, Terminated
from longtail_trainer.running.progress import Progress
from longtail_trainer.training.loss import LabelLosses
from longtail_trainer.training.scoring import mean_loss
from longtail_trainer.training.seeds import epoch_seed
from longtail_trainer.training.settings import TrainingSettings
from longtail_trainer.training.supervised import train
from tests.trainer.contexts import context_of
from tests.trainer.prepared_data import SCHEMA, write_scenario
from tests.trainer.training_steps import ARRIVAL, POOL, initialize_config, killed_after, meta_train_config, started

pytestmark = pytest.mark.slow

LOSSES = LabelLosses.of(SCHEMA)
RESULT = result_key("agnostic", 1, "meta-train")
USED = ("support", "query", "validation")
MANIFESTS = [f"data/{name}/v1/manifest.json" for name in (*POOL, ARRIVAL)]


@pytest.fixture(scope="module")
def initialized(tmp_path_factory):
    """A store with a version 1 that knows little, the data of its pool, and that of a scenario that came later."""
    folder = tmp_path_factory.mktemp("initialized") / "store"
    address = StoreAddress(uri=f"file://{folder}")
    store = open_store(address)
    for number, name in enumerate((*POOL, ARRIVAL)):
        write_scenario(store, name, seed=number)
    run("initialize", initialize_config(address, MANIFESTS[:2], training=Training(epochs=1, batch_size=32)))
    return folder


@pytest.fixture
def address(initialized, tmp_path):
    shutil.copytree(initialized, tmp_path / "store")
    return StoreAddress(uri=f"file://{tmp_path}/store")


@pytest.fixture
def store(address):
    return open_store(address)


def a_fold_of(store, number, runs=None):
    """A version like the one before it, but that it has settled some runs."""
    chain = Chain(store)
    fold = chain.version(number - 1).model_copy(
        update={
            "number": number,
            "kind": "fold",
            "settled": {ARRIVAL: runs or [(1, 1)]},
            "folded_count": 1,
            "nonce": f"fold-{number}",
            "metrics": {},
        }
    )
    chain.commit(fold)
    return fold


def tasks_of(store, model, names=MANIFESTS):
    """With their rows in memory."""
    tasks = []
    for manifest in (load_manifest(store, name) for name in names):
        rows = {split: load_split(store, manifest, split, model.features) for split in USED}
        tasks.append(Task(manifest.scenario, rows.__getitem__))
    return tasks


def settings(**changes):
    values = {
        "rounds": 1, "patience": 5, "scenarios_per_step": 2, "learning_rate": 0.1, "clip_norm": 1e9, "seed": 3,
        "episode_epochs": 1, "episode_batch_size": 32, "episode_learning_rate": 0.003,
    }  # fmt: skip
    return MetaTrainingSettings(**(values | changes))


class Nothing:
    """Neither resumes nor stops."""

    def save(self, name, payload):
        pass

    def load(self, name):
        return None

    def raise_if_requested(self):
        pass


class Kept(Nothing):
    def save(self, name, payload):
        self.payload = payload


def after_one_round(model, tasks, **changes):
    """The weights that one round ends in, whether or not they are better."""
    kept = Kept()
    meta_train(copy.deepcopy(model), tasks, LOSSES, settings(**changes), "here", kept, Nothing())
    return torch.load(io.BytesIO(kept.payload), weights_only=True)["parts"]["model"]


def test_a_step_is_eta_times_the_sum_of_query_gradients_at_the_adapted_weights(store):
    """ALT Eq. 1 to 3, by hand."""
    model = load_version(store, Chain(store).version(1))
    tasks = tasks_of(store, model)[:2]
    moved = after_one_round(model, tasks)
    gradients = []
    for task in tasks:
        adapted = copy.deepcopy(model)
        seed = epoch_seed(3, f"1:{task.scenario}")
        inner = TrainingSettings(epochs=1, batch_size=32, learning_rate=0.003, seed=seed)
        train(adapted, task.load("support"), None, LOSSES, inner, None, Nothing())
        gradients.append(feedback(adapted, task.load("query"), LOSSES).gradients)
    for name, parameter in model.named_parameters():
        expected = parameter - 0.1 * (gradients[0][name] + gradients[1][name])
        torch.testing.assert_close(moved[name], expected.detach(), rtol=1e-5, atol=1e-7)


def test_rows_that_are_read_when_needed_teach_the_same_and_are_those_of_one_scenario_at_a_time(store):
    model = load_version(store, Chain(store).version(1))
    alive = []

    def task(manifest):
        def load(split):
            others = [scenario for scenario, rows in alive if rows() is not None and scenario != manifest.scenario]
            assert not others
            rows = load_split(store, manifest, split, model.features)
            alive.append((manifest.scenario, weakref.ref(rows)))
            return rows

        return Task(manifest.scenario, load)

    moved = after_one_round(model, [task(load_manifest(store, name)) for name in MANIFESTS])
    expected = after_one_round(model, tasks_of(store, model))
    assert len(alive) > len(MANIFESTS) * len(USED)
    assert all(torch.equal(moved[name], weight) for name, weight in expected.items())


def test_each_gradient_is_clipped_by_itself(store):
    model = load_version(store, Chain(store).version(1))
    moved = after_one_round(model, tasks_of(store, model)[:1], clip_norm=0.01)
    squared = sum(
        float((moved[name] - parameter.detach()).double().square().sum())
        for name, parameter in model.named_parameters()
    )
    assert squared**0.5 == pytest.approx(0.1 * 0.01, rel=1e-3)


def test_a_fine_tuned_copy_leaves_the_model_as_it_is(store):
    model = load_version(store, Chain(store).version(1))
    before = copy.deepcopy(model.state_dict())
    task = tasks_of(store, model)[0]
    adapted = Learner(model, LOSSES, settings()).fine_tuned(task, 1, Nothing())
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert mean_loss(adapted, task.load("support"), LOSSES) < mean_loss(model, task.load("support"), LOSSES)


def test_a_copy_has_weights_of_its_own_and_shares_the_vocabularies(store):
    model = load_version(store, Chain(store).version(1))
    twin = twin_of(model)
    assert twin.features is model.features
    own = {parameter.data_ptr() for parameter in model.parameters()}
    assert own.isdisjoint(parameter.data_ptr() for parameter in twin.parameters())


@pytest.mark.parametrize(
    ("agnostic", "adapted", "better"), [(1.0, 0.8, True), (1.1, 0.7, False), (1.0, 0.9, False), (0.5, 0.95, False)]
)
def test_a_round_counts_where_it_is_worse_than_the_start_in_nothing_and_adapts_best(agnostic, adapted, better):
    start, best = Quality(agnostic=1.0, adapted=1.0), Quality(agnostic=0.9, adapted=0.9)
    assert Quality(agnostic, adapted).betters(start, best) is better


def test_the_version_follows_its_base_and_is_better_on_validation_rows(store, address):
    a_fold_of(store, 2)
    result = run("meta-train", meta_train_config(address, MANIFESTS))
    version = Chain(store).version(3)
    assert result.outputs["committed"]
    assert (result.outputs["agnosticVersion"], result.outputs["baseVersion"]) == (3, 2)
    assert (version.kind, version.generation, version.pool) == ("meta-training", 1, MANIFESTS)
    assert (version.settled, version.folded_count, version.folded) == ({ARRIVAL: [(1, 1)]}, 1, [])
    after, before = result.metrics["validation"], result.metrics["baseValidation"]
    assert after["adaptedLoss"].value < before["adaptedLoss"].value
    assert after["loss"].value <= before["loss"].value
    assert {"auc", "logLoss", "scenarioAverageAuc"} <= set(after) & set(before)
    base, model = load_version(store, Chain(store).version(1)), load_version(store, version)
    tasks = tasks_of(store, model)
    for trained, said in ((base, before), (model, after)):
        losses = [mean_loss(trained, task.load("validation"), LOSSES) for task in tasks]
        assert said["loss"].value == pytest.approx(sum(losses) / 3)


def test_what_is_no_better_is_not_committed_and_said_so(store, address):
    far_too_long = MetaUpdateParameters(learning_rate=1.0, staleness_exponent=0.5, clip_norm=10)
    result = run("meta-train", meta_train_config(address, MANIFESTS, parameters=far_too_long))
    assert (result.outputs["committed"], result.outputs["agnosticVersion"]) == (False, 1)
    assert result.metrics["validation"] == result.metrics["baseValidation"]
    assert Chain(store).head_number() == 1


def test_no_test_row_is_read(address, tmp_path):
    for part in (tmp_path / "store" / "data").rglob("part-test-*.parquet"):
        part.unlink()
    assert run("meta-train", meta_train_config(address, MANIFESTS)).outputs["committed"]


def sigterm_at_round(number):
    def metric(progress, round, **values):
        if round == number:
            os.kill(os.getpid(), signal.SIGTERM)

    return metric


def test_sigterm_ends_it_cleanly_and_the_next_attempt_goes_on_to_the_same_weights(initialized, tmp_path, monkeypatch):
    weights = {}
    for name in ("stopped", "whole"):
        shutil.copytree(initialized, tmp_path / name)
        address = StoreAddress(uri=f"file://{tmp_path}/{name}")
        config = meta_train_config(address, MANIFESTS)
        if name == "stopped":
            with monkeypatch.context() as patch:
                patch.setattr(Progress, "metric", sigterm_at_round(2))
                with pytest.raises(Terminated):
                    run("meta-train", config)
            assert Chain(open_store(address)).head_number() == 1
        run("meta-train", config)
        weights[name] = Chain(open_store(address)).version(2).checkpoint.sha256
    assert weights["stopped"] == weights["whole"]


@pytest.mark.slow
def test_a_killed_training_resumes_and_ends_in_the_same_weights(initialized, tmp_path, capfd):
    weights = {}
    for name in ("killed", "whole"):
        shutil.copytree(initialized, tmp_path / name)
        address = StoreAddress(uri=f"file://{tmp_path}/{name}")
        config = meta_train_config(address, MANIFESTS, rounds=5, episode_epochs=2)
        if name == "killed":
            killed_after(started(config, tmp_path), "round=2")
            assert not open_store(address).exists(RESULT)
        run("meta-train", config)
        assert ("round=1 " in capfd.readouterr().out) == (name == "whole")  # resumed, not started over
        weights[name] = Chain(open_store(address)).version(2).checkpoint.sha256
    assert weights["killed"] == weights["whole"]


class OvertakenOnce:
    """A store in which a fold takes version 2 just before this writer does."""

    def __init__(self, store):
        self._store = store
        self._waiting = True

    def __getattr__(self, name):
        return getattr(self._store, name)

    def put_if_absent(self, key, data):
        if key == version_key(2) and self._waiting:
            self._waiting = False
            a_fold_of(self._store, 2)
        return self._store.put_if_absent(key, data)


def test_a_fold_that_comes_first_is_not_lost_and_training_starts_over_from_it(store, address, tmp_path):
    config = meta_train_config(address, MANIFESTS)
    result = step.run(config, context_of(config, tmp_path / "work", OvertakenOnce(store)))
    assert (result.outputs["baseVersion"], result.outputs["agnosticVersion"]) == (2, 3)
    assert [Chain(store).version(number).kind for number in (1, 2, 3)] == ["initial", "fold", "meta-training"]
    assert Chain(store).version(3).settled == {ARRIVAL: [(1, 1)]}


def test_killed_between_commit_and_result_it_adopts_its_own_version_whatever_followed(store, address, tmp_path):
    config = meta_train_config(address, MANIFESTS)
    first = run("meta-train", config)
    (tmp_path / "store" / RESULT).unlink()
    a_fold_of(store, 3)
    second = run("meta-train", config)
    assert second.metrics == first.metrics
    assert second.outputs.items() <= first.outputs.items()
    assert Chain(store).head_number() == 3


def test_the_next_meta_training_goes_on_from_what_the_last_one_left(store, address):
    run("meta-train", meta_train_config(address, MANIFESTS))
    result = run("meta-train", meta_train_config(address, MANIFESTS, identity="m2", run=2, base_version=2))
    assert result.outputs["baseVersion"] == 2


def test_a_generation_that_is_over_is_not_trained(store, address):
    other = Chain(store).version(1).model_copy(update={"number": 2, "generation": 2, "nonce": "next"})
    Chain(store).commit(other)
    with pytest.raises(ConfigInvalid, match="is at generation 2, this training is for generation 1"):
        run("meta-train", meta_train_config(address, MANIFESTS))


def test_without_validation_rows_nothing_can_be_judged(store, address):
    key = write_scenario(store, "ns.west.00000004", rows={"validation": 0})
    with pytest.raises(DataInvalid, match=r"set split\.validation above 0"):
        run("meta-train", meta_train_config(address, [key]))


def test_scenarios_without_support_query_or_validation_rows_are_no_obstacle(store, address):
    bare = [
        write_scenario(store, f"ns.{split}.0000000{number}", rows={split: 0}, seed=number)
        for number, split in enumerate(("support", "query", "validation"), start=5)
    ]
    result = run("meta-train", meta_train_config(address, MANIFESTS + bare, rounds=1))
    assert result.metrics["validation"]["adaptedLoss"].value > 0


def test_without_any_query_row_there_is_nothing_to_learn(store, address):
    key = write_scenario(store, "ns.west.00000004", rows={"query": 0})
    with pytest.raises(DataInvalid, match="no scenario has a query row"):
        run("meta-train", meta_train_config(address, [key]))
