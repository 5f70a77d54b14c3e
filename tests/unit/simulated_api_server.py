"""An API server in memory: the calls that the operator makes, with their conflicts, finalizers and owners."""

import copy
import itertools
from collections.abc import Callable
from datetime import datetime
from typing import Any, cast

from longtail_operator.kubernetes.clock import written
from longtail_operator.kubernetes.kube import KubeError
from longtail_operator.kubernetes.objects import Json, Key, entries, key_of, section, uid_of


class ApiServer:
    """Objects, and what a watch would say of them. `refuses`: kinds that no one may make now.

    An object that is in it is never changed, but replaced by another: whoever reads one may keep it.
    """

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.objects: dict[Key, Json] = {}
        self.feed: list[tuple[str, Json]] = []
        """Changes that no watch has brought yet: "deleted" or "changed", and the object."""
        self.refuses: set[str] = set()
        self.away = False
        self.on_create: Callable[[Json], None] = lambda item: None
        self.on_delete: Callable[[Json], None] = lambda item: None
        self.on_change: Callable[[Json, Json], None] = lambda before, after: None
        self._now = now
        self._number = itertools.count(1)

    def put(self, item: Json) -> Json:
        """Take in an object as it is now to be, with all that the server itself adds."""
        key, known = key_of(item), self.objects.get(key_of(item))
        item = copy.deepcopy(item)
        metadata = item["metadata"]
        if known is None:
            given = {"uid": f"{next(self._number):08d}-{key.name}", "creationTimestamp": written(self._now())}
            item["metadata"] = {"labels": {}, "annotations": {}, **metadata, **given, "generation": 1}
            self.on_create(item)
        else:
            same = known.get("spec") == item.get("spec")
            for name in ("uid", "creationTimestamp"):
                metadata[name] = known["metadata"][name]
            metadata["generation"] = known["metadata"]["generation"] + (0 if same else 1)
            self.on_change(known, item)
        item["metadata"]["resourceVersion"] = str(next(self._number))
        self.objects[key] = item
        self.feed.append(("changed", item))
        if metadata.get("deletionTimestamp") and not metadata.get("finalizers"):
            self._gone(item)
        return item

    def edit(self, key: Key, change: Callable[[Json], object]) -> None:
        """A person, or a controller, changes an object."""
        item = copy.deepcopy(self.objects[key])
        change(item)
        self.put(item)

    def remove(self, key: Key) -> None:
        item = self.objects.get(key)
        if item is not None and item["metadata"].get("finalizers"):
            item = copy.deepcopy(item)
            item["metadata"].setdefault("deletionTimestamp", written(self._now()))
            self.put(item)
        elif item is not None:
            self._gone(item)

    def _gone(self, item: Json) -> None:
        self.on_delete(item)
        del self.objects[key_of(item)]
        self.feed.append(("deleted", item))
        for other in list(self.objects.values()):
            owners = [owner.get("uid") for owner in entries(other, "metadata", "ownerReferences")]
            if uid_of(item) in owners and key_of(other) in self.objects:
                self.remove(key_of(other))

    def _asked(self) -> None:
        if self.away:
            raise KubeError(0, "Unreachable", "the API server is away")

    async def list(
        self, kind: str, namespace: str | None, selector: str | None = None, fields: str | None = None
    ) -> list[Json]:
        self._asked()
        return [self.objects[key] for key in sorted(self.objects) if key.kind == kind]

    async def get(self, key: Key) -> Json | None:
        self._asked()
        return self.objects.get(key)

    async def apply(self, item: Json) -> Json:
        self._asked()
        known = self.objects.get(key_of(item))
        if known is None and item["kind"] in self.refuses:
            raise KubeError(403, "Forbidden", "exceeded quota: pods")
        kept = {} if known is None else {"status": known.get("status", {})}
        return self.put({**item, **kept})

    async def apply_status(self, item: Json) -> Json:
        self._asked()
        known = self.objects.get(key_of(item))
        if known is None:
            raise KubeError(404, "NotFound", "it is gone")
        if known["metadata"]["resourceVersion"] != item["metadata"]["resourceVersion"]:
            raise KubeError(409, "Conflict", "the object has been modified")
        return self.put({**known, "status": item["status"]})

    async def merge(self, key: Key, patch: Json) -> Json:
        self._asked()
        known = self.objects.get(key)
        if known is None:
            raise KubeError(404, "NotFound", "it is gone")
        version = section(patch, "metadata").get("resourceVersion")
        if version is not None and version != known["metadata"]["resourceVersion"]:
            raise KubeError(409, "Conflict", "the object has been modified")
        return self.put(_merged(known, patch))

    async def delete(self, key: Key, uid: str) -> None:
        self._asked()
        if key in self.objects and uid_of(self.objects[key]) == uid:
            self.remove(key)

    async def create(self, item: Json) -> bool:
        self._asked()
        return True  # only events are made so; who reads the conditions needs none


def _merged(known: object, patch: object) -> Any:
    if not isinstance(known, dict) or not isinstance(patch, dict):
        return copy.deepcopy(patch)
    before, change = cast(Json, known), cast(Json, patch)
    return {
        **before,
        **{name: _merged(before.get(name), value) for name, value in change.items() if value is not None},
    }
