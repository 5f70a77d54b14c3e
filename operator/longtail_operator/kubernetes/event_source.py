# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false
"""kopf, as the source of events and nothing more: it watches, and hands each event on."""

import asyncio
import socket
from typing import Any, cast

import kopf

from longtail_api.labels import MANAGED_BY, MANAGED_BY_LABEL
from longtail_operator.kubernetes.liveness import Liveness
from longtail_operator.kubernetes.objects import OWN_KINDS, RESOURCES, WATCHED_KINDS, Json, key_of
from longtail_operator.kubernetes.observing import Observing


def registry(observer: Observing, liveness: Liveness) -> kopf.OperatorRegistry:
    """Handlers for the three kinds, and for children and pods of ours."""
    # The default one knows how to log in, as a fresh one does not.
    found = kopf.get_default_registry()
    for kind in WATCHED_KINDS:
        _watch(found, kind, observer, liveness)
    return found


def _watch(registry: kopf.OperatorRegistry, kind: str, observer: Observing, liveness: Liveness) -> None:
    resource = RESOURCES[kind]

    async def seen(event: Any, **_: Any) -> None:
        # kopf logs and drops what is raised here, so nothing here may fail: deciding happens at the queue's other end.
        item: Json = {**event["object"], "kind": kind, "apiVersion": resource.api_version}
        liveness.heard(kind, key_of(item).namespace)
        if event["type"] == "DELETED":
            observer.forget(item)
        else:
            observer.observe(item)

    kopf.on.event(*_address(kind), id=f"seen-{kind}", registry=registry)(seen)


def _address(kind: str) -> tuple[str, str, str]:
    group, _, version = RESOURCES[kind].api_version.rpartition("/")
    return group, version, RESOURCES[kind].plural


class _NoDifferences(kopf.DiffBaseStorage):
    """What has changed in an object is not asked here; kopf would copy each one whole, twice, to find out."""

    def build(self, **_: Any) -> Any:
        return {}

    def fetch(self, **_: Any) -> Any:
        return None

    def store(self, **_: Any) -> None:
        raise AssertionError("nothing is handled by kopf that it would have to remember")


def settings() -> kopf.OperatorSettings:
    """No finalizers, no annotations, no events of kopf's own; the resources are there from the start."""
    found = kopf.OperatorSettings()
    found.posting.enabled = False
    found.scanning.disabled = True
    # Whole seconds: the API server refuses `300.0`, and kopf passes on what stands here.
    found.watching.server_timeout = 300
    found.watching.connect_timeout = 10.0
    for kind in set(WATCHED_KINDS) - set(OWN_KINDS):
        found.watching.label_selectors[_address(kind)] = f"{MANAGED_BY_LABEL}={MANAGED_BY}"
    found.persistence.diffbase_storage = _NoDifferences()
    return found


async def watch(
    observer: Observing, liveness: Liveness, namespaces: tuple[str, ...], stop: asyncio.Event, ready: asyncio.Event
) -> None:
    """Watch until `stop` is set. Raises what makes watching impossible: the failure of one watch ends all."""
    await kopf.operator(
        registry=registry(observer, liveness),
        settings=settings(),
        # Given, because kopf would look up the user's name, and a container's user has none.
        identity=cast(Any, socket.gethostname()),
        standalone=True,
        clusterwide=not namespaces,
        namespaces=namespaces,
        stop_flag=stop,
        ready_flag=ready,
    )
