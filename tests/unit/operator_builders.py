"""Worlds for the operator's decisions, named by what is special about them."""

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from longtail_api.conditions import Condition
from longtail_api.heavy_model import CommittedVersion, HeavyModelSpec, HeavyModelStatus
from longtail_api.scenario import ScenarioSpec, ScenarioStatus
from longtail_api.store_layout import picture_key, step_prefix
from longtail_api.store_objects import CheckReport, ModelCard, Termination
from longtail_operator.kubernetes.objects import Json, Key, key_of
from longtail_operator.kubernetes.observed import SILENCE, Said
from longtail_operator.kubernetes.own_status import own_status
from longtail_operator.kubernetes.plan import Plan
from longtail_operator.kubernetes.trouble import Trouble
from longtail_operator.scenario.plan import plan_scenario
from longtail_operator.scenario.world import HeavyModelView, ScenarioWorld, schema_hash
from longtail_operator.settings import Settings
from longtail_operator.stores.view import Membership

NOON = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
SETTINGS = Settings(trainer_image="trainer:1", serving_image="serving:1", drain_seconds=15, resync_seconds=300)
TEMPORARY = Path(tempfile.gettempdir()).as_uri()
"""Where the stores of tests are."""
SHA = "a" * 64
SCHEMA = {"labels": [{"name": "click"}], "context": {"numeric": ["price"]}}
MODEL_KEY = Key("HeavyModel", "shop", "shared")


def a_heavy_model(**spec: Any) -> HeavyModelSpec:
    return HeavyModelSpec.model_validate(
        {"schema": SCHEMA, "data": {"samples": "s3://warehouse/samples"}, "storage": {"uri": "s3://store/shared"}}
        | spec
    )


def store_ready(holds: bool | None = True, reason: str = "Succeeded", message: str = "") -> Condition:
    """The condition that says of a HeavyModel's store whether it can be used."""
    status = "Unknown" if holds is None else str(holds)
    return Condition.model_validate(
        {"type": "StoreReady", "status": status, "reason": reason, "message": message, "lastTransitionTime": NOON}
    )


def initialized(
    spec: HeavyModelSpec | None = None, version: int = 1, pool: frozenset[str] = frozenset()
) -> HeavyModelView:
    """A HeavyModel that has a version."""
    spec = spec or a_heavy_model()
    status = HeavyModelStatus(
        version=CommittedVersion(number=version, generation=1, sha256=SHA),
        schema_hash=schema_hash(spec),
        conditions=[store_ready()],
    )
    return HeavyModelView(MODEL_KEY, spec, status, pool)


def not_initialized(**spec: Any) -> HeavyModelView:
    return HeavyModelView(MODEL_KEY, a_heavy_model(**spec), HeavyModelStatus(conditions=[store_ready()]), None)


class Story:
    """A Scenario and the world around it, moved on event by event; `plan()` decides, `settle()` carries it out."""

    def __init__(self, heavy_model: HeavyModelView | None = None, name: str = "spring", **spec: Any) -> None:
        self.heavy_model = heavy_model if heavy_model is not None else initialized()
        self.raw: Json = {
            "apiVersion": "longtail.dev/v1alpha1",
            "kind": "Scenario",
            "metadata": {
                "name": name, "namespace": "shop", "uid": "0123-4567-89", "generation": 1, "labels": {},
                "annotations": {},
            },
            "spec": {"heavyModelRef": {"name": "shared"}, **spec},
        }  # fmt: skip
        self.children: dict[Key, Json] = {}
        self.pods: list[Json] = []
        self.status: Json = {}
        self.now = NOON
        self.admitted = True
        self.holders = ""
        self.upgrade_held: Trouble | None = None
        self.card: ModelCard | Trouble | None = None
        self.last_run: int | Trouble = 0
        self.memberships: dict[str, Membership] = {}
        self.removed: list[Key] = []
        self.jobs_ever: list[str] = []
        self.pictures: dict[str, list[str]] = {}
        self.said = SILENCE
        self.settings = SETTINGS

    def world(self) -> ScenarioWorld:
        return ScenarioWorld(
            raw=self.raw,
            spec=ScenarioSpec.model_validate(self.raw["spec"]),
            status=own_status(ScenarioStatus, {"status": self.status}),
            said=self.said,
            heavy_model=self.heavy_model,
            children=list(self.children.values()),
            pods=self.pods,
            settings=self.settings,
            admitted=self.admitted,
            holders=self.holders,
            upgrade_held=self.upgrade_held,
            pinned_card=self.card,
            last_run=self.last_run,
            memberships=self.memberships,
        )

    def plan(self) -> Plan:
        return plan_scenario(self.world(), self.now)

    def settle(self) -> Plan:
        """Carry out plans until they ask for nothing new; returns the last."""
        for _ in range(20):
            plan = self.plan()
            before = (self.status, dict(self.children))
            self.status = plan.status
            for child in plan.children:
                key = key_of(child)
                if key.kind == "Job" and key not in self.children:
                    self.jobs_ever.append(key.name)
                # A Job and a LightModelSearch keep what happened to them since, and a Job what it was made of.
                known = self.children.get(key, {})
                given = {k: v for k, v in known.get("metadata", {}).items() if k in ("uid", "creationTimestamp")}
                metadata = {**child["metadata"], **given}
                if known and key.kind == "Job":
                    child = {**child, "spec": {**child["spec"], "template": known["spec"]["template"]}}
                self.children[key] = {**child, "metadata": metadata, "status": known.get("status", {})}
            for key in plan.deletions:
                self.children.pop(key, None)
                self.removed.append(key)
            if (self.status, self.children) == before:
                return plan
        raise AssertionError("the plans never come to rest")

    def later(self, seconds: float) -> "Story":
        self.now += timedelta(seconds=seconds)
        return self

    def change(self, **spec: Any) -> "Story":
        """A person edits the spec."""
        self.raw = {**self.raw, "spec": {**self.raw["spec"], **spec}}
        self.raw["metadata"] = {**self.raw["metadata"], "generation": self.raw["metadata"]["generation"] + 1}
        return self

    def annotate(self, value: str) -> "Story":
        self.raw["metadata"]["annotations"]["longtail.dev/run"] = value
        return self

    def job(self, step: str) -> Json:
        """The newest Job of a step that is there."""
        found = [
            c
            for c in self.children.values()
            if c["kind"] == "Job" and c["metadata"]["labels"]["longtail.dev/role"] == step
        ]
        assert found, f"no Job of {step}; there are {sorted(key.name for key in self.children)}"
        unfinished = [job for job in found if not job["status"].get("conditions")]
        return (unfinished or found)[-1]

    def refuses(self, kind: str, name: str, message: str) -> "Story":
        """The API server would not take a child, which is therefore not there."""
        self.children.pop(Key(kind, "shop", name), None)
        self.said = Said(refused={Key(kind, "shop", name): Trouble("Refused", message)})
        return self

    def tells(self, item: Json, reason: str, message: str) -> "Story":
        """The newest warning about an object."""
        self.said = Said(heard={item["metadata"]["uid"]: Trouble(reason, message)})
        return self

    def names(self, kind: str) -> list[str]:
        return sorted(key.name for key in self.children if key.kind == kind)

    def _ends(self, job: Json, condition: Json, message: str, code: int) -> None:
        at = self.now.strftime("%Y-%m-%dT%H:%M:%SZ")
        job["status"] = {"conditions": [{"status": "True", "lastTransitionTime": at, **condition}]}
        self.pods.append(a_pod(job, {"terminated": {"exitCode": code, "reason": "Error", "message": message}}))

    def succeeds(self, step: str, result_version: int = 1, **outputs: Any) -> "Story":
        said = Termination(
            status="Succeeded",
            result_sha256=SHA,
            result_version=result_version,
            outputs=outputs,
            pictures=self._pictures(step),
        )
        self._ends(self.job(step), {"type": "Complete"}, said.model_dump_json(by_alias=True), 0)
        return self

    def draws(self) -> "Story":
        """From now on each step leaves its pictures."""
        self.pictures = {
            "adapt": ["learning-curves"], "search": ["cell"], "train-light": ["cell", "quality-cost"],
        }  # fmt: skip
        return self

    def _pictures(self, step: str) -> dict[str, str]:
        folder = step_prefix("a", self.status["run"]["number"], step)
        return {name: picture_key(folder, name) for name in self.pictures.get(step, [])}

    def fails(self, step: str, reason: str, message: str, code: int = 65) -> "Story":
        said = Termination(status="Failed", reason=reason, message=message)
        self._ends(
            self.job(step), {"type": "Failed", "reason": "PodFailurePolicy"}, said.model_dump_json(by_alias=True), code
        )
        return self

    def reports(self, verdict: str, reason: str = "Succeeded", message: str = "fast enough") -> "Story":
        """The check's Job ends with this report."""
        report = CheckReport(verdict=verdict, reason=reason, message=message, candidate="?")
        self._ends(self.job("check"), {"type": "Complete"}, report.model_dump_json(by_alias=True), 0)
        return self

    def found_an_architecture(self) -> "Story":
        for item in self.children.values():
            if item["kind"] == "LightModelSearch":
                done = {
                    "type": "Complete",
                    "status": "True",
                    "reason": "Succeeded",
                    "lastTransitionTime": "2026-06-01T12:00:00Z",
                }
                item["status"] = {
                    "conditions": [done],
                    "resultSha256": SHA,
                    "resultKey": "runs/x/1/search/architecture.json",
                    "pictures": [
                        {"name": f"search-{name}", "uri": f"s3://bucket/{key}"}
                        for name, key in self._pictures("search").items()
                    ],
                }
        return self

    def answers(self) -> "Story":
        """The pods of every Deployment get ready."""
        for item in self.children.values():
            if item["kind"] == "Deployment":
                replicas = item["spec"]["replicas"]
                item["status"] = {"observedGeneration": 1, "updatedReplicas": replicas, "availableReplicas": replicas}
        return self

    def trained(self) -> "Story":
        """The current run goes through all of its steps."""
        self.settle()
        for step in ("prepare", "adapt"):
            self.succeeds(step).settle()
        self.found_an_architecture().settle()
        self.succeeds("train-light", modelSha256=SHA).settle()
        return self

    def serves(self) -> "Story":
        """The current run's light model is checked and promoted, and what served before has drained."""
        self.trained().answers().settle()
        self.reports("Passed").settle()
        self.later(60).answers().settle()
        return self

    def condition(self, type_: str) -> tuple[str, str]:
        """Status and reason."""
        for condition in self.status.get("conditions", []):
            if condition["type"] == type_:
                return condition["status"], condition["reason"]
        return "", ""

    def message(self, type_: str) -> str:
        return next(c.get("message", "") for c in self.status["conditions"] if c["type"] == type_)

    @property
    def traffic_goes_to(self) -> str | None:
        service = self.children.get(Key("Service", "shop", self.raw["metadata"]["name"]))
        return service["spec"]["selector"]["longtail.dev/version"] if service else None


def a_serving_scenario(**spec: Any) -> Story:
    return Story(**{"serving": {"slo": {"p99Milliseconds": 20}}, **spec})


def a_pod(job: Json, state: Json, **status: Any) -> Json:
    """A pod of a Job with one container in a state."""
    name = job["metadata"]["name"]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"{name}-x",
            "namespace": "shop",
            "uid": "p",
            "labels": {"batch.kubernetes.io/job-name": name},
        },
        "status": {"phase": "Failed", "containerStatuses": [{"name": "trainer", "state": state}], **status},
    }
