"""The method in the operator: the run of a Scenario is `prepare`, then `train-alone`; the HeavyModel has no Jobs."""

from datetime import datetime

from longtail_api.conditions import ConditionType, Reason
from longtail_api.heavy_model import HeavyModelStatus
from longtail_api.run_config import StepConfig
from longtail_api.scenario import ScenarioStatus
from longtail_api.store_objects import Termination, Version
from longtail_operator.heavy_model.world import HeavyModelWorld
from longtail_operator.kubernetes.conditions import Conditions
from longtail_operator.kubernetes.identity import identity
from longtail_operator.kubernetes.objects import Json
from longtail_operator.kubernetes.outputs import outputs_of
from longtail_operator.kubernetes.plan import Draft
from longtail_operator.scenario.prepare import PREPARE
from longtail_operator.scenario.step import JobStep, LightTrained, RunContext, Step
from longtail_operator.search.world import ModelSearch
from tests.methods.alone.api import TrainAloneConfig


class TrainAlone(JobStep):
    name = "train-alone"
    condition = ConditionType.TRAINED
    needs_version = False

    def identity(self, context: RunContext) -> str:
        return identity(step=self.name, scenario=context.world.store_key, run=context.run.number)

    def config(self, context: RunContext, digest: str) -> StepConfig:
        limit = context.world.spec.budget.max_flops
        return TrainAloneConfig(
            **context.config_base(digest),
            manifest=context.manifest,
            light_version=context.light_version,
            max_flops=int(limit) if limit is not None else None,
        )

    def record(self, context: RunContext, digest: str, status: ScenarioStatus, said: Termination) -> None:
        context.run.light_sha256 = outputs_of(LightTrained, said).model_sha256


class Alone:
    """See `longtail_operator.methods.method.Method`."""

    name = "Alone"
    every_step: tuple[Step, ...] = (PREPARE, TrainAlone())
    feedback_step: str | None = None
    search: ModelSearch | None = None

    def steps_of(self, context: RunContext) -> tuple[Step, ...]:
        return self.every_step

    def begin(
        self, world: HeavyModelWorld, head: Version | None, status: HeavyModelStatus, conditions: Conditions,
        draft: Draft, now: datetime,
    ) -> None:  # fmt: skip
        conditions.set(ConditionType.READY, True, Reason.SUCCEEDED, "there is nothing to share")

    def keep_up(
        self, world: HeavyModelWorld, head: Version, status: HeavyModelStatus, conditions: Conditions, draft: Draft,
        now: datetime,
    ) -> None:  # fmt: skip
        """It has no version."""

    def pauses_folding(self, status: Json) -> bool:
        return True
