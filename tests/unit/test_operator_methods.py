"""`HeavyModel.spec.method` chooses the steps: a made-up method of one step, beside ALT."""

from datetime import datetime
from pathlib import Path
from typing import Literal

import pytest

import longtail_operator.plans
from longtail_api.conditions import ConditionType, Reason
from longtail_api.heavy_model import HeavyModelStatus
from longtail_api.methods import METHODS as APIS
from longtail_api.methods import MethodApi
from longtail_api.run_config import StepConfig
from longtail_api.scenario import ScenarioStatus
from longtail_api.store_objects import Termination, Version
from longtail_operator.feedback import feedback_of
from longtail_operator.identity import identity
from longtail_operator.objects import Json
from longtail_operator.plan import Draft
from longtail_operator.plans.heavy_model_world import HeavyModelWorld
from longtail_operator.plans.methods import METHODS
from longtail_operator.plans.prepare import PREPARE
from longtail_operator.plans.run_step import JobStep, RunContext, Step
from longtail_operator.plans.search_world import ModelSearch
from longtail_operator.status import Conditions
from tests.unit.operator_builders import NOON, Story, a_heavy_model, initialized


class LearnConfig(StepConfig):
    """learn: what a method of one step does."""

    step: Literal["learn"] = "learn"
    manifest: str


class Learn(JobStep):
    name = "learn"
    condition = ConditionType.TRAINED
    needs_version = False

    def identity(self, context: RunContext) -> str:
        return identity(step=self.name, scenario=context.world.store_key, run=context.run.number)

    def config(self, context: RunContext, digest: str) -> StepConfig:
        return LearnConfig(**context.config_base(digest), manifest=context.manifest)

    def record(self, context: RunContext, digest: str, status: ScenarioStatus, said: Termination) -> None:
        context.run.light_sha256 = str(said.outputs["modelSha256"])


class Solo:
    """Every scenario by itself."""

    name = "Solo"
    every_step: tuple[Step, ...] = (PREPARE, Learn())
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
        raise AssertionError("it has no version")

    def pauses_folding(self, status: Json) -> bool:
        return True


@pytest.fixture
def story(monkeypatch: pytest.MonkeyPatch) -> Story:
    monkeypatch.setitem(APIS, "Solo", MethodApi("Solo", {"learn": LearnConfig}))
    monkeypatch.setitem(METHODS, "Solo", Solo())
    return Story(initialized(a_heavy_model(method="Solo")), serving={})


def test_a_scenario_runs_through_the_steps_of_its_heavy_models_method(story: Story):
    story.settle()
    story.succeeds("prepare").settle()
    assert '"step": "learn"' in next(
        item["data"]["config.json"] for key, item in story.children.items() if "learn" in key.name and "data" in item
    )
    story.succeeds("learn", modelSha256="a" * 64).settle()
    assert story.status["run"]["outcome"] == "Succeeded"
    assert story.condition("Trained") == ("True", "Succeeded")
    assert [name.rsplit("-", 1)[0] for name in story.jobs_ever] == ["spring-prepare", "spring-learn"]


def test_a_method_without_feedback_hands_in_none(story: Story):
    story.settle()
    story.succeeds("prepare").settle()
    assert feedback_of({**story.raw, "status": story.status}, Solo.feedback_step, NOON) is None


def test_every_method_of_the_api_has_its_steps_here():
    assert METHODS.keys() == APIS.keys()
    for name, method in METHODS.items():
        named = {step.name for step in method.every_step} - {"prepare"}
        assert named <= APIS[name].configs.keys()
        assert method.feedback_step is None or method.feedback_step in APIS[name].configs
        assert method.search is None or method.search.step in APIS[name].configs


def test_plans_that_are_every_methods_name_no_step_of_one():
    folder = Path(longtail_operator.plans.__file__).parent
    # `search` is also a field of a Scenario's spec.
    steps = {step for api in APIS.values() for step in api.configs} - {"search"}
    for file in folder.glob("*.py"):
        text = file.read_text()
        assert not [step for step in steps if f'"{step}"' in text], file.name
        assert "longtail_operator.plans.methods.alt" not in text, file.name
