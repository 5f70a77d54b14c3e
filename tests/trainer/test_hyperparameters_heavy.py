"""The search by training real, tiny heavy models."""

from dataclasses import replace
from decimal import Decimal

import pytest
import torch

from longtail_api.architecture import Architecture, Training
from longtail_api.store_objects import Features
from longtail_trainer.data.encoded import EncodedSplit, concatenate
from longtail_trainer.data.loading import encode_frame
from longtail_trainer.methods.alt.initialization.heavy_objective import HeavyObjective, best_architecture
from longtail_trainer.methods.alt.initialization.pre_designed import PreDesigned
from longtail_trainer.models.alt_heavy.model import HeavyModel
from longtail_trainer.running.errors import DataInvalid, Terminated
from longtail_trainer.search.driver import Limits
from longtail_trainer.search.spaces.decisions import Choice
from longtail_trainer.search.spaces.fields import FieldSpace
from longtail_trainer.training.evaluation import evaluate
from longtail_trainer.training.loss import LabelLosses
from longtail_trainer.training.scoring import predict
from longtail_trainer.training.settings import TrainingSettings
from longtail_trainer.training.supervised import train
from tests.trainer import prepared_data

pytestmark = pytest.mark.slow


def features_of_label(number: int) -> Features:
    """The features of prepared data, with one label."""
    schema = prepared_data.SCHEMA
    return prepared_data.FEATURES.model_copy(
        update={"data_schema": schema.model_copy(update={"labels": [schema.labels[number]]})}
    )


def encoded(rows: int, seed: int, features: Features) -> EncodedSplit:
    return encode_frame(prepared_data.samples(rows, seed), features)


FEATURES = features_of_label(0)
SCHEMA = FEATURES.data_schema
TRAINING = encoded(400, 0, FEATURES)
VALIDATIONS = [encoded(60, 1, FEATURES), encoded(90, 2, FEATURES)]
BASE = PreDesigned(
    architecture=Architecture(
        embedding_size=2, profile_layers=[8], behavior_width=4, behavior_layers=1, prediction_layers=[8]
    ),
    training=Training(epochs=3, batch_size=50, learning_rate="0.03", seed=5),
)
SPACE = FieldSpace(
    decisions=(
        Choice("training.learning_rate", (Decimal("0.03"), Decimal("0.000001"))),
        Choice("architecture.behavior_width", (3, 4)),
    ),
    base=BASE,
)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


class Reports:
    """What an objective reported."""

    number = 0

    def __init__(self) -> None:
        self.values: list[tuple[int, float]] = []

    def __call__(self, epoch: int, value: float) -> None:
        self.values.append((epoch, value))

    def raise_if_requested(self) -> None:
        pass


class Memory(dict[str, bytes]):
    """A resume point in memory."""

    def save(self, name: str, payload: bytes) -> None:
        self[name] = payload

    def load(self, name: str) -> bytes | None:
        return self.get(name)


@pytest.mark.parametrize("encoder", ["LSTM", "Transformer"])
def test_the_figure_is_the_scenarios_average_of_the_model_that_initialize_would_train(encoder):
    report = Reports()
    value = HeavyObjective(FEATURES, encoder, TRAINING, VALIDATIONS, seed=1)(BASE, report)

    torch.manual_seed(6)
    model = HeavyModel(FEATURES, encoder, BASE.architecture)
    settings = TrainingSettings(epochs=3, batch_size=50, learning_rate=0.03, seed=6)
    outcome = train(model, TRAINING, concatenate(VALIDATIONS), LabelLosses.of(SCHEMA), settings, Memory(), Reports())
    aucs = [evaluate(predict(model, split), split, FEATURES)["auc"].value for split in VALIDATIONS]
    assert value == pytest.approx(sum(aucs) / 2)
    assert [epoch for epoch, _ in report.values] == [1, 2, 3]
    assert dict(report.values)[outcome.best_epoch] == pytest.approx(value)


def test_the_search_prefers_the_candidate_that_learns():
    result = best_architecture(FEATURES, "LSTM", SPACE, TRAINING, VALIDATIONS, limits=Limits(max_trials=6))
    assert result.found.training.learning_rate == BASE.training.learning_rate
    assert result.found.architecture.profile_layers == [8]
    assert result.value > 0.6


def test_what_is_found_is_never_worse_than_the_specs_own_values_which_no_space_need_name():
    hopeless = FieldSpace(decisions=(Choice("training.learning_rate", (Decimal("0.000001"),)),), base=BASE)
    alone = best_architecture(FEATURES, "LSTM", hopeless, TRAINING, VALIDATIONS, limits=Limits(max_trials=1))
    assert alone.found == BASE
    assert alone.value == HeavyObjective(FEATURES, "LSTM", TRAINING, VALIDATIONS)(BASE, Reports())
    both = best_architecture(FEATURES, "LSTM", hopeless, TRAINING, VALIDATIONS, limits=Limits(max_trials=20))
    assert (both.found, both.value, both.ended) == (BASE, alone.value, "SpaceExhausted")


def test_a_search_that_is_stopped_in_an_epoch_resumes_to_the_same_end():
    limits = Limits(max_trials=4)
    expected = best_architecture(FEATURES, "LSTM", SPACE, TRAINING, VALIDATIONS, limits=limits)
    memory = Memory()

    class StopsInTheSecondTrial:
        looks = 0

        def raise_if_requested(self) -> None:
            self.looks += "journal" in memory  # the first trial's end was saved
            if self.looks == 5:
                raise Terminated("stopped by SIGTERM")

    with pytest.raises(Terminated):
        best_architecture(
            FEATURES, "LSTM", SPACE, TRAINING, VALIDATIONS, limits=limits, resume=memory,
            stop=StopsInTheSecondTrial(),
        )  # fmt: skip
    told: list[int] = []
    result = best_architecture(
        FEATURES, "LSTM", SPACE, TRAINING, VALIDATIONS, limits=limits, resume=memory,
        on_trial=lambda record: told.append(record.number),
    )  # fmt: skip
    assert told[0] == 1
    assert (result.found, result.value) == (expected.found, expected.value)
    assert [one.parameters for one in result.trials] == [one.parameters for one in expected.trials]


def test_a_regression_is_searched_for_its_lowest_error():
    features = features_of_label(1)
    result = best_architecture(
        features,
        "LSTM",
        SPACE,
        encoded(400, 0, features),
        [encoded(80, 1, features)],
        limits=Limits(max_trials=6),
    )
    assert result.found.training.learning_rate == BASE.training.learning_rate
    assert result.value == min(one.value for one in result.trials if one.state == "complete")


def test_scenarios_of_one_class_do_not_count_and_none_but_them_are_refused():
    one_class = replace(VALIDATIONS[0], labels=torch.ones_like(VALIDATIONS[0].labels))
    with_it = HeavyObjective(FEATURES, "LSTM", TRAINING, [VALIDATIONS[1], one_class])
    with_it.check()
    short = PreDesigned(architecture=BASE.architecture, training=BASE.training.model_copy(update={"epochs": 1}))
    assert 0 <= with_it(short, Reports()) <= 1
    with pytest.raises(DataInvalid, match="no scenario of the pool has validation rows on which auc can be estimated"):
        best_architecture(FEATURES, "LSTM", SPACE, TRAINING, [one_class])
