"""From a change of an object to the keys whose decision it may change, and to who holds a place or tries an image."""

from longtail_api.conditions import ConditionType
from longtail_operator.kubernetes.objects import (
    HEAVY_MODEL,
    OWN_KINDS,
    SCENARIO,
    SEARCH,
    Json,
    Key,
    entries,
    key_of,
    owner_key,
    section,
    uid_of,
)
from longtail_operator.kubernetes.snapshot import Snapshot, heavy_model_key, target_key
from longtail_operator.kubernetes.work_queue import WorkQueue
from longtail_operator.scenario.gate import Gate
from longtail_operator.serving.upgrade import Upgrade

_GATHERING_SECONDS = 0.5
"""Changes of many Scenarios are looked at together: deciding about a HeavyModel takes time in all of them."""


class Observer:
    """Takes in what is seen, by a watch or in the answer to one's own write, and queues what it concerns."""

    def __init__(self, snapshot: Snapshot, queue: WorkQueue[Key]) -> None:
        self._snapshot = snapshot
        self._queue = queue
        self.gate = Gate(queue.add)
        self.upgrade = Upgrade(queue.add)

    def observe(self, item: Json) -> bool:
        """True where `item` was news."""
        before = self._snapshot.get(key_of(item))
        if not self._snapshot.observe(item):
            return False
        self._concern(before, self._snapshot.get(key_of(item)))
        return True

    def forget(self, item: Json) -> None:
        before = self._snapshot.get(key_of(item))
        if self._snapshot.forget(item):
            self._concern(before, None)

    def replace(self, items: list[Json], known_before: dict[Key, str]) -> bool:
        """A fresh list of a kind: take it in, and forget what is not in it.

        `known_before`: what was known of that kind before the list was asked for, with its uid. What has come since
        stays, also under the name of something that is gone. True where an object in the list was news.
        """
        names = {key_of(item) for item in items}
        news = [self.observe(item) for item in items]
        for key in known_before.keys() - names:
            known = self._snapshot.get(key)
            if known is not None and uid_of(known) == known_before[key]:
                self.forget(known)
        return any(news)

    def _concern(self, before: Json | None, after: Json | None) -> None:
        item = after or before
        if item is None:
            return
        key = key_of(item)
        if key.kind in OWN_KINDS:
            self._queue.add(key)
        owners = {owner for state in (before, after) if state is not None and (owner := owner_key(state)) is not None}
        for owner in owners:
            self._queue.add(owner)
        self._places_changed(key, owners)
        if key.kind == SCENARIO:
            self.upgrade.look(key, after)
            self._scenario_changed(before, after, item)
        elif key.kind == HEAVY_MODEL and _shown_to_scenarios(before) != _shown_to_scenarios(after):
            for scenario in self._snapshot.scenarios(key):
                self._queue.add(key_of(scenario))
        elif key.kind == SEARCH:
            self._queue.add(target_key(item))

    def _scenario_changed(self, before: Json | None, after: Json | None, item: Json) -> None:
        heavy_model = heavy_model_key(item)
        if _shown_to_heavy_model(before) != _shown_to_heavy_model(after):
            self._queue.add_after(heavy_model, _GATHERING_SECONDS)
            for search in self._snapshot.searches(key_of(item)):
                self._queue.add(key_of(search))

    def _places_changed(self, key: Key, owners: set[Key]) -> None:
        """Have the gate look at the Scenario whose work `key` is, or is a part of."""
        if key.kind not in (SCENARIO, SEARCH, "Job"):
            return
        searches = [self._snapshot.get(owner) for owner in owners if owner.kind == SEARCH]
        found = {key, *owners, *(owner_key(search) for search in searches if search is not None)}
        for scenario in found:
            if scenario is not None and scenario.kind == SCENARIO:
                self.gate.look(self._snapshot, scenario)


def _shown_to_scenarios(heavy_model: Json | None) -> object:
    """What Scenarios read of a HeavyModel. Not the version's number: a new version starts nothing."""
    if heavy_model is None:
        return None
    status = section(heavy_model, "status")
    generation = section(heavy_model, "metadata").get("generation")
    store = [
        (one.get("status"), one.get("reason"))
        for one in entries(status, "conditions")
        if one.get("type") == ConditionType.STORE_READY
    ]
    return generation, store, status.get("schemaHash"), bool(status.get("version")), status.get("groups")


def _shown_to_heavy_model(scenario: Json | None) -> object:
    """What a HeavyModel and searches read of a Scenario."""
    if scenario is None:
        return None
    status = section(scenario, "status")
    run = section(status, "run")
    return (
        section(scenario, "metadata").get("generation"),
        section(scenario, "metadata").get("labels"),
        status.get("data"),
        run.get("number"),
        run.get("outcome"),
        [(step.get("name"), step.get("result")) for step in entries(run, "steps")],
    )
