"""A step runs exactly once, however often it is started."""

from pathlib import Path

import pytest

from longtail_api.run_config import PrepareConfig
from longtail_api.store_layout import result_key
from longtail_api.store_objects import StepResult
from longtail_store import StoreUnreachable, open_store, read_object
from longtail_trainer.running.errors import ConfigInvalid
from longtail_trainer.running.step import StepContext, carry_out
from tests.trainer.contexts import context_of
from tests.trainer.faulty_stores import LosesResponses, Unreachable
from tests.trainer.tiny import prepare_config


class CountedStep:
    def __init__(self) -> None:
        self.runs = 0

    def __call__(self, config: PrepareConfig, context: StepContext) -> StepResult:
        self.runs += 1
        return context.result(outputs={"runs": self.runs})


@pytest.fixture
def config(tmp_path: Path) -> PrepareConfig:
    return prepare_config(tmp_path / "tables", tmp_path / "store")


def test_the_result_is_in_the_store_when_the_step_ends(config: PrepareConfig, tmp_path: Path):
    result = carry_out(CountedStep(), config, context_of(config, tmp_path / "work"))
    stored = read_object(open_store(config.store), result_key(config.owner, 1, "prepare"), StepResult)
    assert stored == result
    assert (stored.step, stored.identity, stored.scenario) == ("prepare", config.identity, config.owner)


def test_a_finished_step_is_not_run_again(config: PrepareConfig, tmp_path: Path):
    step = CountedStep()
    first = carry_out(step, config, context_of(config, tmp_path / "work"))
    assert carry_out(step, config, context_of(config, tmp_path / "work")) == first
    assert step.runs == 1


def test_a_result_of_other_inputs_is_never_replaced(config: PrepareConfig, tmp_path: Path):
    carry_out(CountedStep(), config, context_of(config, tmp_path / "work"))
    other = config.model_copy(update={"identity": "prepare-2"})
    with pytest.raises(ConfigInvalid, match="other inputs") as raised:
        carry_out(CountedStep(), other, context_of(other, tmp_path / "work"))
    assert raised.value.reason == "ResultConflict"


def test_a_lost_response_to_the_result_is_found_to_be_ones_own(config: PrepareConfig, tmp_path: Path):
    step = CountedStep()
    store = LosesResponses(open_store(config.store))
    result = carry_out(step, config, context_of(config, tmp_path / "work", store=store))
    assert result.outputs == {"runs": 1}
    assert step.runs == 1


def test_of_two_attempts_at_once_the_first_result_counts_for_both(config: PrepareConfig, tmp_path: Path):
    def overtaken(config: PrepareConfig, context: StepContext) -> StepResult:
        carry_out(CountedStep(), config, context_of(config, tmp_path / "other work"))
        return context.result(outputs={"runs": "mine"})

    assert carry_out(overtaken, config, context_of(config, tmp_path / "work")).outputs == {"runs": 1}


def test_a_store_that_does_not_answer_fails_the_step(config: PrepareConfig, tmp_path: Path):
    step = CountedStep()
    with pytest.raises(StoreUnreachable):
        carry_out(step, config, context_of(config, tmp_path / "work", store=Unreachable()))
    assert step.runs == 0
