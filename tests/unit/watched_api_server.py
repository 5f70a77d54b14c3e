"""Just enough of an API server for kopf to discover, list and watch; each watch does as it is told."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

from longtail_operator.kubernetes.objects import RESOURCES, WATCHED_KINDS, Json


class WatchedApiServer:
    """Serves the kinds that the operator watches. `items` is what a list of a plural holds."""

    def __init__(self) -> None:
        self.items: dict[str, list[Json]] = {}
        self.undiscovered: set[str] = set()
        """Plurals that discovery leaves out."""
        self.refused: set[str] = set()
        """Plurals whose watch is answered with 400."""
        self.selectors: dict[str, str] = {}
        """By plural: the labels that a watch asked for, the empty string where it asked for all."""

    @asynccontextmanager
    async def serving(self, folder: Path) -> AsyncIterator[Path]:
        """A kubeconfig that leads here."""
        app = web.Application()
        app.router.add_get("/{path:.*}", self._answer)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            host, port = runner.addresses[0][:2]
            kubeconfig = folder / "kubeconfig"
            kubeconfig.write_text(json.dumps(_kubeconfig(f"http://{host}:{port}")))
            yield kubeconfig
        finally:
            await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        parts = request.path.strip("/").split("/")
        if parts == ["api"]:
            return web.json_response({"versions": ["v1"]})
        if parts == ["apis"]:
            return web.json_response({"groups": [_group(name) for name in sorted(_GROUPS)]})
        version = "v1" if parts[0] == "api" else "/".join(parts[1:3])
        plural = parts[-1]
        if version == "/".join(parts[1:]) or parts == ["api", "v1"]:
            return web.json_response({"resources": self._resources(version)})
        if "watch" not in request.query:
            return web.json_response({"metadata": {"resourceVersion": "1"}, "items": self.items.get(plural, [])})
        self.selectors[plural] = request.query.get("labelSelector", "")
        if plural in self.refused:
            return web.json_response(
                {"kind": "Status", "status": "Failure", "code": 400, "message": "refused"}, status=400
            )
        stream = web.StreamResponse()
        await stream.prepare(request)
        await asyncio.Event().wait()
        return stream

    def _resources(self, version: str) -> list[Json]:
        kinds = {kind: RESOURCES[kind] for kind in WATCHED_KINDS if RESOURCES[kind].api_version == version}
        names = {resource.plural: kind for kind, resource in kinds.items() if resource.plural not in self.undiscovered}
        names |= _OF_THE_CLUSTER.get(version, {})
        return [
            {
                "name": plural,
                "singularName": kind.lower(),
                "kind": kind,
                "namespaced": kind in WATCHED_KINDS,
                "verbs": ["list", "watch", "patch"],
            }
            for plural, kind in names.items()
        ]


_GROUPS = {RESOURCES[kind].api_version for kind in WATCHED_KINDS} - {"v1"} | {"apiextensions.k8s.io/v1"}
_OF_THE_CLUSTER = {
    "v1": {"namespaces": "Namespace"},
    "apiextensions.k8s.io/v1": {"customresourcedefinitions": "CustomResourceDefinition"},
}


def _group(group_version: str) -> Json:
    group, _, version = group_version.partition("/")
    named = {"groupVersion": group_version, "version": version}
    return {"name": group, "versions": [named], "preferredVersion": named}


def _kubeconfig(server: str) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "here"}}],
        "clusters": [{"name": "here", "cluster": {"server": server}}],
        "users": [{"name": "here", "user": {"token": "none"}}],
    }
