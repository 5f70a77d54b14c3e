"""`HeavyModel.spec.method` chooses the steps: a method of one step, beside ALT."""

from pathlib import Path

import pytest

import longtail_operator
from longtail_api.methods import METHODS as APIS
from longtail_operator.meta_update.folding import feedback_of
from longtail_operator.methods import METHODS
from tests.methods.alone.api import API
from tests.methods.alone.plan import Alone
from tests.unit.operator_builders import NOON, Story, a_heavy_model, initialized


@pytest.fixture
def story(monkeypatch: pytest.MonkeyPatch) -> Story:
    monkeypatch.setitem(APIS, "Alone", API)
    monkeypatch.setitem(METHODS, "Alone", Alone())
    return Story(initialized(a_heavy_model(method="Alone")), serving={})


def test_a_scenario_runs_through_the_steps_of_its_heavy_models_method(story: Story):
    story.settle()
    story.succeeds("prepare").settle()
    assert '"step": "train-alone"' in next(
        item["data"]["config.json"]
        for key, item in story.children.items()
        if "train-alone" in key.name and "data" in item
    )
    story.succeeds("train-alone", modelSha256="a" * 64).settle()
    assert story.status["run"]["outcome"] == "Succeeded"
    assert story.condition("Trained") == ("True", "Succeeded")
    assert [name.rsplit("-", 1)[0] for name in story.jobs_ever] == ["spring-prepare", "spring-train-alone"]


def test_a_method_without_feedback_hands_in_none(story: Story):
    story.settle()
    story.succeeds("prepare").settle()
    assert feedback_of({**story.raw, "status": story.status}, Alone.feedback_step, NOON) is None


def test_every_method_of_the_api_has_its_steps_here():
    assert METHODS.keys() == APIS.keys()
    for name, method in METHODS.items():
        named = {step.name for step in method.every_step} - {"prepare"}
        assert named <= APIS[name].configs.keys()
        assert method.feedback_step is None or method.feedback_step in APIS[name].configs
        assert method.search is None or method.search.step in APIS[name].configs


def test_plans_that_are_every_methods_name_no_step_of_one():
    rooms = Path(longtail_operator.__file__).parent
    # `search` is also a field of a Scenario's spec.
    steps = {step for api in APIS.values() for step in api.configs} - {"search"}
    files = [file for file in rooms.rglob("*.py") if "methods" not in file.relative_to(rooms).parts]
    assert len(files) > 50
    for file in files:
        text = file.read_text()
        assert not [step for step in steps if f'"{step}"' in text], file.name
        assert "longtail_operator.methods.alt" not in text, file.name
