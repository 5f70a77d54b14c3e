"""One installation for each module of cluster tests, and a namespace with a store of its own for each."""

import json
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.workspace import Workspace
from tests.demo import installation
from tests.devcluster import store
from tests.devcluster.kubernetes import Cluster
from tests.devcluster.versitygw import Endpoint

SCENARIOS = 5


@pytest.fixture(scope="session")
def images() -> dict[str, str]:
    """The three images, built from this tree."""
    installation.bring_up_cluster()
    return installation.image_references()


@pytest.fixture(scope="module")
def cluster(images: dict[str, str]) -> Cluster:
    """The cluster with the chart of this tree installed, whatever the module before it left: the demo's test ends
    with the chart uninstalled."""
    kubeconfig = installation.bring_up_cluster()
    installation.install_chart(kubeconfig, images, print)
    cluster = Cluster(kubeconfig)
    # Waiting for a test's own deadline must not be waiting for gigabytes.
    installation.pull_images(cluster, images, installation.SYSTEM_NAMESPACE)
    return cluster


@pytest.fixture(scope="module")
def endpoint(cluster: Cluster) -> Endpoint:
    return store.endpoint(cluster)


@pytest.fixture(scope="session")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five small generated scenarios: `scenario-0000` is the largest."""
    folder = tmp_path_factory.mktemp("data") / "tables"
    options = "--scenarios 5 --clusters 2 --rows 2000 --min-rows 300 --test-rows 200 --events 20000 --tasks 1 --seed 1"
    command = [sys.executable, "-m", "benchmarks.datasets", "synthetic", str(folder), *options.split()]
    subprocess.run(command, check=True, capture_output=True)
    return folder


@pytest.fixture
def workspace(cluster: Cluster, endpoint: Endpoint, tables: Path) -> Iterator[Workspace]:
    """A namespace with credentials, and a bucket with the tables; both are gone after the test."""
    name = f"test-{secrets.token_hex(4)}"
    space = Workspace(cluster=cluster, endpoint=endpoint, namespace=name, tables=tables)
    space.create()
    try:
        yield space
    finally:
        space.remove()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """After a failure, what the cluster itself says is worth more than the assertion."""
    if report.when == "call" and report.failed and "cluster" in report.keywords:
        kubeconfig = subprocess.run(
            [sys.executable, "-m", "tests.devcluster", "kubeconfig"], capture_output=True, text=True, check=False
        ).stdout.strip()
        words = ["logs", "-n", installation.SYSTEM_NAMESPACE, "deployment/longtail", "--tail=60"]
        try:
            print(json.dumps({"operator log": Cluster(Path(kubeconfig)).kubectl(*words)}, indent=1))
        except Exception as error:
            print(f"no operator log: {error}")
