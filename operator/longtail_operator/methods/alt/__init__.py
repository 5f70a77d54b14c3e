"""ALT: feedback of every scenario run is folded into the shared model, from which each run adapts its own."""

from datetime import datetime

from longtail_api.conditions import Reason
from longtail_api.heavy_model import HeavyModelStatus
from longtail_api.store_objects import Version
from longtail_operator.heavy_model.world import HeavyModelWorld
from longtail_operator.kubernetes.conditions import Conditions
from longtail_operator.kubernetes.objects import Json
from longtail_operator.kubernetes.plan import Draft
from longtail_operator.methods.alt.initialization import plan_initialization
from longtail_operator.methods.alt.meta_training import cancel, pauses_folding, plan_meta_training
from longtail_operator.methods.alt.search import AltSearch
from longtail_operator.methods.alt.steps import ADAPT, EVERY_STEP, steps_of
from longtail_operator.scenario.step import RunContext, Step
from longtail_operator.search.world import ModelSearch


class Alt:
    """See `Method`."""

    name = "ALT"
    every_step = EVERY_STEP
    feedback_step: str | None = ADAPT.name
    search: ModelSearch | None = AltSearch()

    def steps_of(self, context: RunContext) -> tuple[Step, ...]:
        return steps_of(context)

    def begin(
        self, world: HeavyModelWorld, head: Version | None, status: HeavyModelStatus, conditions: Conditions,
        draft: Draft, now: datetime,
    ) -> None:  # fmt: skip
        cancel(status, conditions, Reason.NEW_GENERATION, "the next generation begins")
        plan_initialization(world, head, status, conditions, draft, now)

    def keep_up(
        self, world: HeavyModelWorld, head: Version, status: HeavyModelStatus, conditions: Conditions, draft: Draft,
        now: datetime,
    ) -> None:  # fmt: skip
        plan_meta_training(world, head, status, conditions, draft, now)

    def pauses_folding(self, status: Json) -> bool:
        return pauses_folding(status)
