"""`longtail-serving check` against real servers."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from longtail_api.store_objects import CheckReport, RecordedRequest
from tests.serving.serving_process import environment, free_port, serving
from tests.serving.tiny_model import (
    INPUTS,
    LABEL,
    NAME,
    SCENARIO,
    Stored,
    graph,
    recorded_rows,
    store_model,
    store_requests,
)

pytestmark = pytest.mark.slow  # real processes that start, serve and drain


@pytest.fixture
def stable(tmp_path: Path) -> Stored:
    return store_model(tmp_path / "store", "v3")


def candidate_of(stable: Stored, **changes: Any) -> Stored:
    return store_model(stable.store.root, "v4", **changes)


def run(candidate: Stored, url: str, key: str, **flags: str) -> subprocess.CompletedProcess[str]:
    """Check a candidate; the report is on stdout."""
    given = {"store-uri": candidate.uri, "candidate-url": url, "candidate": candidate.version, "model-name": NAME,
             "requests-key": key, "scenario": SCENARIO, "labels": f"{LABEL}=binary", "seconds": "0.5",
             "concurrency": "2", "max-error-rate": "0", "max-regression": "0.02"} | flags  # fmt: skip
    arguments = [part for name, value in given.items() for part in (f"--{name.replace('_', '-')}", value)]
    return subprocess.run(
        [sys.executable, "-m", "longtail_serving", "check", *arguments],
        capture_output=True,
        text=True,
        env=environment(),
    )


def report(done: subprocess.CompletedProcess[str]) -> CheckReport:
    assert done.returncode == 0, done.stderr
    return CheckReport.model_validate_json(done.stdout)


def test_a_good_candidate_passes_and_the_report_is_also_the_termination_message(stable: Stored, tmp_path: Path):
    key = store_requests(stable.store, recorded_rows())
    log = tmp_path / "termination-log"
    with serving(stable) as server:
        done = run(stable, server.url, key, p99_milliseconds="60000", termination_log=str(log))
    found = report(done)
    assert (found.verdict, found.errors, found.candidate_auc) == ("Passed", 0, 1.0)
    assert found.requests > 40
    assert found.p50_milliseconds is not None
    assert CheckReport.model_validate_json(log.read_bytes()) == found
    assert "there is no stable version" in found.message


def test_a_candidate_that_ranks_the_wrong_way_round_is_a_regression(stable: Stored):
    key = store_requests(stable.store, recorded_rows())
    worse = candidate_of(stable, onnx_bytes=graph(sign=-1))
    with serving(stable) as old, serving(worse) as new:
        found = report(run(worse, new.url, key, stable="v3", stable_url=old.url))
    assert (found.verdict, found.reason) == ("Failed", "RegressionFound")
    assert (found.candidate_auc, found.stable_auc) == (0.0, 1.0)


def test_a_p99_beyond_the_slo_fails(stable: Stored):
    key = store_requests(stable.store, recorded_rows())
    with serving(stable) as server:
        found = report(run(stable, server.url, key, p99_milliseconds="0.0001"))
    assert (found.verdict, found.reason) == ("Failed", "SLOCheckFailed")


def test_scores_that_are_not_finite_fail(stable: Stored):
    key = store_requests(stable.store, recorded_rows())
    broken = candidate_of(stable, onnx_bytes=graph(sign=-1, score="click = Log (logit)"))
    with serving(broken) as server:
        found = report(run(broken, server.url, key))
    assert (found.verdict, found.reason) == ("Failed", "CheckFailed")
    assert "not finite" in found.message


def test_rows_that_the_candidate_refuses_count_as_errors(stable: Stored):
    rows = recorded_rows(4)
    for tensor in rows[0].inputs:
        if tensor.name == "behaviors.clicks:length":
            tensor.data = [99]
    key = store_requests(stable.store, rows)
    with serving(stable) as server:
        found = report(run(stable, server.url, key))
    assert (found.verdict, found.reason) == ("Failed", "CheckFailed")
    assert "behaviors.clicks:length" in found.message


def test_a_stable_version_of_other_inputs_is_not_compared_and_the_report_says_so(stable: Stored):
    key = store_requests(stable.store, recorded_rows())
    old_inputs = [*INPUTS, INPUTS[0].model_copy(update={"name": "profile.of_an_older_schema"})]
    old = store_model(stable.store.root, "v2", inputs=old_inputs)
    with serving(stable) as server:
        found = report(run(stable, server.url, key, stable=old.version, stable_url=server.url))
    assert found.verdict == "Passed"
    assert "not compared: v2 takes other inputs" in found.message
    assert "profile.of_an_older_schema" in found.message


def test_rows_of_one_class_pass_without_an_auc_and_the_report_says_so(stable: Stored):
    key = store_requests(stable.store, [row for row in recorded_rows() if row.labels[LABEL] == 1])
    with serving(stable) as server:
        found = report(run(stable, server.url, key))
    assert (found.verdict, found.candidate_auc) == ("Passed", None)
    assert "no AUC" in found.message


def test_a_regression_label_is_compared_by_its_error(stable: Stored):
    key = store_requests(stable.store, recorded_rows())
    worse = candidate_of(stable, onnx_bytes=graph(sign=-1))
    with serving(stable) as old, serving(worse) as new:
        found = report(run(worse, new.url, key, stable="v3", stable_url=old.url, labels=f"{LABEL}=regression"))
    assert found.reason == "RegressionFound"
    assert found.candidate_rmse is not None
    assert found.stable_rmse is not None
    assert found.candidate_rmse > found.stable_rmse


@pytest.mark.parametrize("rows", [None, []])
def test_no_rows_is_inconclusive(stable: Stored, rows: list[RecordedRequest] | None):
    key = "data/none/d1/requests.jsonl" if rows is None else store_requests(stable.store, rows)
    assert report(run(stable, "http://127.0.0.1:1", key)).verdict == "Inconclusive"


def test_a_candidate_that_can_not_be_reached_is_inconclusive(stable: Stored):
    key = store_requests(stable.store, recorded_rows())
    found = report(run(stable, f"http://127.0.0.1:{free_port()}", key, ready_seconds="0.1"))
    assert (found.verdict, found.reason) == ("Inconclusive", "CheckInconclusive")


def test_a_url_that_answers_with_another_version_is_inconclusive(stable: Stored):
    key = store_requests(stable.store, recorded_rows())
    other = candidate_of(stable)
    with serving(stable) as server:
        found = report(run(other, server.url, key, ready_seconds="0.1"))
    assert found.verdict == "Inconclusive"
    assert "has no version 'v4'" in found.message


def test_a_broken_line_of_the_rows_breaks_the_check_and_is_named(stable: Stored):
    key = store_requests(stable.store, recorded_rows(2))
    path = stable.store.root / key
    path.write_bytes(path.read_bytes() + b'{"inputs": 1}\n')
    done = run(stable, "http://127.0.0.1:1", key)
    assert done.returncode == 65
    assert "line 3" in done.stderr


def test_a_stable_version_without_its_url_is_a_wrong_flag(stable: Stored):
    done = run(stable, "http://127.0.0.1:1", "data/x/d1/requests.jsonl", stable="v3")
    assert done.returncode == 64
    assert "--stable-url" in done.stderr


def test_the_report_is_one_line_of_json(stable: Stored):
    done = run(stable, "http://127.0.0.1:1", "data/none/d1/requests.jsonl")
    assert json.loads(done.stdout)["candidate"] == "v3"
