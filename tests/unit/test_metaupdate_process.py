"""The meta-update as the operator starts it: a process of its own, that may be killed at any moment."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from longtail_api.run_config import ExitCode, StoreAddress
from longtail_api.store_layout import feedback_key
from longtail_operator.meta_update.__main__ import main
from longtail_operator.meta_update.config import MetaUpdateConfig, MetaUpdateResult
from longtail_operator.meta_update.ledger import pending
from longtail_store import Chain, Store, open_store
from longtail_store.feedback import write_feedback
from tests.store.small_model import PARAMETERS, commit_generation, dense_gradients, parameters

ADS = "team.ads.00000001"


@pytest.fixture
def address(tmp_path: Path) -> StoreAddress:
    return StoreAddress(uri=f"file://{tmp_path}/store")


@pytest.fixture
def store(address: StoreAddress) -> Store:
    """Version 1, and three feedbacks: the second is to be rejected."""
    store = open_store(address)
    commit_generation(store, parameters(0))
    for run in (1, 2, 3):
        gradients = dict(dense_gradients(run)) if run != 2 else {"bias": np.asarray(np.nan, np.float32)}
        write_feedback(store, gradients, scenario=ADS, run=run, base_version=1, generation=1, examples=5, loss=0.1)
    return store


def config_file(tmp_path: Path, address: StoreAddress, **changes) -> Path:
    path = tmp_path / "config.json"
    config = MetaUpdateConfig(store=address, parameters=PARAMETERS, workspace=str(tmp_path), **changes)
    path.write_text(config.model_dump_json(by_alias=True))
    return path


def ran(path: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict]:
    code = main(["--config", str(path)])
    (line,) = capsys.readouterr().out.splitlines()
    return code, json.loads(line)


def test_named_feedback_is_folded_and_the_answer_is_one_line(tmp_path, address, store, capsys) -> None:
    feedback = [feedback_key(ADS, 1), feedback_key(ADS, 2), feedback_key(ADS, 9)]
    code, answer = ran(config_file(tmp_path, address, feedback=feedback), capsys)
    result = MetaUpdateResult.model_validate(answer)
    head = Chain(store).head()
    assert code == ExitCode.SUCCEEDED
    assert head is not None
    assert (result.version, result.generation, result.sha256) == (2, 1, head.checkpoint.sha256)
    assert result.committed
    assert (result.folded, result.folded_count, result.rejected_count) == (1, 1, 1)
    assert [(item.run, item.reason) for item in result.rejected] == [(2, "NotFinite")]
    assert result.missing == [feedback_key(ADS, 9)]


def test_without_names_the_oldest_pending_feedback_is_listed(tmp_path, address, store, capsys) -> None:
    _, answer = ran(config_file(tmp_path, address, buffer_size=2), capsys)
    assert answer["version"] == 2
    assert len(pending(store)) == 1


def test_a_repetition_changes_nothing_and_says_so(tmp_path, address, store, capsys) -> None:
    path = config_file(tmp_path, address, feedback=[feedback_key(ADS, 1)])
    ran(path, capsys)
    code, answer = ran(path, capsys)
    assert code == ExitCode.SUCCEEDED
    assert (answer["version"], answer["committed"], answer["duplicates"], answer["folded"]) == (2, False, 1, 0)


@pytest.mark.parametrize(
    ("content", "words"),
    [("{", "config.json"), ("{}", "parameters"), (None, "config.json")],
)
def test_a_wrong_config_is_permanent_and_says_where(tmp_path, capsys, content, words) -> None:
    path = tmp_path / "config.json"
    if content is not None:
        path.write_text(content)
    code, answer = ran(path, capsys)
    assert code == ExitCode.CONFIG_INVALID
    assert answer["reason"] == "InvalidConfig"
    assert words in answer["message"]


def test_a_name_that_is_no_feedback_key_is_permanent(tmp_path, address, store, capsys) -> None:
    code, answer = ran(config_file(tmp_path, address, feedback=["agnostic/HEAD"]), capsys)
    assert (code, answer["reason"]) == (ExitCode.CONFIG_INVALID, "NoFeedbackKey")


def test_an_empty_chain_is_worth_a_retry(tmp_path, address, capsys) -> None:
    code, answer = ran(config_file(tmp_path, address, feedback=[feedback_key(ADS, 1)]), capsys)
    assert (code, answer["reason"]) == (ExitCode.RETRYABLE, "NotInitialized")


def test_a_damaged_checkpoint_is_not_the_users_fault(tmp_path, address, store, capsys) -> None:
    head = Chain(store).head()
    assert head is not None
    store.put_advisory(head.checkpoint.key, b"damaged")
    code, answer = ran(config_file(tmp_path, address), capsys)
    assert (code, answer["reason"]) == (ExitCode.BUG, "Corrupt")


KILLED_AT_A_WRITE = """
import os, signal, sys
from longtail_operator.meta_update.__main__ import main
from longtail_store.file_store import FileStore

left, after, config = int(sys.argv[1]), sys.argv[2] == "after", sys.argv[3]

def deadly(write):
    def call(*arguments):
        global left
        left -= 1
        if left == 0 and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = write(*arguments)
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    return call

FileStore.put_if_absent = deadly(FileStore.put_if_absent)
FileStore.put_advisory = deadly(FileStore.put_advisory)
sys.exit(main(["--config", config]))
"""


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("write", [1, 2, 3], ids=["checkpoint", "version", "HEAD"])
def test_sigkill_at_any_write_loses_nothing_and_folds_nothing_twice(
    tmp_path, address, store, capsys, write: int, moment: str
) -> None:
    path = config_file(tmp_path, address)
    command = [sys.executable, "-c", KILLED_AT_A_WRITE, str(write), moment, str(path)]
    ended = subprocess.run(command, env=os.environ, capture_output=True, timeout=120)
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
    code, answer = ran(path, capsys)
    assert code == ExitCode.SUCCEEDED
    head = Chain(store).head()
    assert head is not None
    assert answer["version"] == head.number == 2
    assert [item.run for item in head.folded] == [1, 3]
    assert [item.run for item in head.rejected] == [2]
    assert pending(store) == []
