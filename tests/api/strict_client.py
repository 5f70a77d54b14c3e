"""A client of one namespace, as strict as kubectl, that raises the server's own words."""

import json
from typing import Any

from kubernetes import client
from kubernetes.client.exceptions import ApiException

from longtail_api.base import GROUP, VERSION
from longtail_api.kinds import KINDS

PLURALS = {kind.name: kind.plural for kind in KINDS}


class Refused(Exception):
    """The API server refused a request; the message is its own."""


class Api:
    """Resources of one namespace. Writes are strict, as kubectl's are: an unknown field is refused."""

    def __init__(self, connection: client.ApiClient, namespace: str) -> None:
        self._resources = client.CustomObjectsApi(connection)
        self._namespace = namespace

    def _where(self, manifest: dict[str, Any]) -> tuple[str, str, str, str]:
        return GROUP, VERSION, self._namespace, PLURALS[manifest["kind"]]

    def create(self, manifest: dict[str, Any], dry_run: bool = True) -> dict[str, Any]:
        """What the server makes of `manifest`: defaults filled in. Raises `Refused`."""
        options = {"dry_run": "All"} if dry_run else {}
        try:
            return self._resources.create_namespaced_custom_object(
                *self._where(manifest), manifest, field_validation="Strict", **options
            )
        except ApiException as error:
            raise Refused(_message(error)) from error

    def change(self, present: dict[str, Any], manifest: dict[str, Any]) -> dict[str, Any]:
        """What would become of `present` if `manifest` took its place. Raises `Refused`."""
        metadata = manifest["metadata"] | {"resourceVersion": present["metadata"]["resourceVersion"]}
        try:
            return self._resources.replace_namespaced_custom_object(
                *self._where(manifest),
                manifest["metadata"]["name"],
                manifest | {"metadata": metadata},
                field_validation="Strict",
                dry_run="All",
            )
        except ApiException as error:
            raise Refused(_message(error)) from error

    def put_status(self, present: dict[str, Any], status: dict[str, Any], dry_run: bool = True) -> dict[str, Any]:
        """What becomes of `present` with this status, or would. Raises `Refused`."""
        options = {"dry_run": "All"} if dry_run else {}
        try:
            return self._resources.replace_namespaced_custom_object_status(
                *self._where(present),
                present["metadata"]["name"],
                present | {"status": status},
                field_validation="Strict",
                **options,
            )
        except ApiException as error:
            raise Refused(_message(error)) from error

    def delete(self, manifest: dict[str, Any]) -> None:
        self._resources.delete_namespaced_custom_object(*self._where(manifest), manifest["metadata"]["name"])


def _message(error: ApiException) -> str:
    """The words of the server. A webhook or proxy may answer with what is no JSON; then that is the message."""
    try:
        return str(json.loads(error.body)["message"])
    except (ValueError, KeyError, TypeError):
        return str(error.body)
