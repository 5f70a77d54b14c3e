"""What a step of a run is, and what it may look at."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from longtail_api.base import Sha256
from longtail_api.conditions import ConditionType
from longtail_api.labels import RUN_LABEL
from longtail_api.run_config import StepConfig
from longtail_api.scenario import RunStatus, ScenarioStatus, StepStatus
from longtail_api.store_layout import manifest_key
from longtail_api.store_objects import Termination
from longtail_operator.kubernetes.identity import child_name
from longtail_operator.kubernetes.job_follower import Desired, Followed, follow, made_of
from longtail_operator.kubernetes.jobs import config_base, step_objects
from longtail_operator.kubernetes.objects import Json, Key
from longtail_operator.kubernetes.outputs import Outputs
from longtail_operator.kubernetes.plan import Draft
from longtail_operator.scenario.world import HeavyModelView, ScenarioWorld, workplace
from longtail_operator.stores.run_numbers import data_version, light_version

LONGEST_NOTE = 256
"""Of what a person should know of a step's result; as the API has it."""


@dataclass(frozen=True)
class RunContext:
    """One run of one Scenario."""

    world: ScenarioWorld
    heavy_model: HeavyModelView
    run: RunStatus
    now: datetime

    @property
    def data_version(self) -> str:
        return self.run.data_version or data_version(self.run.number)

    @property
    def light_version(self) -> str:
        return light_version(self.run.number)

    @property
    def manifest(self) -> str:
        return manifest_key(self.world.store_key, self.data_version)

    @property
    def base_version(self) -> int:
        """The version that the run pinned. Steps that need one come after the pinning."""
        if self.run.base_version is None:
            raise AssertionError(f"{self.world.key}: run {self.run.number} has no base version yet")
        return self.run.base_version

    @property
    def training_inputs(self) -> dict[str, Any]:
        """What every step that trains on the run's data, from its base version, depends on."""
        return {
            "scenario": self.world.store_key,
            "run": self.run.number,
            "data": self.data_version,
            "base": self.base_version,
        }

    def recorded(self, step: str) -> StepStatus | None:
        """What the run's status knows of a step, once it has begun."""
        return next((known for known in self.run.steps if known.name == step), None)

    def identity_of(self, step: "Step") -> str:
        """The identity that a step has begun with, whatever has been edited since; else the one it would begin with."""
        known = self.recorded(step.name)
        return known.identity if known is not None else step.identity(self)

    def config_base(self, digest: str) -> dict[str, Any]:
        """What the config of every step of the run holds."""
        return config_base(self.heavy_model.spec, self.world.store_key, self.run.number, digest)

    def told(self, type_: ConditionType) -> str | None:
        """The reason that a condition gave last."""
        return next((one.reason for one in self.world.status.conditions if one.type == type_), None)

    @property
    def run_label(self) -> dict[str, str]:
        return {RUN_LABEL: str(self.run.number)}


class LightTrained(Outputs):
    """What is read of the result of a step that makes the run's light model."""

    model_sha256: Sha256


class Step(Protocol):
    """One step of a run."""

    name: str
    condition: ConditionType
    needs_version: bool
    """Whether it starts from a version of the agnostic model."""

    def identity(self, context: RunContext) -> str:
        """Hash of the inputs that make this step another one, as they are now; see `RunContext.identity_of`."""
        ...

    def follow(self, context: RunContext, digest: str, known: StepStatus | None, draft: Draft) -> Followed:
        """How far it is; `draft` has what keeps it going. known: what the status says of it."""
        ...

    def is_mended(self, context: RunContext, known: StepStatus) -> bool:
        """It has failed: would what it is made of now be something else?"""
        ...

    def objects(self, context: RunContext, digest: str) -> list[Json]:
        """What carries it out."""
        ...

    def record(self, context: RunContext, digest: str, status: ScenarioStatus, said: Termination) -> None:
        """What its result changes in the status. Raises `Unusable` where that says not enough."""
        ...

    def keeps(self, context: RunContext) -> set[Key]:
        """Objects of this step that stand whatever step of the run is under way."""
        ...


class JobStep(ABC):
    """A step that is one Job."""

    name: str
    condition: ConditionType
    needs_version = True

    def job_name(self, context: RunContext, digest: str) -> str:
        return child_name(context.world.key.name, self.name, digest[:8])

    def follow(self, context: RunContext, digest: str, known: StepStatus | None, draft: Draft) -> Followed:
        desired = Desired(
            name=self.job_name(context, digest),
            objects=lambda: self.objects(context, digest),
            attempt=known.attempt if known is not None else 0,
            store=context.heavy_model.store_trouble,
            told=context.told(self.condition) if known is not None else None,
        )
        return follow(desired, context.world, draft, context.now)

    def is_mended(self, context: RunContext, known: StepStatus) -> bool:
        return known.made_of is not None and known.made_of != made_of(self.objects(context, known.identity))

    def objects(self, context: RunContext, digest: str) -> list[Json]:
        return step_objects(
            workplace(context.world, context.heavy_model),
            self.job_name(context, digest),
            self.name,
            self.config(context, digest),
            context.run_label,
        )

    def keeps(self, context: RunContext) -> set[Key]:
        """None: a finished Job goes by its own time to live."""
        return set()

    @abstractmethod
    def config(self, context: RunContext, digest: str) -> StepConfig:
        """What the Job is told to do."""
