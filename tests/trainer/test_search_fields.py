"""The space of the pre-designed heavy model: the paper's values, and what a wrong space is told."""

from decimal import Decimal

import optuna
import pytest

from longtail_api.architecture import Architecture, Training
from longtail_api.initialization_search import HyperparameterSpace
from longtail_trainer.methods.alt.initialization.pre_designed import PreDesigned, space_of
from longtail_trainer.running.errors import ConfigInvalid
from longtail_trainer.search.spaces.decisions import Choice, Decimals, Integers
from longtail_trainer.search.spaces.fields import FieldSpace

BASE = PreDesigned(architecture=Architecture(embedding_size=5), training=Training(epochs=3))
PAPER_SPACE = space_of(HyperparameterSpace(), BASE)


def a_space(*decisions: Choice | Integers | Decimals) -> FieldSpace[PreDesigned]:
    return FieldSpace(decisions=decisions, base=BASE)


def test_the_default_is_the_papers_figure_3():
    point = PAPER_SPACE.point_of(
        {
            "training.learning_rate": "0.0001",
            "architecture.profile_layers": "128,32",
            "architecture.behavior_layers": "4",
            "architecture.prediction_layers": "256,16",
        }
    )
    candidate = PAPER_SPACE.decode(point)
    assert PAPER_SPACE.encode(candidate) == point
    assert candidate.training == Training(epochs=3, learning_rate=Decimal("0.0001"))
    assert candidate.architecture == Architecture(
        embedding_size=5, profile_layers=[128, 32], behavior_layers=4, prediction_layers=[256, 16]
    )


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_the_default_has_the_papers_36_candidates():
    study = optuna.create_study(sampler=optuna.samplers.BruteForceSampler())
    seen: list[PreDesigned] = []

    def objective(trial: optuna.Trial) -> float:
        seen.append(PAPER_SPACE.decode(PAPER_SPACE.suggest(trial)))
        return 0.0

    study.optimize(objective)
    assert len(seen) == PAPER_SPACE.size == 36
    assert all(one != other for number, one in enumerate(seen) for other in seen[:number])


def test_ranges_give_whole_and_decimal_numbers_within_them():
    space = a_space(
        Integers("training.batch_size", 32, 128, step=32),
        Decimals("architecture.dropout", Decimal("0.05"), Decimal("0.3")),
    )
    assert space.size is None
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(0))
    found = [space.decode(space.suggest(study.ask())) for _ in range(50)]
    assert {one.training.batch_size for one in found} == {32, 64, 96, 128}
    assert all(Decimal("0.05") <= one.architecture.dropout <= Decimal("0.3") for one in found)


@pytest.mark.parametrize(
    ("decisions", "message"),
    [
        ([], "the search space is empty"),
        ([Choice("architecture.layers", (2,))], r"architecture\.layers: there is no such field; choose of .*"),
        ([Choice("layers", (2,))], r"layers: there is no such field; choose of .*training\.epochs"),
        ([Choice("training.epochs", (2,)), Choice("training.epochs", (3,))], r"training\.epochs: is named twice"),
        ([Choice("training.epochs", ())], r"training\.epochs: has no value"),
        ([Choice("training.epochs", (2, 2))], r"training\.epochs: a value stands there twice"),
        ([Integers("training.epochs", 3, 2)], r"training\.epochs: has no value"),
    ],
)  # fmt: skip
def test_a_space_that_makes_no_sense_is_refused_by_field(decisions, message):
    with pytest.raises(ConfigInvalid, match=message):
        a_space(*decisions)


def test_values_that_do_not_go_together_are_named():
    space = a_space(Choice("architecture.behavior_heads", (3,)), Choice("architecture.behavior_width", (8,)))
    with pytest.raises(ConfigInvalid, match=r"behavior_heads 3, behavior_width 8.*divisible by behaviorHeads"):
        space.decode({"architecture.behavior_heads": 3, "architecture.behavior_width": 8})


def test_values_of_the_spec_that_are_none_of_the_spaces_join_it():
    own = a_space(
        Choice("architecture.embedding_size", (2, 4)),
        Choice("architecture.profile_layers", ([8], [64, 32])),
        Integers("training.epochs", 8, 20, step=4),
        Decimals("training.learning_rate", Decimal("0.01"), Decimal("0.1")),
    )
    with pytest.raises(ConfigInvalid, match=r"architecture\.embedding_size: has no value 5; add it"):
        own.encode(BASE)
    grown = own.with_base()
    assert grown.decode(grown.encode(BASE)) == BASE
    sizes, lists, epochs, rates = grown.decisions
    assert (sizes.options, lists.options) == ((2, 4, 5), ([8], [64, 32]))
    assert (epochs.low, epochs.high, epochs.step) == (3, 20, 1)
    assert (rates.low, rates.high) == (BASE.training.learning_rate, Decimal("0.1"))
    assert grown.with_base() == grown
