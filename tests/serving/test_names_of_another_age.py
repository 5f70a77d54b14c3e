"""Models and recorded rows that call a sequence's length as earlier versions of this software did."""

import json

import numpy as np
import pytest

from longtail_api.store_objects import ModelCard, RecordedRequest, TensorSpec
from longtail_serving.check.recorded import NotFitting, bodies
from longtail_serving.errors import RequestRefused
from longtail_serving.sequences import check_sequence, sequences_of
from tests.serving.tiny_model import INPUTS, recorded_rows, store_model

NOW, EARLIER = "behaviors.clicks:length", "behaviors.clicks.length"


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> ModelCard:
    return store_model(tmp_path_factory.mktemp("store")).card


def earlier_card(card: ModelCard) -> ModelCard:
    inputs = [spec.model_copy(update={"name": spec.name.replace(NOW, EARLIER)}) for spec in card.inputs]
    return card.model_copy(update={"inputs": inputs})


def earlier_rows() -> list[RecordedRequest]:
    return [
        RecordedRequest.model_validate_json(row.model_dump_json(by_alias=True).replace(NOW, EARLIER))
        for row in recorded_rows(4)
    ]


@pytest.mark.parametrize("rows_are_earlier", [True, False])
@pytest.mark.parametrize("model_is_earlier", [True, False])
def test_rows_of_any_age_are_asked_of_models_of_any_age(
    card: ModelCard, rows_are_earlier: bool, model_is_earlier: bool
):
    asked = earlier_card(card) if model_is_earlier else card
    made = bodies(earlier_rows() if rows_are_earlier else recorded_rows(4), asked)
    assert not isinstance(made, NotFitting)
    expected = bodies(recorded_rows(4), card)
    assert not isinstance(expected, NotFitting)
    for body, one in zip(made, expected, strict=True):
        assert json.loads(body) == json.loads(one.decode().replace(NOW, EARLIER) if model_is_earlier else one)


def test_a_feature_called_length_is_not_taken_for_the_length(card: ModelCard):
    feature = TensorSpec(name=EARLIER, datatype="FP32", shape=[-1, -2])
    (sequence,) = sequences_of(card.model_copy(update={"inputs": [*INPUTS, feature]}))
    assert feature in sequence.columns
    assert sequence.length is not None
    assert sequence.length.name == NOW


def test_the_length_of_an_earlier_model_is_checked(card: ModelCard):
    (sequence,) = sequences_of(earlier_card(card))
    arrays = {"behaviors.clicks.item": np.zeros((1, 2)), "behaviors.clicks.price": np.zeros((1, 2))}
    with pytest.raises(RequestRefused, match=r"behaviors\.clicks\.length"):
        check_sequence(sequence, arrays | {EARLIER: np.array([3])})
