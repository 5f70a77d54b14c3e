"""Whatever happened: once the world is healthy, every Scenario ends Ready or says what a person must do.

`LONGTAIL_SEQUENCES=10000 pytest tests/unit/test_operator_healing.py` runs so many sequences instead of a few.
"""

import os
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from longtail_api.conditions import Reason
from longtail_operator.kubernetes.objects import (
    HEAVY_MODEL,
    SCENARIO,
    Json,
    Key,
    entries,
    is_deleting,
    key_of,
    labels_of,
    owner_key,
    section,
)
from tests.unit.simulated_cluster import Cluster

SEQUENCES = int(os.environ.get("LONGTAIL_SEQUENCES", "12"))
FOR_A_PERSON = frozenset(
    {
        Reason.INVALID_SPEC, Reason.DATA_INVALID, Reason.MODEL_NOT_FOUND, Reason.NAMESPACE_NOT_ALLOWED,
        Reason.STORE_TAKEN, Reason.SLO_CHECK_FAILED, Reason.SUSPENDED,
    }
)  # fmt: skip
"""Reasons that say what a person must do: nothing of these passes by itself."""
OF_THE_SHARED_MODEL = FOR_A_PERSON | {Reason.POOL_TOO_SMALL}
"""Those of a HeavyModel, for which its Scenarios wait."""
ROLES = ("prepare", "initialize", "adapt", "search", "train-light", "check")
NAMES = st.sampled_from([("a", "shop"), ("b", "shop"), ("c", "ads")])
MODEL = Key(HEAVY_MODEL, "shop", "shared")
LONG = 4800.0
"""Seconds in which everything that can come to an end does: the longest pause between two checks is an hour."""


def ready_of(item: Json) -> tuple[str, str, str]:
    for one in section(item, "status").get("conditions", []):
        if one["type"] == "Ready":
            return one["status"], one["reason"], one.get("message", "")
    return "", "", "no condition"


class Happenings(RuleBasedStateMachine):
    """What people, the cluster and chance do to three Scenarios of one HeavyModel."""

    def __init__(self) -> None:
        super().__init__()
        self.cluster = Cluster()
        self.wrong: list[str] = []
        self.edits = 0
        server = self.cluster.server
        server.on_create, server.on_delete, server.on_change = self._created, self._deleted, self._changed

    @initialize(runs=st.integers(1, 3), least=st.integers(1, 2), age=st.sampled_from([0.0, 20.0, 40.0, 60.0, 120.0]))
    def install(self, runs: int, least: int, age: float) -> None:
        self.cluster.secret(there=True)
        self.cluster.heavy_model(
            trainer={"maxConcurrentRuns": runs},
            initialization={"minScenarios": least, "waitSeconds": 300},
            allowedNamespaces=["ads"],
        )
        for name, namespace in (("a", "shop"), ("b", "shop")):
            self.create((name, namespace), serves=True)
        self.cluster.passes(age)

    # What people do.

    @rule(who=NAMES, serves=st.booleans())
    def create(self, who: tuple[str, str], serves: bool) -> None:
        if Key(SCENARIO, who[1], who[0]) not in self.cluster.server.objects:
            more: dict[str, Any] = {"serving": {"slo": {"p99Milliseconds": 20}}} if serves else {}
            self.cluster.scenario(*who, **more)

    @rule(who=NAMES)
    def delete(self, who: tuple[str, str]) -> None:
        self.cluster.server.remove(Key(SCENARIO, who[1], who[0]))

    @rule(who=NAMES)
    def recreate(self, who: tuple[str, str]) -> None:
        key = Key(SCENARIO, who[1], who[0])
        if key in self.cluster.server.objects:
            self.delete(who)
            self.create(who, serves=True)

    @rule(who=NAMES)
    def delete_and_leave_behind(self, who: tuple[str, str]) -> None:
        key = Key(SCENARIO, who[1], who[0])
        uid = section(self.cluster.server.objects.get(key, {}), "metadata").get("uid")
        for child, item in list(self.cluster.server.objects.items()):
            if uid is not None and uid_of_owner(item) == uid:
                self.cluster.server.edit(child, lambda orphan: orphan["metadata"].update(ownerReferences=[]))
        self.delete(who)

    @rule(who=NAMES, suspend=st.booleans())
    def suspend(self, who: tuple[str, str], suspend: bool) -> None:
        self._edit(who, suspend=suspend)

    @rule(who=NAMES)
    def ask_for_a_run(self, who: tuple[str, str]) -> None:
        key = Key(SCENARIO, who[1], who[0])
        self.edits += 1
        if key in self.cluster.server.objects:
            again = {"longtail.dev/run": str(self.edits)}
            self.cluster.server.edit(key, lambda item: item["metadata"].update(annotations=again))

    @rule(
        who=NAMES,
        change=st.sampled_from(
            [
                {"budget": {"maxFlops": "100k"}}, {"budget": {"maxFlops": "200k"}}, {"light": {"search": "Always"}},
                {"light": {"search": "Once"}}, {"refresh": {"model": "*/20 * * * *"}},
                {"refresh": {"data": "*/30 * * * *", "model": "0 * * * *"}}, {"refresh": {}},
                {"refresh": {"model": "0 3 30 2 *"}}, {"data": {"scenarioKey": "other"}},
                {"serving": {"slo": {"p99Milliseconds": 30}}}, {"serving": None},
                {"serving": {"resources": {"limits": {"cpu": "1"}}}},
            ]
        ),
    )  # fmt: skip
    def change_a_scenario(self, who: tuple[str, str], change: Json) -> None:
        self._edit(who, **change)

    @rule(
        change=st.sampled_from(
            [
                {"architecture": {"behaviorWidth": 8}}, {"architecture": {}}, {"encoder": "Transformer"},
                {"encoder": "LSTM"}, {"trainer": {"maxConcurrentRuns": 1}}, {"trainer": {"maxConcurrentRuns": 4}},
                {"allowedNamespaces": []}, {"allowedNamespaces": ["ads"]},
                {"initialization": {"minScenarios": 3, "waitSeconds": 300}},
                {"schema": {"labels": [{"name": "click"}], "context": {"numeric": ["price", "age"]}}},
            ]
        )
    )  # fmt: skip
    def change_the_heavy_model(self, change: Json) -> None:
        if MODEL in self.cluster.server.objects:
            self.cluster.server.edit(MODEL, lambda item: item["spec"].update(change))

    @rule(there=st.booleans())
    def turn_the_credentials(self, there: bool) -> None:
        self.cluster.secret(there)

    # What chance does.

    @rule(away=st.booleans())
    def the_store_goes_or_comes(self, away: bool) -> None:
        self.cluster.store.away = away

    @rule(away=st.booleans())
    def the_api_server_goes_or_comes(self, away: bool) -> None:
        self.cluster.server.away = away

    @rule(kind=st.sampled_from(["Job", "Deployment", "ConfigMap", "LightModelSearch"]), refused=st.booleans())
    def a_quota_comes_or_goes(self, kind: str, refused: bool) -> None:
        (self.cluster.server.refuses.add if refused else self.cluster.server.refuses.discard)(kind)

    @rule(role=st.sampled_from(ROLES), end=st.sampled_from(["fails", "loses its words"]))
    def a_step_will_end_badly(self, role: str, end: str) -> None:
        self.cluster.next_end[role] = end

    @rule(end=st.sampled_from(["is refused", "can't measure"]))
    def a_candidate_will_not_pass(self, end: str) -> None:
        self.cluster.next_end["check"] = end

    @rule(role=st.sampled_from(ROLES), held=st.booleans())
    def a_step_hangs_or_goes_on(self, role: str, held: bool) -> None:
        (self.cluster.held.add if held else self.cluster.held.discard)(role)

    @rule(silent=st.booleans())
    def pods_stop_answering_or_answer(self, silent: bool) -> None:
        self.cluster.no_pods_answer = silent

    @precondition(lambda self: any(key.kind in ("Job", "ConfigMap") for key in self.cluster.server.objects))
    @rule(data=st.data())
    def somebody_removes_a_child(self, data: st.DataObject) -> None:
        children = [key for key in sorted(self.cluster.server.objects) if key.kind in ("Job", "ConfigMap")]
        self.cluster.server.remove(data.draw(st.sampled_from(children)))

    @rule(lost=st.sampled_from([0.0, 0.3, 1.0]), confused=st.sampled_from([0.0, 0.5]))
    def the_watch_gets_worse_or_better(self, lost: float, confused: float) -> None:
        self.cluster.lost_events, self.cluster.confused_events = lost, confused * (1 - lost)

    @rule()
    def the_operator_restarts(self) -> None:
        self.cluster.restart()

    @rule(seconds=st.sampled_from([0.0, 5.0, 10.0, 15.0]))
    def a_moment_passes(self, seconds: float) -> None:
        self.cluster.passes(seconds)

    @rule(seconds=st.sampled_from([20.0, 30.0, 60.0]))
    def a_minute_passes(self, seconds: float) -> None:
        self.cluster.passes(seconds)

    @rule(seconds=st.sampled_from([120.0, 300.0, 1200.0]))
    def much_time_passes(self, seconds: float) -> None:
        self.cluster.passes(seconds)

    # What must hold.

    def _created(self, item: Json) -> None:
        owner, labels = owner_key(item), labels_of(item)
        run = section(self.cluster.server.objects.get(owner, {}), "status", "run") if owner else {}
        if item["kind"] != "Job" or str(run.get("number")) != labels.get("longtail.dev/run"):
            return
        role = labels["longtail.dev/role"]
        if any(step["name"] == role and step.get("result") for step in run.get("steps", [])):
            self.wrong.append(f"{role} of {owner}, which has a result, runs again")

    def _deleted(self, item: Json) -> None:
        owner = owner_key(item)
        scenario = self.cluster.server.objects.get(owner) if owner is not None else None
        if item["kind"] != "Deployment" or scenario is None or not section(scenario, "spec").get("serving"):
            return
        if uid_of_owner(item) == scenario["metadata"]["uid"] and self._serves(item):
            self.wrong.append(f"{key_of(item)} serves, and was removed")

    def _changed(self, before: Json, after: Json) -> None:
        if after["kind"] != "Service" or section(before, "spec", "selector") == section(after, "spec", "selector"):
            return
        version = section(after, "spec", "selector").get("longtail.dev/version")
        name = f"{after['metadata']['name']}-{version}"
        found = self.cluster.server.objects.get(Key("Deployment", after["metadata"]["namespace"], name), {})
        if after["metadata"]["name"] in "abc" and not section(found, "status").get("availableReplicas"):
            self.wrong.append(f"the traffic of {key_of(after)} was turned to {version}, which does not answer")

    def _serves(self, deployment: Json) -> bool:
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        name, namespace = labels["longtail.dev/scenario"], deployment["metadata"]["namespace"]
        service = self.cluster.server.objects.get(Key("Service", namespace, name), {})
        selector = section(service, "spec", "selector")
        return bool(selector) and selector.items() <= labels.items()

    @invariant()
    def nothing_went_wrong(self) -> None:
        assert not self.wrong, self.wrong

    def teardown(self) -> None:
        try:
            self.cluster.healthy()
            self.cluster.secret(there=True)
            self.cluster.passes(LONG)
            self.nothing_went_wrong()
            for scenario in self.cluster.of(SCENARIO):
                self._has_ended(scenario)
        finally:
            self.cluster.close()

    def _has_ended(self, scenario: Json) -> None:
        if section(scenario, "spec").get("suspend") or is_deleting(scenario):
            return
        status = section(scenario, "status")
        said = f"{key_of(scenario)}: {ready_of(scenario)}; run {status.get('run')}"
        holds, reason, _ = ready_of(scenario)
        if holds != "True":
            assert self._is_for_a_person(reason), f"{said}; the model: {ready_of(self._model())}"
        elif "outcome" not in status["run"] and not section(scenario, "spec").get("refresh"):
            why = [one["reason"] for one in status["conditions"] if one["status"] == "False"]
            assert any(map(self._is_for_a_person, why)), f"a run never ends, {said}; {why}"

    def _is_for_a_person(self, reason: str) -> bool:
        """Whether it tells a person what to do; who waits for the shared model, refers to what that says."""
        if reason in (Reason.MODEL_NOT_READY, Reason.WAITING):
            return ready_of(self._model())[1] in OF_THE_SHARED_MODEL
        return reason in FOR_A_PERSON

    def _model(self) -> Json:
        return self.cluster.server.objects.get(MODEL, {})

    def _edit(self, who: tuple[str, str], **change: Any) -> None:
        key = Key(SCENARIO, who[1], who[0])
        if key in self.cluster.server.objects:
            self.cluster.server.edit(key, lambda item: item["spec"].update(change))


def uid_of_owner(item: Json) -> str:
    return next((str(owner["uid"]) for owner in entries(item, "metadata", "ownerReferences")), "")


TestHappenings = Happenings.TestCase
TestHappenings.settings = settings(
    max_examples=SEQUENCES,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
