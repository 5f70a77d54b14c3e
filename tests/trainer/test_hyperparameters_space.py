"""The space of the pre-designed heavy model: the paper's values, and what a wrong space is told."""

from decimal import Decimal

import optuna
import pytest
from optuna.trial import FixedTrial

from longtail_api.architecture import Architecture, Training
from longtail_trainer.running.errors import ConfigInvalid
from longtail_trainer.search.spaces.fields import PAPER_SPACE, Candidate, Choices, Decimals, Integers, Space

BASE = Candidate(Architecture(embedding_size=5), Training(epochs=3))


def test_the_default_is_the_papers_figure_3():
    candidate = PAPER_SPACE.suggest(
        FixedTrial(
            {
                "training.learning_rate": "0.0001",
                "architecture.profile_layers": "128,32",
                "architecture.behavior_layers": "4",
                "architecture.prediction_layers": "256,16",
            }
        ),
        BASE,
    )
    assert candidate.training == Training(epochs=3, learning_rate=Decimal("0.0001"))
    assert candidate.architecture == Architecture(
        embedding_size=5, profile_layers=[128, 32], behavior_layers=4, prediction_layers=[256, 16]
    )


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_the_default_has_the_papers_36_candidates():
    study = optuna.create_study(sampler=optuna.samplers.BruteForceSampler())
    seen: list[Candidate] = []

    def objective(trial: optuna.Trial) -> float:
        seen.append(PAPER_SPACE.suggest(trial, BASE))
        return 0.0

    study.optimize(objective)
    assert len(seen) == PAPER_SPACE.size == 36
    assert all(one != other for number, one in enumerate(seen) for other in seen[:number])


def test_ranges_give_whole_and_decimal_numbers_within_them():
    space = Space(
        [
            Integers("training", "batch_size", 32, 128, step=32),
            Decimals("architecture", "dropout", Decimal("0.05"), Decimal("0.3")),
        ]
    )
    assert space.size is None
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(0))
    found = [space.suggest(study.ask(), BASE) for _ in range(50)]
    assert {one.training.batch_size for one in found} == {32, 64, 96, 128}
    assert all(Decimal("0.05") <= one.architecture.dropout <= Decimal("0.3") for one in found)


@pytest.mark.parametrize(
    ("hyperparameters", "message"),
    [
        ([], "the hyper-parameter space is empty"),
        ([Choices("architecture", "layers", [2])], r"architecture\.layers: there is no such field; choose of .*"),
        ([Choices("training", "epochs", [2]), Choices("training", "epochs", [3])], r"training\.epochs: is named twice"),
        ([Choices("training", "epochs", [])], r"training\.epochs: has no value"),
        ([Choices("training", "epochs", [2, 2])], r"training\.epochs: a value stands there twice"),
        ([Integers("training", "epochs", 3, 2)], r"training\.epochs: has no value"),
    ],
)  # fmt: skip
def test_a_space_that_makes_no_sense_is_refused_by_field(hyperparameters, message):
    with pytest.raises(ConfigInvalid, match=message):
        Space(hyperparameters)


def test_values_that_do_not_go_together_are_named():
    space = Space([Choices("architecture", "behavior_heads", [3]), Choices("architecture", "behavior_width", [8])])
    trial = FixedTrial({"architecture.behavior_heads": "3", "architecture.behavior_width": "8"})
    with pytest.raises(ConfigInvalid, match=r"behavior_heads 3, behavior_width 8.*divisible by behaviorHeads"):
        space.suggest(trial, BASE)
