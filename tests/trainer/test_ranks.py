"""Several processes of one step: as exact as one, of one mind, with one writer, and none left behind."""

import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
from datetime import timedelta

import pytest
import safetensors.torch
import torch

from benchmarks.two_ranks.pods import free_port, run_ranks, run_step
from benchmarks.two_ranks.training import trained
from longtail_api.architecture import Architecture, Training
from longtail_api.run_config import ExitCode, PrepareConfig, StoreAddress
from longtail_store import Chain, open_store
from longtail_store.errors import FeedbackUnusable
from longtail_trainer.methods import STEPS
from longtail_trainer.models.alt_heavy.model import HeavyModel
from longtail_trainer.running.command import command
from longtail_trainer.running.errors import DataInvalid, Retryable, Terminated, trainer_error
from longtail_trainer.running.launcher import Nodes
from longtail_trainer.running.process_group import copyable
from longtail_trainer.running.ranks import ALONE, RANK_LOST, AgreedStop, ReadOnly, joined_ranks
from longtail_trainer.training.loss import LabelLosses
from longtail_trainer.training.supervised import Supervised
from tests.trainer.prepared_data import FEATURES, SCHEMA, write_scenario
from tests.trainer.test_heavy_training import SETTINGS, model, rows
from tests.trainer.training_steps import POOL, SMALL, initialize_config, meta_train_config

TWO_SECONDS = timedelta(seconds=2)
CERTAIN = Architecture.model_validate(SMALL.model_dump() | {"dropout": "0"})


@pytest.fixture
def config(tmp_path):
    address = StoreAddress(uri=(tmp_path / "store").as_uri())
    store = open_store(address)
    pool = [write_scenario(store, scenario, seed=number) for number, scenario in enumerate(POOL)]
    training = Training(epochs=6, batch_size=33, learning_rate="0.01")
    return initialize_config(address, pool, training=training).model_copy(update={"architecture": CERTAIN})


def written(config, folder):
    file = folder / "initialize.json"
    file.write_text(config.model_dump_json(by_alias=True))
    return file


class OneOf:
    """A rank of a process group that is computed here, one rank after the other: what each tells the others is kept."""

    def __init__(self, rank, world):
        self.rank, self.world = rank, world

    def of_first(self, make):
        return make()

    def any(self, told):
        return told


def test_parts_of_a_batch_add_up_to_its_loss_and_its_gradient_whatever_rows_have_which_label():
    losses, heavy, split = LabelLosses.of(SCHEMA), HeavyModel(FEATURES, "LSTM", CERTAIN).double(), rows(31)
    assert not bool(split.observed.all())
    batch = split.select(torch.arange(31)).to(torch.device("cpu"), torch.float64)
    losses.mean(heavy(batch), batch.labels, batch.observed, batch.weight).backward()
    whole = [parameter.grad.clone() for parameter in heavy.parameters()]
    heavy.zero_grad()
    totals = losses.totals(batch.observed, batch.weight)
    for rank in range(3):
        part = split.select(torch.arange(31)[rank::3]).to(torch.device("cpu"), torch.float64)
        losses.part_of_mean(heavy(part), part.labels, part.observed, part.weight, totals).backward()
    for parameter, gradient in zip(heavy.parameters(), whole, strict=True):
        assert torch.allclose(parameter.grad, gradient, rtol=0, atol=1e-14)


def test_of_several_ranks_each_drops_out_units_of_its_own(monkeypatch):
    monkeypatch.setattr("longtail_trainer.training.supervised.summed", lambda numbers, ranks: numbers)
    monkeypatch.setattr("longtail_trainer.training.supervised.sum_gradients", lambda parameters, ranks: None)
    seen = []
    for rank in range(2):
        program = Supervised(model(), rows(64), None, LabelLosses.of(SCHEMA), SETTINGS, OneOf(rank, 2))
        torch.manual_seed(0)
        program.train(1, ALONE_NEVER_STOPS)
        seen.append(torch.rand(1))
    assert seen[0] != seen[1]


class _Never:
    def raise_if_requested(self):
        pass


ALONE_NEVER_STOPS = _Never()


@pytest.mark.slow
def test_two_ranks_come_to_the_weights_of_one(config, tmp_path):
    alone = trained(config, 40, torch.float64, ALONE).state_dict()
    worker = [sys.executable, "-m", "benchmarks.two_ranks.training", "--config", str(written(config, tmp_path))]
    run_ranks([*worker, "--steps", "40", "--dtype", "float64", "--out", str(tmp_path / "two.pt")], 2)
    together = torch.load(tmp_path / "two.pt", weights_only=True)
    assert together.keys() == alone.keys()
    for name, weights in alone.items():
        assert torch.allclose(together[name], weights, rtol=0, atol=1e-9), name


@pytest.mark.slow
def test_a_step_of_two_pods_commits_once_and_both_end_well_though_one_is_killed_in_between(config, tmp_path):
    once, again = tmp_path / "once", tmp_path / "again"
    heads = []
    for folder, kill in ((once, False), (again, True)):
        folder.mkdir()
        address = StoreAddress(uri=(folder / "store").as_uri())
        store = open_store(address)
        for number, scenario in enumerate(POOL):
            write_scenario(store, scenario, seed=number)
        own = config.model_copy(update={"store": address})
        killed = []

        def meddle(seconds, pods, folder=folder, kill=kill, killed=killed):
            trained_some = b"epoch=2" in (folder / "pod-0.log").read_bytes()
            if kill and trained_some and not killed:
                killed.append(seconds)
                pods[1].kill()

        pods = run_step(["initialize", "--config", str(written(own, folder))], folder, meddle)
        heads.append(Chain(store).head())
        if kill:
            assert pods[1].exit_codes[0] == -signal.SIGKILL
            # The other one isn't left waiting: it ends by itself, in a way that its Job tries again.
            assert pods[0].exit_codes[0] in (ExitCode.RETRYABLE, 0)
        assert json.loads((folder / "pod-0.termination").read_bytes())["status"] == "Succeeded"
    assert [head.number for head in heads] == [1, 1]
    assert heads[0].checkpoint.sha256 == heads[1].checkpoint.sha256
    assert heads[0].metrics == heads[1].metrics


@pytest.mark.slow
def test_two_pods_meta_train_to_the_version_that_one_would_have_made(config, tmp_path):
    assert command(["initialize", "--config", str(written(config, tmp_path))], STEPS) == 0
    weights = []
    for number, folder in enumerate((tmp_path / "alone", tmp_path / "together")):
        shutil.copytree(tmp_path / "store", folder / "store")
        address = StoreAddress(uri=(folder / "store").as_uri())
        own = meta_train_config(address, config.pool, rounds=2)
        file = folder / "meta-train.json"
        file.write_text(own.model_dump_json(by_alias=True))
        if number == 0:
            assert command(["meta-train", "--config", str(file)], STEPS) == 0
        else:
            run_step(["meta-train", "--config", str(file)], folder)
        store = open_store(address)
        head = Chain(store).head()
        assert head.number == 2, "this training is one that helps"
        weights.append(safetensors.torch.load(store.get(head.checkpoint.key)))
    alone, together = weights
    for name, tensor in alone.items():
        assert torch.allclose(together[name], tensor, rtol=0, atol=1e-5), name


@pytest.mark.slow
def test_a_signal_to_one_pod_stops_both_and_leaves_no_process_behind(config, tmp_path):
    endless = config.model_copy(update={"training": Training(epochs=1000, batch_size=33, learning_rate="0.0001")})
    told = []

    def meddle(seconds, pods):
        if b"epoch=2" in (tmp_path / "pod-0.log").read_bytes() and not told:
            told.append([pod.process.pid for pod in pods])
            pods[1].process.send_signal(signal.SIGTERM)
        if all(pod.exit_codes for pod in pods):  # what comes next are attempts that would go on
            raise Stopped([pod.exit_codes[0] for pod in pods])

    with pytest.raises(Stopped) as stopped:
        run_step(["initialize", "--config", str(written(endless, tmp_path))], tmp_path, meddle)
    assert stopped.value.args[0] == [ExitCode.TERMINATED, ExitCode.TERMINATED]
    assert all(not alive(pid) for pid in told[0])


class Stopped(Exception):
    pass


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.slow
def test_a_finished_step_is_not_begun_again_by_a_pod_whose_others_are_gone(config, tmp_path, monkeypatch):
    file = written(config, tmp_path)
    assert command(["initialize", "--config", str(file)], STEPS) == 0
    monkeypatch.setenv("LONGTAIL_PROCESSES", "2")
    monkeypatch.setenv("PET_NNODES", "2")
    monkeypatch.setenv("PET_MASTER_PORT", str(free_port()))
    assert command(["initialize", "--config", str(file)], STEPS) == 0


@pytest.mark.slow
def test_an_error_of_the_first_rank_ends_all_with_its_exit_code_and_its_message(config, tmp_path, monkeypatch):
    wrong = config.model_copy(update={"pool": ["data/none/manifest.json"]})
    log = tmp_path / "termination"
    environment = {
        "LONGTAIL_PROCESSES": "2",
        "PET_NPROC_PER_NODE": "2",
        "PET_MASTER_ADDR": "127.0.0.1",
        "PET_MASTER_PORT": str(free_port()),
        "TERMINATION_MESSAGE_PATH": str(log),
    }
    process = subprocess.run(
        [sys.executable, "-m", "longtail_trainer", "initialize", "--config", str(written(wrong, tmp_path))],
        env=os.environ | environment,
        capture_output=True,
    )
    assert process.returncode == ExitCode.DATA_INVALID, process.stderr.decode()
    assert "data/none/manifest.json" in json.loads(log.read_bytes())["message"]


def test_a_step_that_one_process_carries_out_refuses_several(tmp_path, monkeypatch, caplog):
    config = PrepareConfig(
        store=StoreAddress(uri=(tmp_path / "store").as_uri()),
        identity="i",
        owner="shop.s0.0a1b2c3d",
        run=1,
        data_schema=SCHEMA,
        samples="file:///none.parquet",
        source_key="s0",
        data_version="v1",
    )
    file = written(config, tmp_path)
    monkeypatch.setenv("LONGTAIL_PROCESSES", "2")
    assert command(["prepare", "--config", str(file)], STEPS) == ExitCode.CONFIG_INVALID
    assert "prepare is carried out by one process, and 2 were started" in caplog.text


def test_ranks_that_never_come_are_given_up(monkeypatch):
    monkeypatch.setattr("longtail_trainer.running.process_group.JOINING", TWO_SECONDS)
    for name, value in {"WORLD_SIZE": "2", "RANK": "0", "MASTER_ADDR": "127.0.0.1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MASTER_PORT", str(free_port()))
    with pytest.raises(Retryable) as lost, joined_ranks():
        pass
    assert lost.value.reason == RANK_LOST
    assert lost.value.exit_code == ExitCode.RETRYABLE


class MoreThanAMessage(DataInvalid):
    def __init__(self, table, column):
        super().__init__(f"{table}: {column} is missing", reason="NoColumn")


def test_an_error_that_cannot_be_copied_reaches_the_others_with_its_exit_code_and_reason():
    error = MoreThanAMessage("samples", "time")
    with pytest.raises(TypeError):
        pickle.loads(pickle.dumps(error))
    told = pickle.loads(pickle.dumps(copyable(error)))
    assert (told.exit_code, told.reason, told.message) == (error.exit_code, error.reason, error.message)
    refused = FeedbackUnusable("WrongShape", "of another model")
    assert pickle.loads(pickle.dumps(copyable(refused))).message == trainer_error(refused).message
    plain = DataInvalid("the table is empty")
    assert copyable(plain) is plain


def test_a_stop_that_another_rank_was_told_ends_this_one_too():
    class Told(OneOf):
        def any(self, told):
            return True

    with pytest.raises(Terminated, match="another process"):
        AgreedStop(ALONE_NEVER_STOPS, Told(1, 2)).raise_if_requested()


def test_a_rank_that_is_not_the_first_cannot_write(tmp_path):
    store = open_store(StoreAddress(uri=tmp_path.as_uri()))
    store.put_if_absent("a", b"1")
    reader = ReadOnly(store)
    assert reader.get("a") == b"1"
    for write in (lambda: reader.put_if_absent("b", b"2"), lambda: reader.put_advisory("c", b"3")):
        with pytest.raises(AssertionError, match=r"Ranks\.of_first"):
            write()
    with pytest.raises(AssertionError):
        reader.delete("a")
    assert [one.key for one in store.list("")] == ["a"]


def test_the_launcher_reads_what_torchrun_would(monkeypatch):
    for name, value in {
        "PET_NNODES": "3",
        "PET_NPROC_PER_NODE": "8",
        "PET_NODE_RANK": "2",
        "PET_MASTER_ADDR": "step-0.step.shop.svc",
        "PET_MASTER_PORT": "29500",
    }.items():
        monkeypatch.setenv(name, value)
    assert Nodes.of_environment() == Nodes(
        count=3, processes_per_node=8, rank=2, address="step-0.step.shop.svc", port=29500
    )
