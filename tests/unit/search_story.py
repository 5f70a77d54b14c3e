"""A LightModelSearch and the world around it, moved on event by event."""

from typing import Any

from longtail_api.light_model_search import LightModelSearchSpec, LightModelSearchStatus
from longtail_api.store_objects import Termination
from longtail_operator.kubernetes.objects import Json, Key, key_of
from longtail_operator.kubernetes.plan import Plan
from longtail_operator.search.plan import plan_search
from longtail_operator.search.world import SearchWorld
from tests.unit.operator_builders import SETTINGS, SHA, Story, a_pod, a_serving_scenario


class SearchStory:
    """A person's search, whose target has adapted; `settle()` decides and carries it out."""

    def __init__(self, **spec: Any) -> None:
        self.spec: Json = {"targetRef": {"kind": "Scenario", "name": "spring"}, **spec}
        self.target: Story = a_serving_scenario()
        self.target.settle()
        for step in ("prepare", "adapt"):
            self.target.succeeds(step).settle()
        self.status: Json = {}
        self.children: dict[Key, Json] = {}
        self.pods: list[Json] = []
        self.now = self.target.now
        self.settle()

    def settle(self) -> Plan:
        for _ in range(20):
            plan = plan_search(
                SearchWorld(
                    raw={
                        "apiVersion": "longtail.dev/v1alpha1", "kind": "LightModelSearch", "spec": self.spec,
                        "metadata": {"name": "hunt", "namespace": "shop", "uid": "98765432", "generation": 1},
                    },
                    spec=LightModelSearchSpec.model_validate(self.spec),
                    status=LightModelSearchStatus.model_validate(self.status),
                    target=self.target.world(),
                    children=list(self.children.values()),
                    pods=self.pods,
                    settings=SETTINGS,
                ),
                self.now,
            )  # fmt: skip
            before = (self.status, dict(self.children))
            self.status = plan.status
            for child in plan.children:
                self.children.setdefault(key_of(child), {**child, "status": {}})
            for key in plan.deletions:
                self.children.pop(key, None)
            if (self.status, self.children) == before:
                return plan
        raise AssertionError("the plans never come to rest")

    @property
    def job(self) -> Json | None:
        return next((item for item in self.children.values() if item["kind"] == "Job"), None)

    def ends(self, status: str = "Succeeded", exit_code: int = 0, **said: Any) -> None:
        """Its Job ends with these words."""
        job = self.job
        assert job is not None
        words = Termination.model_validate({"status": status, "resultSha256": SHA, **said})
        type_ = "Complete" if status == "Succeeded" else "Failed"
        at = self.now.strftime("%Y-%m-%dT%H:%M:%SZ")
        job["status"] = {"conditions": [{"type": type_, "status": "True", "lastTransitionTime": at}]}
        message = words.model_dump_json(by_alias=True)
        self.pods.append(a_pod(job, {"terminated": {"exitCode": exit_code, "message": message}}))
        self.settle()

    def condition(self, type_: str) -> tuple[str, str]:
        """Status and reason."""
        found = (one for one in self.status["conditions"] if one["type"] == type_)
        return next(((one["status"], one["reason"]) for one in found), ("", ""))

    def message(self, type_: str) -> str:
        return next(one["message"] for one in self.status["conditions"] if one["type"] == type_)
