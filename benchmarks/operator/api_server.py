"""What the operator's own client of the API server does not do: a watch, and what the server says of itself."""

import json
import os
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from kubernetes.aio import client, config

from longtail_operator.kubernetes.objects import RESOURCES, Json

_WATCH_SECONDS = 7200
"""A watch is held open so long: longer than a benchmark lasts."""
_PLURALS = {resource.plural for resource in RESOURCES.values()}
_ANSWERED = re.compile(r"^apiserver_request_total\{(.*)\} (\S+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')


@asynccontextmanager
async def _answer(path: str, query: dict[str, str]) -> AsyncGenerator[Any]:
    configuration = client.Configuration()
    await config.load_kube_config(os.environ["KUBECONFIG"], client_configuration=configuration)
    connection: Any = client.ApiClient(configuration)
    try:
        arguments = await connection.param_serialize("GET", path, query_params=list(query.items()))
        answer = await connection.call_api(*arguments, _request_timeout=_WATCH_SECONDS)
        answer.response.raise_for_status()
        yield answer.response
    finally:
        await connection.close()


async def watch(kind: str, namespace: str) -> AsyncGenerator[tuple[str, Json]]:
    """Type and object of each event; what there is already comes first, as if it had just been added."""
    query = {"watch": "true", "timeoutSeconds": str(_WATCH_SECONDS)}
    async with _answer(RESOURCES[kind].path(namespace), query) as response:
        unfinished = b""
        async for some in response.content.iter_any():
            *lines, unfinished = (unfinished + some).split(b"\n")
            for line in lines:
                event = json.loads(line)
                yield event["type"], event["object"]


async def requests_answered() -> dict[str, int]:
    """How many requests for resources of the operator's kinds were answered, other than watches, by verb and resource;
    whoever asked."""
    async with _answer("/metrics", {}) as response:
        text: str = await response.text()
    found: dict[str, int] = {}
    for labels, count in _ANSWERED.findall(text):
        marks = dict(_LABEL.findall(labels))
        if marks["resource"] in _PLURALS and marks["verb"] not in ("WATCH", "CONNECT"):
            name = f"{marks['verb']} {marks['resource']}"
            found[name] = found.get(name, 0) + int(float(count))
    return found
