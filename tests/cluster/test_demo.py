"""`make demo`, as the README says it."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.demo.__main__ import DEADLINE_SECONDS, NAMESPACE
from tests.devcluster import layout
from tests.devcluster.kubernetes import Cluster

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(DEADLINE_SECONDS + 900)]


def make(*words: str, **environment: str) -> str:
    result = subprocess.run(
        ["make", *words],
        cwd=layout.REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | environment,
    )
    assert result.returncode == 0, result.stdout[-6000:] + result.stderr[-3000:]
    return result.stdout


def test_the_demo_ends_with_three_scenarios_that_serve_and_cleans_up_after_itself(cluster: Cluster, tmp_path: Path):
    report = tmp_path / "demo.json"
    shown = make("demo", f"JSON={report}")
    print(shown[-4000:])
    result = json.loads(report.read_text())
    assert len(result["scenarios"]) == 3
    for name, status in result["scenarios"].items():
        light = status["metrics"]["light"]
        assert light["flops"] <= result["budget"], name
        assert float(light["aucLow"]) > 0.5, f"{name}: the light model ranks no better than chance"
        assert status["lineage"]["agnosticVersion"] == 1
        assert result["truth"][name] > float(light["aucLow"])
    assert result["model"]["version"]["number"] > 1
    assert result["model"]["feedback"]["folded"] == 3
    assert result["answer"]["outputs"]
    make("demo-down")
    assert not cluster.succeeds("get", "namespace", NAMESPACE)
