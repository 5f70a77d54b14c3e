"""A step of the HeavyModel that works for many Scenarios at once: one Job, and in the store a list of who has what.

A termination message has no room for many results. So the Job's own `result.json` names each Scenario's (`Member`), and
a Scenario's run, in which the step has its place like any other, waits for an entry that was made of its present data.
"""

from abc import ABC, abstractmethod
from datetime import datetime

from longtail_api.conditions import ConditionType, Reason
from longtail_api.heavy_model import GroupStepStatus, HeavyModelStatus
from longtail_api.run_config import StepConfig
from longtail_api.scenario import ScenarioStatus, StepStatus
from longtail_api.store_objects import Termination
from longtail_operator.heavy_model.world import HeavyModelWorld
from longtail_operator.kubernetes.identity import child_name, identity
from longtail_operator.kubernetes.job_follower import Desired, Followed, follow, made_of
from longtail_operator.kubernetes.jobs import LOST_MESSAGE_AFTER, STEP_KINDS, JobState, step_objects
from longtail_operator.kubernetes.objects import Json, Key
from longtail_operator.kubernetes.plan import Draft
from longtail_operator.kubernetes.surroundings import is_mended_by_its_pod
from longtail_operator.scenario.step import RunContext


class GroupStep(ABC):
    """The step as one Scenario's run sees it; see `run_step.Step`. It has no object of its own, and holds no place."""

    name: str
    condition: ConditionType
    needs_version = False

    def identity(self, context: RunContext) -> str:
        return identity(step=self.name, scenario=context.world.store_key, run=context.run.number)

    def follow(self, context: RunContext, digest: str, known: StepStatus | None, draft: Draft) -> Followed:
        return Followed(self.look(context), 0)

    def is_mended(self, context: RunContext, known: StepStatus) -> bool:
        """The HeavyModel's part of it never fails a Scenario's run."""
        return False

    def look(self, context: RunContext) -> JobState:
        """How far the HeavyModel's Job is, for this Scenario."""
        found = context.world.memberships.get(self.name)
        if found is not None and found.member.manifest == context.manifest:
            return JobState("Succeeded", Reason.SUCCEEDED, "", found.said)
        name = context.heavy_model.key.name
        group = group_of(context.heavy_model.status, self.name)
        words = "has not begun"
        if group is not None:
            working = "is under way" + (f": {group.message}" if group.message else "")
            words = {None: working, "Succeeded": "ended without this Scenario's present data"}.get(
                group.outcome, f"failed: {group.message}"
            )
        return JobState(
            "Running", Reason.WAITING, f"waiting for {self.name} of HeavyModel {name}, which {words}"[:1024]
        )

    def objects(self, context: RunContext, digest: str) -> list[Json]:
        return []

    def keeps(self, context: RunContext) -> set[Key]:
        return set()

    @abstractmethod
    def record(self, context: RunContext, digest: str, status: ScenarioStatus, said: Termination) -> None:
        """What its result changes in the status."""


def group_of(status: HeavyModelStatus, step: str) -> GroupStepStatus | None:
    """What the HeavyModel's status says of a group step."""
    return next((one for one in status.groups if one.step == step), None)


def plan_group(
    world: HeavyModelWorld, status: HeavyModelStatus, draft: Draft, now: datetime, step: str, config: StepConfig
) -> GroupStepStatus:
    """Have the step's Job done once for each identity of `config`: what `status` then says of it.

    A Job of another identity that is under way is no longer wanted, and ends.
    """
    known = group_of(status, step)
    if known is None or known.identity != config.identity:
        known = GroupStepStatus(step=step, run=config.run, identity=config.identity)
        status.groups = [*(one for one in status.groups if one.step != step), known]
    name = child_name(world.key.name, step, known.identity[:8])

    def objects() -> list[Json]:
        return step_objects(world.workplace, name, step, config)

    mendable = known.outcome == "Failed" and is_mended_by_its_pod(known.reason or "")
    if mendable and known.made_of not in (None, made_of(objects())):
        known.outcome = None
    if known.outcome is not None:
        return known
    followed = follow(Desired(name, objects, known.attempt, told=known.reason), world, draft, now)
    state = followed.state
    known.attempt, known.made_of = followed.attempt, followed.made_of or known.made_of
    troubled = state.state in ("Absent", "Running", "Held") and state.reason not in ("", Reason.RUNNING)
    known.message, known.reason = (state.message[:1024], state.reason) if troubled else (None, None)
    if state.state == "Succeeded" and state.termination is not None:
        known.outcome, known.result = "Succeeded", state.termination.result_sha256
    elif state.state == "Failed":
        known.outcome, known.message, known.reason = "Failed", state.message[:1024], state.reason
    elif state.state == "Absent":
        draft.children.extend(objects())
        return known
    draft.kept.update(Key(kind, world.key.namespace, name) for kind in STEP_KINDS)
    if known.outcome is None:
        draft.requeue_in(LOST_MESSAGE_AFTER.total_seconds())
    return known
