"""An API server with the three definitions, and a client of one namespace of it."""

import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException

from tests.api.strict_client import Api
from tests.devcluster import api_server

CRDS = sorted((Path(__file__).parents[2] / "crds").glob("*.yaml"))


@pytest.fixture(scope="session")
def kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    if given := os.environ.get("KUBECONFIG"):
        yield Path(given)
        return
    with api_server(tmp_path_factory.mktemp("apiserver")) as started:
        yield started


@pytest.fixture(scope="session")
def connection(kubeconfig: Path) -> client.ApiClient:
    """A client of a server that has the definitions of this tree."""
    connection = config.new_client_from_config(str(kubeconfig))
    definitions = client.ApiextensionsV1Api(connection)
    for path in CRDS:
        _install(definitions, yaml.safe_load(path.read_text()))
    return connection


def _install(definitions: client.ApiextensionsV1Api, manifest: dict[str, Any]) -> None:
    name = manifest["metadata"]["name"]
    try:
        definitions.create_custom_resource_definition(manifest)
    except ApiException as error:
        if error.status != 409:
            raise
        version = definitions.read_custom_resource_definition(name).metadata.resource_version
        newer = manifest | {"metadata": manifest["metadata"] | {"resourceVersion": version}}
        definitions.replace_custom_resource_definition(name, newer)
    deadline = time.monotonic() + 30
    while True:
        conditions = definitions.read_custom_resource_definition(name).status.conditions or []
        if any(each.type == "Established" and each.status == "True" for each in conditions):
            return
        assert time.monotonic() < deadline, f"{name} is not established: {conditions}"
        time.sleep(0.1)


@pytest.fixture(scope="session")
def api(connection: client.ApiClient) -> Iterator[Api]:
    namespace = f"longtail-api-{secrets.token_hex(4)}"
    core = client.CoreV1Api(connection)
    core.create_namespace({"metadata": {"name": namespace}})
    yield Api(connection, namespace)
    core.delete_namespace(namespace)
