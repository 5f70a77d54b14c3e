"""The command line: exit codes, termination messages, SIGTERM."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars
import pytest
import torch
import yaml

from longtail_api.run_config import CONFIG_VERSION, ExitCode, PrepareConfig
from longtail_api.store_layout import progress_key, resume_key
from longtail_api.store_objects import Metric, Termination
from longtail_store import AccessDenied, Conflict, Corrupt, InvalidKey, ObjectMissing, StoreUnreachable, open_store
from longtail_trainer.methods import STEPS
from longtail_trainer.running.command import command
from longtail_trainer.running.errors import BudgetUnreachable, DataInvalid, Retryable, Terminated, trainer_error
from longtail_trainer.running.termination import MOST_BYTES, termination_bytes
from longtail_trainer.running.threads import available_threads, quota
from tests.trainer.tiny import prepare_config, write_tables

ROOT = Path(__file__).parents[2]


@pytest.fixture
def termination(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "termination-log"
    monkeypatch.setenv("TERMINATION_MESSAGE_PATH", str(path))
    return path


def read(path: Path) -> Termination:
    return Termination.model_validate_json(path.read_bytes())


def config_file(tmp_path: Path, **changes: Any) -> Path:
    config = prepare_config(tmp_path / "tables", tmp_path / "store")
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump({**config.to_json_dict(), **changes}))
    return path


def test_a_step_that_succeeds_says_where_its_result_is(tmp_path: Path, termination: Path):
    write_tables(tmp_path / "tables")
    assert command(["prepare", "--config", str(config_file(tmp_path))], STEPS) == ExitCode.SUCCEEDED
    said = read(termination)
    assert said.status == "Succeeded"
    assert said.result_key is not None
    assert (tmp_path / "store" / said.result_key).is_file()
    assert said.outputs["manifest"] == "data/shop.s0.0a1b2c3d/v1/manifest.json"


def test_the_termination_message_names_the_bytes_of_the_result(tmp_path: Path, termination: Path):
    import hashlib

    write_tables(tmp_path / "tables")
    command(["prepare", "--config", str(config_file(tmp_path))], STEPS)
    said = read(termination)
    content = (tmp_path / "store" / str(said.result_key)).read_bytes()
    assert said.result_sha256 == hashlib.sha256(content).hexdigest()


def test_another_store_can_be_named_on_the_command_line(tmp_path: Path, termination: Path):
    write_tables(tmp_path / "tables")
    other = tmp_path / "other"
    arguments = ["prepare", "--config", str(config_file(tmp_path)), "--store-uri", other.as_uri()]
    assert command(arguments, STEPS) == ExitCode.SUCCEEDED
    assert (other / str(read(termination).result_key)).is_file()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"queryShare": 1.5}, "field 'queryShare': Input should be less than 1"),
        ({"sourcekey": "s0"}, "field 'sourcekey': Extra inputs are not permitted"),
        ({"schema": {"labels": []}}, "field 'schema.labels'"),
        ({"step": "adapt"}, "field 'step'"),
        ({"store": {"uri": "ftp://somewhere"}}, "field 'store.uri'"),
    ],
)
def test_a_wrong_config_is_permanent_and_names_the_field(
    tmp_path: Path, termination: Path, changes: dict[str, Any], words: str
):
    assert command(["prepare", "--config", str(config_file(tmp_path, **changes))], STEPS) == ExitCode.CONFIG_INVALID
    assert words in read(termination).message


def test_a_config_of_a_newer_version_is_refused_by_its_version_and_not_by_a_field(tmp_path: Path, termination: Path):
    newer = config_file(tmp_path, configVersion=CONFIG_VERSION + 1, new="x")
    assert command(["prepare", "--config", str(newer)], STEPS) == ExitCode.CONFIG_INVALID
    said = read(termination)
    assert said.reason == "ConfigVersionUnsupported"
    assert f"config version {CONFIG_VERSION + 1}, this trainer image reads up to {CONFIG_VERSION}; " in said.message


def test_a_config_of_the_first_version_does_not_say_so_as_images_from_before_there_was_any_would_refuse_it(
    tmp_path: Path,
):
    assert "configVersion" not in prepare_config(tmp_path, tmp_path).to_json_dict()


@pytest.mark.parametrize("content", ["", "- a list", "a: [", "\x00"])
def test_a_file_that_is_no_config_is_permanent(tmp_path: Path, termination: Path, content: str):
    path = tmp_path / "config.yaml"
    path.write_text(content)
    assert command(["prepare", "--config", str(path)], STEPS) == ExitCode.CONFIG_INVALID
    assert str(path) in read(termination).message


def test_a_config_file_that_is_missing_is_permanent(tmp_path: Path, termination: Path):
    assert command(["prepare", "--config", str(tmp_path / "none.yaml")], STEPS) == ExitCode.CONFIG_INVALID
    assert "No such file" in read(termination).message


def test_wrong_data_is_permanent_and_its_reason_goes_to_the_operator(tmp_path: Path, termination: Path):
    assert command(["prepare", "--config", str(config_file(tmp_path))], STEPS) == ExitCode.DATA_INVALID
    said = read(termination)
    assert (said.status, said.reason) == ("Failed", "DataInvalid")
    assert "samples.parquet" in said.message


@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        (DataInvalid("x"), ExitCode.DATA_INVALID, "DataInvalid"),
        (BudgetUnreachable("x"), ExitCode.UNREACHABLE_GOAL, "BudgetUnreachable"),
        (Retryable("x"), ExitCode.RETRYABLE, "Retryable"),
        (Terminated("x"), ExitCode.TERMINATED, "Terminated"),
        (StoreUnreachable("x"), ExitCode.RETRYABLE, "StoreUnreachable"),
        (ObjectMissing("x"), ExitCode.RETRYABLE, "ObjectMissing"),
        (AccessDenied("x"), ExitCode.CONFIG_INVALID, "AccessDenied"),
        (Conflict("x"), ExitCode.CONFIG_INVALID, "Conflict"),
        (Corrupt("x"), ExitCode.DATA_INVALID, "Corrupt"),
        (OSError(28, "No space left on device"), ExitCode.RETRYABLE, "DiskFull"),
        (OSError(122, "Disk quota exceeded"), ExitCode.RETRYABLE, "DiskFull"),
        (MemoryError("x"), ExitCode.RETRYABLE, "OutOfMemory"),
        (torch.OutOfMemoryError("x"), ExitCode.RETRYABLE, "OutOfMemory"),
        (polars.exceptions.PanicException("x"), ExitCode.DATA_INVALID, "LibraryPanicked"),
        (KeyboardInterrupt(), ExitCode.TERMINATED, "Terminated"),
        (SystemExit(0), ExitCode.BUG, "Bug"),
        (InvalidKey("x"), ExitCode.BUG, "Bug"),
        (ZeroDivisionError("x"), ExitCode.BUG, "Bug"),
    ],
)
def test_every_error_says_who_must_act(error: BaseException, code: ExitCode, reason: str):
    known = trainer_error(error)
    assert (known.exit_code, known.reason) == (code, reason)


def test_a_long_termination_message_gives_up_pictures_first_then_metrics_then_outputs_then_words():
    pictures = {f"picture-{number}": "x" * 100 for number in range(40)}
    few = {"test": {"auc": Metric(value=0.5)}}
    kept = Termination.model_validate_json(
        termination_bytes(Termination(status="Succeeded", metrics=few, pictures=pictures))
    )
    assert (kept.metrics, kept.pictures) == (few, {})
    metrics = {"test": {f"metric-{number}": Metric(value=number / 7) for number in range(200)}}
    outputs = {f"key-{number}": "x" * 60 for number in range(40)}
    with_outputs = Termination(status="Succeeded", outputs=outputs, metrics=metrics)
    kept = Termination.model_validate_json(termination_bytes(with_outputs))
    assert (kept.outputs, kept.metrics) == (outputs, {})
    with_more = Termination(status="Succeeded", result_key="k", outputs={**outputs, "more": "x" * 4000})
    kept = Termination.model_validate_json(termination_bytes(with_more))
    assert (kept.outputs, kept.result_key) == ({}, "k")
    for message in ("ü" * 5000, "\x01" * 5000, "\U0001f600" * 5000):
        content = termination_bytes(Termination(status="Failed", reason="DataInvalid", message=message))
        assert len(content) <= MOST_BYTES
        assert Termination.model_validate_json(content).reason == "DataInvalid"
        assert Termination.model_validate_json(content).message.startswith(message[:100])


def test_outside_of_a_container_no_termination_message_is_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.delenv("TERMINATION_MESSAGE_PATH", raising=False)
    monkeypatch.setattr("longtail_trainer.running.termination.DEFAULT_PATH", str(tmp_path / "termination-log"))
    command(["prepare", "--config", str(tmp_path / "none.yaml")], STEPS)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", [[], ["bake"], ["prepare"], ["prepare", "--config", "x", "--fast"]])
def test_arguments_that_are_wrong_are_permanent_and_named(
    arguments: list[str], termination: Path, capsys: pytest.CaptureFixture[str]
):
    assert command(arguments, STEPS) == ExitCode.CONFIG_INVALID
    assert read(termination).reason == "ConfigInvalid"
    assert "--help" in read(termination).message
    assert "usage: longtail-trainer" in capsys.readouterr().err


def test_a_termination_message_that_cannot_be_written_changes_no_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TERMINATION_MESSAGE_PATH", str(tmp_path / "none" / "termination-log"))
    assert command(["prepare", "--config", str(config_file(tmp_path))], STEPS) == ExitCode.DATA_INVALID


@pytest.mark.skipif(shutil.which("unshare") is None, reason="a small disk of its own takes util-linux' unshare")
def test_a_disk_that_is_full_is_told_whatever_a_library_says_of_it(tmp_path: Path, termination: Path):
    write_tables(tmp_path / "tables", rows=3000)
    (tmp_path / "small").mkdir()
    prepare = (
        f"{sys.executable} -m longtail_trainer prepare --config {config_file(tmp_path)} --workdir {tmp_path}/small"
    )
    mount = f"mount -t tmpfs -o size=64k tmpfs {tmp_path}/small"
    process = subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", f"{mount} || exit 42; exec {prepare}"], cwd=ROOT
    )
    if process.returncode in (1, 42):
        pytest.skip("this user can't mount a small disk")
    assert process.returncode == ExitCode.RETRYABLE
    assert read(termination).reason == "DiskFull"


def test_every_step_is_listed(capsys: pytest.CaptureFixture[str]):
    assert command(["steps"], STEPS) == ExitCode.SUCCEEDED
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert listed == ["prepare", "initialize", "adapt", "search", "train-light", "meta-train", "samd"]


def python(code: str, **options: Any) -> subprocess.Popen[str]:
    """A Python process in the repository's root, its output on pipes."""
    return subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options
    )


def test_prepare_loads_no_torch(tmp_path: Path):
    write_tables(tmp_path / "tables")
    path = config_file(tmp_path)
    code = (
        "import sys; from longtail_trainer.methods import STEPS\n"
        "from longtail_trainer.running.command import command\n"
        f"assert command(['prepare', '--config', {str(path)!r}], STEPS) == 0\n"
        "assert 'polars' in sys.modules and 'torch' not in sys.modules"
    )
    process = python(code)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors


def test_sigterm_ends_a_step_at_a_resume_point_that_the_next_attempt_takes_up(tmp_path: Path):
    path = config_file(tmp_path)
    log = tmp_path / "termination-log"
    code = (
        "import sys; from longtail_api.run_config import PrepareConfig\n"
        "from longtail_trainer.running import command; from longtail_trainer.running.steps import StepModule\n"
        "steps = {'prepare': StepModule(PrepareConfig, 'tests.trainer.waiting_step')}\n"
        f"sys.exit(command.command(['prepare', '--config', {str(path)!r}], steps))"
    )
    store = open_store(PrepareConfig.model_validate(yaml.safe_load(path.read_text())).store)
    prefix = "runs/shop.s0.0a1b2c3d/1/prepare"
    batches = [0]
    for _ in range(2):
        process = python(code, env={**os.environ, "TERMINATION_MESSAGE_PATH": str(log)})
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=60) == ExitCode.TERMINATED
        finally:
            process.kill()
            process.communicate()
        assert f"working from batch {batches[-1]}" in line
        assert read(log).reason == "Terminated"
        batches.append(int(store.get(resume_key(prefix, "batches")).partition(b"\n")[2]))
    assert 0 < batches[1] < batches[2]
    assert json.loads(store.get(progress_key(prefix)))["fraction"] == 0.5


def test_sigterm_ends_a_step_that_has_not_begun_although_nothing_handles_it_by_default(tmp_path: Path):
    config = tmp_path / "config.yaml"
    os.mkfifo(config)
    command = [sys.executable, "-m", "longtail_trainer", "prepare", "--config", str(config)]
    log = tmp_path / "termination-log"
    # A container's first process ignores what it does not handle, as this one ignores what was ignored before it.
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        process = subprocess.Popen(command, env={**os.environ, "TERMINATION_MESSAGE_PATH": str(log)})
    finally:
        signal.signal(signal.SIGTERM, before)
    try:
        with config.open("w"):  # opened once it is read
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=60) == ExitCode.TERMINATED
    finally:
        process.kill()
        process.wait()
    assert read(log).reason == "Terminated"


@pytest.mark.parametrize(("content", "cpus"), [("150000 100000", 1.5), ("max 100000", None)])
def test_the_quota_of_a_version_2_control_group_counts(tmp_path: Path, content: str, cpus: float | None):
    (tmp_path / "cpu.max").write_text(content)
    assert quota(tmp_path) == cpus


@pytest.mark.parametrize(("allowed", "cpus"), [(250000, 2.5), (-1, None)])
def test_the_quota_of_a_version_1_control_group_counts(tmp_path: Path, allowed: int, cpus: float | None):
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text(str(allowed))
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000")
    assert quota(tmp_path) == cpus


def test_a_fraction_of_a_cpu_still_is_one_thread(tmp_path: Path):
    (tmp_path / "cpu.max").write_text("10000 100000")
    assert available_threads(tmp_path) == 1


def test_without_a_control_group_all_cpus_of_the_process_count(tmp_path: Path):
    assert available_threads(tmp_path) == len(os.sched_getaffinity(0))
