"""A HeavyModel and the world around it, whose plans are carried out until they come to rest."""

import json
from dataclasses import replace
from typing import Any

from longtail_api.architecture import Architecture
from longtail_api.heavy_model import HeavyModelStatus
from longtail_api.store_objects import AltHeavy, Checkpoint, Termination, Version
from longtail_operator.heavy_model.plan import plan_heavy_model
from longtail_operator.heavy_model.world import HeavyModelWorld, Members
from longtail_operator.kubernetes.objects import Json, Key, key_of
from longtail_operator.kubernetes.plan import Plan
from longtail_operator.scenario.world import ScenarioWorld, schema_hash
from longtail_operator.stores.view import StoreView
from tests.unit.operator_builders import NOON, SETTINGS, SHA, Story, a_heavy_model, a_pod

SPEC = a_heavy_model(initialization={"scenarioSelector": {"matchLabels": {"pool": "yes"}}, "minScenarios": 2})


def a_version(number: int = 1, generation: int = 1, digest: str | None = None) -> Version:
    return Version(
        number=number, kind="initial", generation=generation, checkpoint=Checkpoint(key="k", sha256=SHA, bytes=1),
        features_sha256=SHA, model=AltHeavy(encoder="LSTM", architecture=Architecture()),
        schema_hash=digest or schema_hash(SPEC),
        nonce="n", created=NOON, folded_count=3, rejected_count=1,
    )  # fmt: skip


def member(name: str, prepared: bool = True, outcome: str | None = None, **labels: str) -> ScenarioWorld:
    """A Scenario of the pool."""
    story = Story(name=name)
    story.raw["metadata"]["labels"] = {"pool": "yes", **labels}
    story.raw["metadata"]["uid"] = name * 8
    story.settle()
    if prepared:
        story.succeeds("prepare").settle()
    world = story.world()
    if outcome and world.status.run:
        world.status.run.outcome = outcome
    return replace(world, heavy_model=None, children=[], pods=[])


class Model:
    """A HeavyModel and the world around it."""

    def __init__(self, *members: ScenarioWorld, store: StoreView | None = None) -> None:
        self.members = list(members)
        self.spec = SPEC
        self.store: StoreView | None = store or StoreView()
        self.status: Json = {}
        self.now = NOON
        self.folding = False
        self.notes: list[str] = []
        """Reasons of the events so far."""
        self.children: dict[Key, Json] = {}
        self.pods: list[Json] = []
        self.raw: Json = {
            "apiVersion": "longtail.dev/v1alpha1", "kind": "HeavyModel", "spec": {},
            "metadata": {"name": "shared", "namespace": "shop", "uid": "m", "generation": 1, "annotations": {}},
        }  # fmt: skip

    def settle(self) -> Plan:
        for _ in range(10):
            world = HeavyModelWorld(
                raw=self.raw,
                spec=self.spec,
                status=HeavyModelStatus.model_validate(self.status),
                scenario_count=len(self.members),
                read_members=lambda: Members(self.members),
                children=list(self.children.values()),
                pods=self.pods,
                settings=SETTINGS,
                store=self.store,
                folding=self.folding,
            )
            plan = plan_heavy_model(world, self.now)
            self.notes += [note.reason for note in plan.notes]
            before = (self.status, dict(self.children))
            self.status = plan.status
            for child in plan.children:
                known = self.children.get(key_of(child), {**child, "status": {}})
                # What is applied to an object that is there changes its metadata: a Job's template can't change.
                self.children[key_of(child)] = {**known, "metadata": child["metadata"]}
            for key in plan.deletions:
                self.children.pop(key, None)
            if (self.status, self.children) == before:
                return plan
        raise AssertionError("the plans never come to rest")

    def jobs(self) -> list[Json]:
        return [child for child in self.children.values() if child["kind"] == "Job"]

    def pool(self) -> list[str]:
        """Names of the Scenarios whose data the running Job reads."""
        config = self.children[Key("ConfigMap", "shop", self.jobs()[0]["metadata"]["name"])]
        return [key.split(".")[1] for key in json.loads(config["data"]["config.json"])["pool"]]

    def ends(self, code: int = 65, **said: Any) -> None:
        job = self.jobs()[-1]
        failed = said.get("status") == "Failed"
        condition = {
            "type": "Failed" if failed else "Complete",
            "status": "True",
            "lastTransitionTime": "2026-06-01T12:00:00Z",
        }
        job["status"] = {"conditions": [condition]}
        message = Termination.model_validate(said).model_dump_json(by_alias=True)
        self.pods.append(a_pod(job, {"terminated": {"exitCode": code if failed else 0, "message": message}}))

    def condition(self, type_: str) -> tuple[str, str]:
        return next((c["status"], c["reason"]) for c in self.status["conditions"] if c["type"] == type_)

    def message(self, type_: str) -> str:
        return next(c["message"] for c in self.status["conditions"] if c["type"] == type_)
