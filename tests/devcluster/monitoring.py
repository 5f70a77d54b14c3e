"""Prometheus on the host, collecting from pods that ask for it."""

import json
import sys

from tests.devcluster import layout
from tests.devcluster.certificates import Authority
from tests.devcluster.processes import Processes, listens

NAME = "prometheus"
TARGETS = "prometheus-targets"
URL = f"http://127.0.0.1:{layout.PROMETHEUS_PORT}"


def start(state: layout.State, processes: Processes, authority: Authority, url: str) -> None:
    """Start Prometheus, and beside it what tells it which pods to scrape (see `targets`)."""
    authority.client(NAME)
    targets = state.node / "prometheus-targets.json"
    finder = [sys.executable, "-m", "tests.devcluster.targets", state.certificates, url, targets]
    processes.start(TARGETS, finder, {"PYTHONPATH": str(layout.REPOSITORY)})
    pods = {"job_name": "pods", "file_sd_configs": [{"files": [str(targets)], "refresh_interval": "10s"}]}
    content = {"global": {"scrape_interval": "5s", "evaluation_interval": "5s"}, "scrape_configs": [pods]}
    configuration = state.node / "prometheus.json"
    configuration.write_text(json.dumps(content, indent=1))  # JSON is YAML, too.
    command = [
        "prometheus",
        f"--config.file={configuration}",
        f"--storage.tsdb.path={state.node / 'prometheus'}",
        "--storage.tsdb.retention.time=1d",
        f"--web.listen-address={URL.removeprefix('http://')}",
        "--web.enable-lifecycle",
        "--log.level=warn",
    ]
    processes.start(NAME, command)


def ready() -> bool:
    return listens("127.0.0.1", layout.PROMETHEUS_PORT)
