"""An API server, and a place of its own in it for each test."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.devcluster import api_server
from tests.operator.place import Place


@pytest.fixture(scope="session")
def kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with api_server(tmp_path_factory.mktemp("apiserver")) as started:
        yield started


@pytest.fixture
def place(kubeconfig: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    return Place(kubeconfig, f"test-{secrets.token_hex(3)}", tmp_path)
