"""A resource of ours and its children, as a decision sees them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from longtail_api.conditions import Reason
from longtail_operator.kubernetes.jobs import JobState, judge
from longtail_operator.kubernetes.objects import Json, Key, key_of, section
from longtail_operator.kubernetes.pods import is_over, of_job
from longtail_operator.kubernetes.trouble import Trouble
from longtail_operator.settings import Settings


@dataclass(frozen=True)
class Said:
    """What the cluster says against a resource's children that stands in none of them."""

    refused: Mapping[Key, Trouble] = field(default_factory=dict[Key, Trouble])
    """By child: why the API server would not take it."""
    heard: Mapping[str, Trouble] = field(default_factory=dict[str, Trouble])
    """By uid: what events say of what waits."""


SILENCE = Said()
"""Nothing is said."""


@dataclass(frozen=True, kw_only=True)
class Observed:
    """One resource, at one moment."""

    raw: Json
    children: list[Json]
    """All but pods."""
    pods: list[Json]
    settings: Settings
    said: Said = SILENCE

    @cached_property
    def key(self) -> Key:
        return key_of(self.raw)

    @property
    def generation(self) -> int:
        return int(section(self.raw, "metadata").get("generation", 0))

    def find(self, kind: str, name: str) -> Json | None:
        """The child of this kind and name."""
        return next((item for item in self.children if item["kind"] == kind and item["metadata"]["name"] == name), None)

    def job_state(self, name: str, now: datetime) -> JobState:
        """How far the Job of this name is. Where it could not be made, or anything else of its step, why."""
        found = self.find("Job", name)
        if found is not None:
            return judge(found, self.pods, now, self.said.heard)
        left = [pod["metadata"]["name"] for pod in of_job(self.pods, name) if not is_over(pod)]
        if left:
            # A Job that is deleted is gone at once, and its pods end in their own time.
            return JobState("Deleting", Reason.PENDING, f"waiting until pod {left[-1]} of the deleted Job has ended")
        refused = self.refused(name)
        return JobState("Absent") if refused is None else JobState("Absent", refused.reason, refused.message)

    def refused(self, *names: str) -> Trouble | None:
        """Why the API server would not take a child of one of these names; None where it does."""
        return next((trouble for key, trouble in self.said.refused.items() if key.name in names), None)
