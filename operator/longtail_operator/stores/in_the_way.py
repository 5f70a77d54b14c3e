"""Who still needs, or still writes, the objects of a resource that is being deleted with deletionPolicy Delete."""

from dataclasses import dataclass
from typing import cast

from longtail_api.store_layout import DATA_PREFIX, scenario_key
from longtail_operator.kubernetes.conditions import enumerated
from longtail_operator.kubernetes.objects import (
    HEAVY_MODEL,
    SCENARIO,
    Json,
    Key,
    entries,
    is_deleting,
    key_of,
    owner_key,
    section,
    uid_of,
)
from longtail_operator.kubernetes.snapshot import Snapshot, heavy_model_key
from longtail_operator.stores.usage import folders_told


@dataclass(frozen=True)
class InTheWay:
    """What is waited for, in words, and which of it is to be ended now."""

    message: str
    ends: tuple[Key, ...] = ()


def in_the_way(snapshot: Snapshot, raw: Json) -> InTheWay | None:
    """What has to go before the objects of `raw`, a HeavyModel or a Scenario, may; None: nothing."""
    if key_of(raw).kind == SCENARIO:
        return _of_scenario(snapshot, raw)
    return _of_heavy_model(snapshot, raw)


def _of_heavy_model(snapshot: Snapshot, raw: Json) -> InTheWay | None:
    """First the Scenarios that refer to it, then what serves from its store, then its own Jobs."""
    key = key_of(raw)
    allowed = {key.namespace, *cast(list[str], section(raw, "spec").get("allowedNamespaces") or [])}
    users = [
        f"{one.namespace}/{one.name}"
        for scenario in snapshot.scenarios(key)
        # Whom it does not allow keeps nothing from going, unless it was allowed once, and may serve from here.
        if (one := key_of(scenario)).namespace in allowed or section(scenario, "status", "run")
    ]
    if users:
        return InTheWay(
            f"its objects go once no Scenario refers to it: delete {enumerated(users)}, or set deletionPolicy to Retain"
        )
    deployments = [snapshot.get(one) or {} for one in snapshot.keys(["Deployment"])]
    serving = [str(key_of(one)) for one in deployments if _serves_from(one, section(raw, "spec", "storage"))]
    if serving:
        return InTheWay(
            f"its objects go once nothing serves from them: delete {enumerated(serving)}, or set deletionPolicy to "
            "Retain"
        )
    return _work([child for child in snapshot.children(key) if child["kind"] in ("Job", "Pod")])


def _of_scenario(snapshot: Snapshot, raw: Json) -> InTheWay | None:
    """First its own Jobs, those of its searches, and what serves; then what others do with its data."""
    key, model = key_of(raw), heavy_model_key(raw)
    searches = snapshot.searches(key)
    own = [key, *(key_of(search) for search in searches if owner_key(search) == key)]
    children = (child for owner in own for child in snapshot.children(owner))
    work = _work([child for child in children if child["kind"] in ("Job", "Deployment", "Pod")])
    if work is not None:
        return work
    others = [key_of(search) for search in searches if owner_key(search) != key]
    busy = [str(search) for search in others if any(item["kind"] == "Job" for item in snapshot.children(search))]
    if busy:
        return InTheWay(
            f"its objects go once no search works with them: delete {enumerated(busy)}, or wait for its end"
        )
    data = f"{DATA_PREFIX}{scenario_key(key.namespace, key.name, uid_of(raw))}/"
    # A HeavyModel that is being deleted itself waits for its Scenarios before it ends its Jobs.
    waits = not is_deleting(snapshot.get(model) or raw)
    if waits and any(folder.startswith(data) for folder in folders_told(snapshot, model)):
        return InTheWay(f"its objects go once the step of {HEAVY_MODEL} {model.name} that reads them has ended")
    return None


def _work(items: list[Json]) -> InTheWay | None:
    """Jobs and Deployments are to be ended, and their pods waited for."""
    if not items:
        return None
    ends = tuple(key_of(item) for item in items if item["kind"] != "Pod" and not is_deleting(item))
    return InTheWay(f"its objects go once these have ended: {enumerated([str(key_of(item)) for item in items])}", ends)


def _serves_from(deployment: Json, storage: Json) -> bool:
    """Do the pods of a Deployment load their model from this store?"""
    flags = {
        flag for one in entries(deployment, "spec", "template", "spec", "containers") for flag in one.get("args", [])
    }
    endpoint = storage.get("endpoint")
    elsewhere = (
        f"--store-endpoint={endpoint}" not in flags if endpoint else any("--store-endpoint=" in f for f in flags)
    )
    return f"--store-uri={storage.get('uri')}" in flags and not elsewhere
