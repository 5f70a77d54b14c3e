"""What a method is to the operator."""

from datetime import datetime
from typing import Protocol

from longtail_api.heavy_model import HeavyModelStatus
from longtail_api.store_objects import Version
from longtail_operator.heavy_model.world import HeavyModelWorld
from longtail_operator.kubernetes.conditions import Conditions
from longtail_operator.kubernetes.objects import Json
from longtail_operator.kubernetes.plan import Draft
from longtail_operator.scenario.step import RunContext, Step
from longtail_operator.search.world import ModelSearch


class Method(Protocol):
    """One way in which scenarios share what they learn: its steps and Jobs, in pure decisions."""

    name: str
    """As in `HeavyModel.spec.method`."""
    every_step: tuple[Step, ...]
    """All that a Scenario's run may consist of, in order."""
    feedback_step: str | None
    """The step of a run that hands in feedback; None: there is no feedback, and nothing is folded."""
    search: ModelSearch | None
    """How a LightModelSearch is carried out; None: the method searches for no light model."""

    def steps_of(self, context: RunContext) -> tuple[Step, ...]:
        """The steps of this run, in order."""
        ...

    def begin(
        self, world: HeavyModelWorld, head: Version | None, status: HeavyModelStatus, conditions: Conditions,
        draft: Draft, now: datetime,
    ) -> None:  # fmt: skip
        """The generation that the spec asks for has no version yet, `head` is another one's: decide how to make one."""
        ...

    def keep_up(
        self, world: HeavyModelWorld, head: Version, status: HeavyModelStatus, conditions: Conditions, draft: Draft,
        now: datetime,
    ) -> None:  # fmt: skip
        """The generation stands at `head`: decide what else the HeavyModel's own Jobs have to do."""
        ...

    def pauses_folding(self, status: Json) -> bool:
        """Does a Job of the HeavyModel want the head to stay where it is, by the HeavyModel's status?"""
        ...
