# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false
"""The API server, reduced to the calls the operator makes. Bodies and answers are plain dicts."""

import json
import os
from typing import Any, Protocol, cast

import aiohttp
from kubernetes.aio import client as kubernetes_client
from kubernetes.aio import config as kubernetes_config
from kubernetes.aio.config.config_exception import ConfigException

from longtail_api.labels import FIELD_MANAGER
from longtail_operator.kubernetes.objects import RESOURCES, Json, Key, entries, section

_REQUEST_SECONDS = 60
_PAGE = 500
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"


class KubeError(Exception):
    """The API server refused a request, or did not answer (status 0)."""

    def __init__(self, status: int, reason: str, message: str, request: str = "") -> None:
        super().__init__(f"{status} {reason}: " + (f"{request}: " if request else "") + message)
        self.status = status
        self.reason = reason
        self.message = message
        """In the server's own words, or those of whom it asked: a webhook, a policy, a quota."""


class NamespaceEnding(KubeError):
    """The namespace is being deleted, or is gone: nothing can be made in it, and nothing has to be."""


class KubeApi(Protocol):
    """What the operator asks of an API server. Every call raises `KubeError`."""

    async def list(
        self, kind: str, namespace: str | None, selector: str | None = None, fields: str | None = None
    ) -> list[Json]:
        """selector, fields: what labels and fields must be."""
        ...

    async def get(self, key: Key) -> Json | None:
        """None where there is none."""
        ...

    async def apply(self, item: Json) -> Json:
        """Server-side apply; takes over fields that others set."""
        ...

    async def apply_status(self, item: Json) -> Json:
        """Server-side apply of the status; with metadata.resourceVersion, 409 where the object has changed since."""
        ...

    async def merge(self, key: Key, patch: Json) -> Json: ...
    async def delete(self, key: Key, uid: str) -> None:
        """Remove the object with this uid; one that is gone is fine."""
        ...

    async def create(self, item: Json) -> bool:
        """False where there already is one of this name."""
        ...


class HttpKubeApi:
    """The API server of a kubeconfig or of the pod's service account."""

    def __init__(self, api_client: Any) -> None:
        self._client = api_client

    @classmethod
    async def connect(cls) -> "HttpKubeApi":
        """By $KUBECONFIG where there is one, else by the pod's service account."""
        configuration = kubernetes_client.Configuration()
        try:
            kubernetes_config.load_incluster_config(client_configuration=configuration)
        except ConfigException:
            # The library reads the variable when it is imported, which may be too early.
            await kubernetes_config.load_kube_config(os.environ.get("KUBECONFIG"), client_configuration=configuration)
        return cls(kubernetes_client.ApiClient(configuration))

    async def close(self) -> None:
        await self._client.close()

    async def list(
        self, kind: str, namespace: str | None, selector: str | None = None, fields: str | None = None
    ) -> list[Json]:
        found: list[Json] = []
        query = {"limit": str(_PAGE)}
        if selector:
            query["labelSelector"] = selector
        if fields:
            query["fieldSelector"] = fields
        resource = RESOURCES[kind]
        while True:
            page = await self.request("GET", resource.path(namespace), query)
            for item in cast(list[Json], page.get("items") or []):
                found.append({"apiVersion": resource.api_version, "kind": kind, **item})
            following = page.get("metadata", {}).get("continue")
            if not following:
                return found
            query["continue"] = following

    async def get(self, key: Key) -> Json | None:
        try:
            return await self.request("GET", RESOURCES[key.kind].path(key.namespace, key.name), {})
        except KubeError as error:
            if error.status == 404:
                return None
            raise

    async def apply(self, item: Json) -> Json:
        return await self.request("PATCH", _path(item), _APPLY_QUERY, item, APPLY)

    async def apply_status(self, item: Json) -> Json:
        return await self.request("PATCH", _path(item) + "/status", _APPLY_QUERY, item, APPLY)

    async def merge(self, key: Key, patch: Json) -> Json:
        path = RESOURCES[key.kind].path(key.namespace, key.name)
        return await self.request("PATCH", path, {"fieldManager": FIELD_MANAGER}, patch, MERGE)

    async def delete(self, key: Key, uid: str) -> None:
        options: Json = {"propagationPolicy": "Background", "preconditions": {"uid": uid}}
        try:
            await self.request("DELETE", RESOURCES[key.kind].path(key.namespace, key.name), {}, options)
        except KubeError as error:
            if error.status not in (404, 409):
                raise

    async def create(self, item: Json) -> bool:
        path = RESOURCES[item["kind"]].path(item["metadata"]["namespace"])
        try:
            await self.request("POST", path, {"fieldManager": FIELD_MANAGER}, item)
        except KubeError as error:
            if error.status == 409:
                return False
            raise
        return True

    async def request(
        self, method: str, path: str, query: dict[str, str], body: Json | None = None,
        content_type: str = "application/json",
    ) -> Json:  # fmt: skip
        """Any request; the answer's body. Raises `KubeError`."""
        headers = {"Accept": "application/json", "Content-Type": content_type}
        try:
            arguments = await self._client.param_serialize(
                method, path, query_params=list(query.items()), header_params=headers, body=body,
                auth_settings=["BearerToken"],
            )  # fmt: skip
            response = await self._client.call_api(*arguments, _request_timeout=_REQUEST_SECONDS)
            text = await response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise KubeError(0, "Unreachable", f"{method} {path}: {error!r}") from error
        if 200 <= response.status < 300:
            return cast(Json, json.loads(text))
        raise _refusal(response.status, text, f"{method} {path}")


_APPLY_QUERY = {"fieldManager": FIELD_MANAGER, "force": "true"}


def _path(item: Json) -> str:
    metadata = item["metadata"]
    return RESOURCES[item["kind"]].path(metadata["namespace"], metadata["name"])


def _refusal(status: int, text: bytes, request: str) -> KubeError:
    try:
        said = cast(Json, json.loads(text))
    except ValueError:
        said = {}
    message = said.get("message") or text[:500].decode(errors="replace")
    kind = NamespaceEnding if _of_an_ending_namespace(status, said) else KubeError
    return kind(status, str(said.get("reason") or "Refused"), str(message), request)


def _of_an_ending_namespace(status: int, said: Json) -> bool:
    details = section(said, "details")
    if status == 403:
        return any(cause.get("reason") == "NamespaceTerminating" for cause in entries(details, "causes"))
    return status == 404 and details.get("kind") == "namespaces"
