"""What exists, as events and our own writes left it. Decisions read this and never the API server."""

from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Iterable
from typing import TypeVar, cast

from longtail_api.labels import MANAGED_BY, MANAGED_BY_LABEL
from longtail_api.store_layout import folders_named
from longtail_operator.kubernetes.objects import (
    HEAVY_MODEL,
    SCENARIO,
    SEARCH,
    Json,
    Key,
    is_deleting,
    key_of,
    labels_of,
    owner_key,
    section,
    uid_of,
)

_REMEMBERED_DEATHS = 20_000
Read = TypeVar("Read")


def trimmed(item: Json) -> Json:
    """`item` without what no decision reads, so that memory follows the number of objects and not their size."""
    metadata = {name: value for name, value in section(item, "metadata").items() if name != "managedFields"}
    kept = {**item, "metadata": metadata}
    if item["kind"] == "Pod":
        kept["spec"] = {"nodeName": section(item, "spec").get("nodeName")}
    elif item["kind"] == "Job" and "spec" in item:
        # Neither its template nor an immutable ConfigMap's data can change: their names say what is in them.
        kept["spec"] = {name: value for name, value in section(item, "spec").items() if name != "template"}
    elif item["kind"] == "ConfigMap" and item.get("immutable"):
        named = {folder for text in section(item, "data").values() for folder in folders_named(str(text))}
        kept["data"] = {"folders": "\n".join(sorted(named))}
    return kept


def named_folders(item: Json) -> list[str]:
    """Folders of the store that a step's ConfigMap names, which is all that is kept of its data; else none."""
    is_of_a_step = item["kind"] == "ConfigMap" and item.get("immutable")
    return str(section(item, "data")["folders"]).splitlines() if is_of_a_step else []


def resource_version(item: Json) -> int:
    """Versions of one object are ordered as integers (KEP-5504)."""
    version = str(section(item, "metadata").get("resourceVersion", "0"))
    return int(version) if version.isdecimal() else 0


class Snapshot:
    """The newest known state of each object, indexed by owner and by HeavyModel."""

    def __init__(self) -> None:
        self._objects: dict[Key, Json] = {}
        self._children: dict[Key, set[Key]] = defaultdict(set)
        self._scenarios: dict[Key, set[Key]] = defaultdict(set)
        self._searches: dict[Key, set[Key]] = defaultdict(set)
        self._scenario_counts: dict[Key, Counter[str]] = defaultdict(Counter[str])
        """By HeavyModel and namespace, without those that are being deleted."""
        self._heavy_models: set[Key] = set()
        self._read: dict[tuple[Key, str], tuple[object, dict[object, object]]] = {}
        # An answer to our own write may arrive after the event of the deletion; it must not bring the object back. A
        # newer state does: to a watch, who loses our label is gone, and who gets it back is there again.
        self._dead: OrderedDict[str, int] = OrderedDict()

    def observe(self, item: Json) -> bool:
        """Take `item` in, unless it is older than what is known. True where something changed."""
        key = key_of(item)
        if resource_version(item) <= self._dead.get(uid_of(item), -1):
            return False
        known = self._objects.get(key)
        if known is not None and resource_version(known) >= resource_version(item):
            return False
        if known is not None:
            self._unindex(known)
        self._objects[key] = trimmed(item)
        self._index(item)
        if key.kind == HEAVY_MODEL:
            self._heavy_models.add(key)
        return True

    def forget(self, item: Json) -> bool:
        """`item` was deleted. True where it was known."""
        self._dead[uid_of(item)] = resource_version(item)
        while len(self._dead) > _REMEMBERED_DEATHS:
            self._dead.popitem(last=False)
        key = key_of(item)
        known = self._objects.get(key)
        if known is None or uid_of(known) != uid_of(item):
            return False
        self._unindex(known)
        self._heavy_models.discard(key)
        del self._objects[key]
        for part in ("spec", "status"):
            self._read.pop((key, part), None)
        return True

    def get(self, key: Key) -> Json | None:
        return self._objects.get(key)

    def read(self, item: Json, part: str, reader: Callable[[Json], Read]) -> Read:
        """What `reader` makes of `item`, of which it reads that part alone (spec or status): once for each state.

        Several share it, and nobody may change it.
        """
        key, section_read = key_of(item), item.get(part)
        if self._objects.get(key) is not item:
            return reader(item)
        known = self._read.get((key, part))
        if known is None or (known[0] is not section_read and known[0] != section_read):
            known = self._read[key, part] = (section_read, {})
        if reader not in known[1]:
            known[1][reader] = reader(item)
        return cast(Read, known[1][reader])

    def keys(self, kinds: Iterable[str]) -> list[Key]:
        wanted = frozenset(kinds)
        return [key for key in self._objects if key.kind in wanted]

    def uids(self, kind: str, namespace: str | None) -> dict[Key, str]:
        """What is known of a kind, in one namespace or in all, with its uid."""
        return {
            key: uid_of(item)
            for key, item in self._objects.items()
            if key.kind == kind and namespace in (None, key.namespace)
        }

    def children(self, owner: Key) -> list[Json]:
        """Everything that names `owner` as its owner, pods too, in the order of their keys."""
        return [self._objects[key] for key in sorted(self._children.get(owner, ()))]

    def heavy_models(self) -> list[Json]:
        """All of them, in the order of their keys."""
        return [self._objects[key] for key in sorted(self._heavy_models)]

    def scenarios(self, heavy_model: Key) -> list[Json]:
        """Scenarios that refer to a HeavyModel, existing or not."""
        return [self._objects[key] for key in sorted(self._scenarios.get(heavy_model, ()))]

    def scenario_count(self, heavy_model: Key, namespaces: Iterable[str]) -> int:
        """How many Scenarios in some namespaces refer to a HeavyModel and are not being deleted."""
        found = self._scenario_counts.get(heavy_model, Counter[str]())
        return sum(found[namespace] for namespace in namespaces)

    def searches(self, target: Key) -> list[Json]:
        """LightModelSearches for one target."""
        return [self._objects[key] for key in sorted(self._searches.get(target, ()))]

    def __len__(self) -> int:
        return len(self._objects)

    def _index(self, item: Json) -> None:
        key = key_of(item)
        for index, owner in self._places(item):
            index[owner].add(key)
        self._count(item, 1)

    def _unindex(self, item: Json) -> None:
        key = key_of(item)
        for index, owner in self._places(item):
            index[owner].discard(key)
            if not index[owner]:
                del index[owner]
        self._count(item, -1)

    def _count(self, item: Json, change: int) -> None:
        if item["kind"] == SCENARIO and not is_deleting(item):
            self._scenario_counts[heavy_model_key(item)][key_of(item).namespace] += change

    def _places(self, item: Json) -> list[tuple[dict[Key, set[Key]], Key]]:
        places: list[tuple[dict[Key, set[Key]], Key]] = []
        owner = owner_key(item)
        if owner is not None:
            places.append((self._children, owner))
        if item["kind"] == SCENARIO:
            places.append((self._scenarios, heavy_model_key(item)))
        if item["kind"] == SEARCH:
            places.append((self._searches, target_key(item)))
        return places


def heavy_model_key(scenario: Json) -> Key:
    """The HeavyModel that a Scenario refers to."""
    reference = section(scenario, "spec", "heavyModelRef")
    own = section(scenario, "metadata").get("namespace", "")
    return Key(HEAVY_MODEL, str(reference.get("namespace") or own), str(reference.get("name", "")))


def target_key(search: Json) -> Key:
    """What a LightModelSearch searches for."""
    reference = section(search, "spec", "targetRef")
    own = section(search, "metadata").get("namespace", "")
    return Key(str(reference.get("kind", SCENARIO)), own, str(reference.get("name", "")))


def is_ours(item: Json) -> bool:
    """Did the operator make `item`? What it did not make it neither changes nor removes."""
    return labels_of(item).get(MANAGED_BY_LABEL) == MANAGED_BY or owner_key(item) is not None
