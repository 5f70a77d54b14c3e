"""All that the decision about one LightModelSearch may look at, and what a search starts from."""

from dataclasses import dataclass
from typing import Protocol

from longtail_api.light_model_search import LightModelSearchSpec, LightModelSearchStatus
from longtail_api.run_config import StepConfig
from longtail_api.store_layout import scenario_key
from longtail_operator.kubernetes.objects import owner_reference, uid_of
from longtail_operator.kubernetes.observed import Observed
from longtail_operator.scenario.world import HeavyModelView, ScenarioWorld


@dataclass(frozen=True, kw_only=True)
class SearchWorld(Observed):
    """One LightModelSearch and everything around it, at one moment."""

    spec: LightModelSearchSpec
    status: LightModelSearchStatus
    target: ScenarioWorld | None
    """The Scenario it is for, without its children."""
    progress: float | None = None
    """Part of the running search that is done, 0 to 1, where known. Advisory."""

    @property
    def is_the_scenarios(self) -> bool:
        """Made by its target's controller, for one run; else by a person."""
        return owner_reference(self.raw) is not None


@dataclass(frozen=True)
class Inputs:
    """What the search starts from: one run's heavy model."""

    heavy_model: HeavyModelView
    target: ScenarioWorld
    run: int
    manifest: str
    base_version: int
    heavy_result: str
    owner: str
    """Whose folder of the store it writes to, and under which run: the Scenario's, or a person's search's own."""
    owner_run: int
    search: "ModelSearch"


class ModelSearch(Protocol):
    """How one method searches for a light model. step: of its Job; heavy_step: whose result it starts from."""

    step: str
    heavy_step: str

    def config(self, world: SearchWorld, inputs: Inputs, digest: str) -> StepConfig:
        """What the Job is told to do."""
        ...

    def planned(self, world: SearchWorld) -> int:
        """How many trials there will be."""
        ...

    def found_key(self, inputs: Inputs) -> str:
        """Key of the `SearchResult`."""
        ...


def place_of(world: SearchWorld, target_run: int) -> tuple[str, int]:
    """Owner and run of the search's folder in the store."""
    if world.is_the_scenarios and world.target is not None:
        return world.target.store_key, target_run
    return scenario_key(world.key.namespace, world.key.name, uid_of(world.raw)), 1
