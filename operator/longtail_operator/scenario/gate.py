"""maxConcurrentRuns: which Scenarios of a HeavyModel may have a Job now. First come, first served.

A place is held by work that is seen: a Job that is neither over nor suspended. From a decision until its Job is seen,
and from a Job's end until the decision that follows it, the place is the Scenario's as well. Who was turned away stands
in a line, in the order in which the runs started, and only who is next is woken. Who can't go on (suspended, blocked,
failed) holds nothing and stands in no line, or one Scenario could stop all others.
"""

import heapq
from bisect import bisect_left, insort
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from longtail_api.conditions import ConditionType, Reason
from longtail_api.labels import ROLE_LABEL
from longtail_operator.kubernetes.jobs import is_finished, queue_of
from longtail_operator.kubernetes.objects import SEARCH, Json, Key, entries, key_of, labels_of, section
from longtail_operator.kubernetes.snapshot import Snapshot, heavy_model_key
from longtail_operator.scenario.world import NEEDS_A_PERSON
from longtail_operator.serving.check import CHECK

NAMED_HOLDERS = 3
"""So many of those who hold a place are named to who waits for one."""
_NOT_STARTED = "~"
"""After every moment: a run whose start no status tells yet comes last."""

Turn = tuple[str, Key]


def names_for(namespace: str, scenarios: Collection[Key]) -> str:
    """Some Scenarios in words. Names of other namespaces are for those who may read them there."""
    own = heapq.nsmallest(NAMED_HOLDERS, (key.name for key in scenarios if key.namespace == namespace))
    others = len(scenarios) - len(own)
    return ", ".join([*own, f"{others} other Scenario{'s' if others > 1 else ''}"] if others else own)


def works(snapshot: Snapshot, scenario: Key) -> bool:
    """Is something of the Scenario's run under way, as far as is seen? Its check is none: that has no place."""
    suspended = bool(section(snapshot.get(scenario) or {}, "spec").get("suspend"))
    for item in snapshot.children(scenario):
        if item["kind"] == "Job" and labels_of(item).get(ROLE_LABEL) != CHECK and _is_busy(item, suspended):
            return True
        if item["kind"] == SEARCH:
            jobs = [one for one in snapshot.children(key_of(item)) if one["kind"] == "Job"]
            if _goes_on(item) or any(_is_busy(job, suspended) for job in jobs):
                return True
    return False


def _is_busy(job: Json, suspended: bool) -> bool:
    if is_finished(job):
        return False
    # A Job that a queue has not let in yet was given its place by us all the same.
    queued = queue_of(job) is not None and not suspended
    return queued or not section(job, "spec").get("suspend")


def _goes_on(search: Json) -> bool:
    """Will a search have its Job, and end, by itself?"""
    ready = next((one for one in entries(search, "status", "conditions") if one["type"] == ConditionType.READY), None)
    stuck = ready is not None and ready["status"] == "False" and ready["reason"] in NEEDS_A_PERSON
    return not is_finished(search) and not section(search, "spec").get("suspend") and not stuck


def waits_for_place(status: Json) -> bool:
    """Does a status say that its Scenario was turned away?"""
    return any(one.get("reason") == Reason.WAITING_FOR_PLACE for one in entries(status, "conditions"))


def is_unfinished(scenario: Json) -> bool:
    """Is a run of the Scenario under way?"""
    run = section(scenario, "status", "run")
    return bool(run) and run.get("outcome") is None


def started_of(status: Json) -> str | None:
    """When the run that is under way began; None where none is."""
    run = section(status, "run")
    return str(run["started"]) if run.get("started") and run.get("outcome") is None else None


@dataclass
class _Places:
    """The places of one HeavyModel."""

    known: set[Key] = field(default_factory=set[Key])
    working: set[Key] = field(default_factory=set[Key])
    claimed: set[Key] = field(default_factory=set[Key])
    """Given a moment ago, or kept until the decision that follows a Job's end."""
    line: list[Turn] = field(default_factory=list[Turn])
    limit: int | None = None
    """As it was when somebody last asked."""

    @property
    def holders(self) -> set[Key]:
        return self.working | self.claimed if self.claimed else self.working


class Gate:
    """Who holds a place, and who is next, by HeavyModel. wake: has a Scenario looked at."""

    def __init__(self, wake: Callable[[Key], None]) -> None:
        self._wake = wake
        self._places: dict[Key, _Places] = {}
        self._heavy_models: dict[Key, Key] = {}
        self._started: dict[Key, str] = {}
        """Of those in a line."""

    def look(self, snapshot: Snapshot, scenario: Key) -> None:
        """Something of a Scenario, or of its children, has changed."""
        raw = snapshot.get(scenario)
        if raw is None or self._heavy_models.get(scenario, heavy_model_key(raw)) != heavy_model_key(raw):
            self._forget(scenario)
        if raw is None:
            return
        new = scenario not in self._heavy_models
        places = self._of(scenario, heavy_model_key(raw))
        if works(snapshot, scenario):
            places.working.add(scenario)
            places.claimed.discard(scenario)
        elif scenario in places.working:
            places.working.discard(scenario)
            places.claimed.add(scenario)
            self._wake(scenario)
        if new and waits_for_place(section(raw, "status")):
            self._join(scenario, started_of(section(raw, "status")) or _NOT_STARTED)

    def admits(self, scenario: Key, heavy_model: Key, limit: int, started: str | None) -> bool:
        """May a Scenario have a Job now, beside those that hold a place and those whose turn is before its own?"""
        places = self._of(scenario, heavy_model)
        places.limit = limit
        if scenario in places.working or scenario in places.claimed:
            return True
        free = limit - len(places.working) - len(places.claimed)
        return bisect_left(places.line, (started or _NOT_STARTED, scenario)) < free

    def claim(self, scenario: Key) -> None:
        """A Scenario that was admitted takes its place; `settle` must follow."""
        places = self._places[self._heavy_models[scenario]]
        if scenario not in places.working:
            places.claimed.add(scenario)
        self._leave(scenario)

    def settle(self, scenario: Key, waits_since: str | None) -> None:
        """A decision about a Scenario is carried out, or has failed. waits_since: its run's start if it was turned
        away for want of a place; None takes it out of the line."""
        heavy_model = self._heavy_models.get(scenario)
        if heavy_model is None:
            return
        places = self._places[heavy_model]
        places.claimed.discard(scenario)
        if waits_since is not None and scenario not in places.working:
            self._join(scenario, waits_since)
        else:
            self._leave(scenario)
        self._wake_next(places)

    def told(self, scenario: Key, heavy_model: Key) -> str:
        """Why there is no place for a Scenario."""
        places = self._of(scenario, heavy_model)
        holders = places.holders - {scenario}
        if len(holders) < (places.limit or 0):
            return "other Scenarios that wait come before it"
        return f"held by {names_for(scenario.namespace, holders)}"

    def _of(self, scenario: Key, heavy_model: Key) -> _Places:
        if self._heavy_models.setdefault(scenario, heavy_model) != heavy_model:
            self._forget(scenario)
            self._heavy_models[scenario] = heavy_model
        places = self._places.setdefault(heavy_model, _Places())
        places.known.add(scenario)
        return places

    def _forget(self, scenario: Key) -> None:
        heavy_model = self._heavy_models.get(scenario)
        if heavy_model is None:
            return
        places = self._places[heavy_model]
        self._leave(scenario)
        places.working.discard(scenario)
        places.claimed.discard(scenario)
        places.known.discard(scenario)
        del self._heavy_models[scenario]
        self._wake_next(places)
        if not places.known:
            del self._places[heavy_model]

    def _join(self, scenario: Key, started: str) -> None:
        self._leave(scenario)
        self._started[scenario] = started
        insort(self._places[self._heavy_models[scenario]].line, (started, scenario))

    def _leave(self, scenario: Key) -> None:
        started = self._started.pop(scenario, None)
        if started is not None:
            line = self._places[self._heavy_models[scenario]].line
            del line[bisect_left(line, (started, scenario))]

    def _wake_next(self, places: _Places) -> None:
        if places.limit is not None and places.line:
            free = places.limit - len(places.working) - len(places.claimed)
            for _, scenario in places.line[: max(free, 0)]:
                self._wake(scenario)
