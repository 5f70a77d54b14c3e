"""From the snapshot to what a decision may look at: parsed, and with the neighbours it needs."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from pydantic import ValidationError

from longtail_api.base import ApiModel
from longtail_api.heavy_model import HeavyModelSpec, HeavyModelStatus
from longtail_api.light_model_search import LightModelSearchSpec, LightModelSearchStatus
from longtail_api.scenario import ScenarioSpec, ScenarioStatus
from longtail_api.shared_specs import Storage
from longtail_api.store_objects import ModelCard
from longtail_operator.heavy_model.world import HeavyModelWorld, Members
from longtail_operator.kubernetes.objects import SCENARIO, Json, Key, is_deleting, key_of, section
from longtail_operator.kubernetes.observed import SILENCE, Said
from longtail_operator.kubernetes.own_status import StatusUnreadable, own_status
from longtail_operator.kubernetes.snapshot import Snapshot, heavy_model_key
from longtail_operator.kubernetes.trouble import Trouble
from longtail_operator.scenario.gate import Gate, started_of
from longtail_operator.scenario.world import HeavyModelView, ScenarioWorld
from longtail_operator.search.world import SearchWorld
from longtail_operator.serving.upgrade import Upgrade
from longtail_operator.settings import Settings
from longtail_operator.stores.view import Membership, StoreView


@dataclass(frozen=True)
class ReadFromStore:
    """What a decision about a Scenario needs of its HeavyModel's store; see `ScenarioWorld`."""

    pinned_card: ModelCard | Trouble | None = None
    last_run: int | Trouble = 0
    memberships: Mapping[str, Membership] = field(default_factory=dict[str, Membership])


class SpecInvalid(Exception):
    """The user must act: the spec got past admission (another CRD, perhaps) and is not what it should be."""


Spec = TypeVar("Spec", bound=ApiModel)


def _parsed(model: type[Spec], raw: Json) -> Spec:
    try:
        return model.model_validate(section(raw, "spec"))
    except ValidationError as error:
        first = error.errors()[0]
        raise SpecInvalid(f"spec.{'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def _no_hashes(_: Json) -> dict[str, tuple[HeavyModelSpec, str]]:
    return {}


_scenario_spec = partial(_parsed, ScenarioSpec)
_scenario_status = partial(own_status, ScenarioStatus)
_heavy_model_spec = partial(_parsed, HeavyModelSpec)
_heavy_model_status = partial(own_status, HeavyModelStatus)


def family(snapshot: Snapshot, key: Key) -> tuple[list[Json], list[Json]]:
    """The children of a resource, and apart from them the pods."""
    found = snapshot.children(key)
    return [item for item in found if item["kind"] != "Pod"], [item for item in found if item["kind"] == "Pod"]


def scenario_spec(raw: Json, snapshot: Snapshot) -> ScenarioSpec:
    """The spec of a Scenario. Raises `SpecInvalid`."""
    return snapshot.read(raw, "spec", _scenario_spec)


def scenario_status(raw: Json, snapshot: Snapshot) -> ScenarioStatus:
    """The status of a Scenario, which nobody may change. Raises `StatusUnreadable`."""
    return snapshot.read(raw, "status", _scenario_status)


def heavy_model_spec(raw: Json, snapshot: Snapshot) -> HeavyModelSpec:
    """The spec of a HeavyModel. Raises `SpecInvalid`."""
    return snapshot.read(raw, "spec", _heavy_model_spec)


def heavy_model_view(snapshot: Snapshot, key: Key, store: StoreView | None) -> HeavyModelView | None:
    """A HeavyModel as its Scenarios see it; None where there is none, or it is being deleted."""
    raw = snapshot.get(key)
    if raw is None or is_deleting(raw):
        return None
    try:
        spec = heavy_model_spec(raw, snapshot)
        status = snapshot.read(raw, "status", _heavy_model_status)
    except (SpecInvalid, StatusUnreadable) as error:
        raise SpecInvalid(f"HeavyModel {key.name}: {error}") from None
    read = store is not None and store.trouble is None and store.head is not None
    return HeavyModelView(key, spec, status, store.pool if store is not None and read else None)


def scenario_world(
    raw: Json, heavy_model: HeavyModelView | None, snapshot: Snapshot, settings: Settings,
    read: ReadFromStore = ReadFromStore(), gate: Gate | None = None, upgrade: Upgrade | None = None,
    said: Said = SILENCE, alone: bool = False,
) -> ScenarioWorld:  # fmt: skip
    """The world of a Scenario. Raises `SpecInvalid`.

    alone: without its children.
    gate: says whether there is a place for it among maxConcurrentRuns; without it there is.
    upgrade: says whether it may try a new serving image on what serves; without it it may.
    """
    key = key_of(raw)
    children, pods = ([], []) if alone else family(snapshot, key)
    spec = scenario_spec(raw, snapshot)
    admitted, holders = True, ""
    if gate is not None and heavy_model is not None:
        limit = heavy_model.spec.trainer.max_concurrent_runs
        admitted = gate.admits(key, heavy_model.key, limit, started_of(section(raw, "status")))
        holders = "" if admitted else gate.told(key, heavy_model.key)
    return ScenarioWorld(
        raw=raw,
        spec=spec,
        status=scenario_status(raw, snapshot),
        heavy_model=heavy_model,
        children=children,
        pods=pods,
        settings=settings,
        said=said,
        admitted=admitted,
        holders=holders,
        upgrade_held=upgrade.held(key, settings.serving_image, settings.concurrent_upgrades) if upgrade else None,
        pinned_card=read.pinned_card,
        last_run=read.last_run,
        memberships=read.memberships,
        hashes=snapshot.read(raw, "spec", _no_hashes),
    )


def heavy_model_world(
    raw: Json, snapshot: Snapshot, settings: Settings, store: StoreView | None, folding: bool = False,
    said: Said = SILENCE,
) -> HeavyModelWorld:  # fmt: skip
    """The world of a HeavyModel. Raises `SpecInvalid`."""
    key = key_of(raw)
    spec = heavy_model_spec(raw, snapshot)
    allowed = {key.namespace, *spec.allowed_namespaces}
    children, pods = family(snapshot, key)
    return HeavyModelWorld(
        raw=raw,
        spec=spec,
        status=snapshot.read(raw, "status", _heavy_model_status),
        scenario_count=snapshot.scenario_count(key, allowed),
        read_members=lambda: _members(snapshot, settings, key, allowed),
        children=children,
        pods=pods,
        settings=settings,
        said=said,
        store=store,
        folding=folding,
        other_stores=_stores_of_others(snapshot, key),
    )


def _members(snapshot: Snapshot, settings: Settings, heavy_model: Key, allowed: set[str]) -> Members:
    scenarios: list[ScenarioWorld] = []
    unreadable: list[Json] = []
    for scenario in snapshot.scenarios(heavy_model):
        if key_of(scenario).namespace not in allowed or is_deleting(scenario):
            continue
        try:
            scenarios.append(scenario_world(scenario, None, snapshot, settings, alone=True))
        except (SpecInvalid, StatusUnreadable):
            unreadable.append(scenario)
    return Members(scenarios, unreadable)


def _stores_of_others(snapshot: Snapshot, key: Key) -> list[tuple[Key, Storage]]:
    found: list[tuple[Key, Storage]] = []
    for raw in snapshot.heavy_models():
        if key_of(raw) != key and not is_deleting(raw):
            with suppress(SpecInvalid):  # it says so itself, and has opened no store
                found.append((key_of(raw), heavy_model_spec(raw, snapshot).storage))
    return found


def search_world(
    raw: Json, snapshot: Snapshot, settings: Settings, progress: float | None = None, said: Said = SILENCE
) -> SearchWorld:
    """The world of a LightModelSearch. Raises `SpecInvalid`."""
    key = key_of(raw)
    spec = _parsed(LightModelSearchSpec, raw)
    found = snapshot.get(Key(SCENARIO, key.namespace, spec.target_ref.name))
    target: ScenarioWorld | None = None
    if found is not None and not is_deleting(found):
        try:
            target = scenario_world(
                found, heavy_model_view(snapshot, heavy_model_key(found), None), snapshot, settings, alone=True
            )
        except (SpecInvalid, StatusUnreadable) as error:
            raise SpecInvalid(f"Scenario {spec.target_ref.name}: {error}") from None
    children, pods = family(snapshot, key)
    return SearchWorld(
        raw=raw,
        spec=spec,
        status=own_status(LightModelSearchStatus, raw),
        target=target,
        children=children,
        pods=pods,
        settings=settings,
        said=said,
        progress=progress,
    )
