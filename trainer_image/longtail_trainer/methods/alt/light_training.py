"""Training of a light model from fresh weights, with the heavy model as its teacher (ALT III-D, Eq. 5)."""

from collections.abc import Callable

from longtail_api.methods.alt import LightTraining
from longtail_api.store_objects import Features, LightArchitecture
from longtail_trainer.data.encoded import EncodedSplit
from longtail_trainer.methods.alt.distillation import DistillationLosses
from longtail_trainer.models.alt_light.model import LightModel
from longtail_trainer.running.resume import ResumePoint
from longtail_trainer.running.stop import Stop
from longtail_trainer.training.seeds import seeded
from longtail_trainer.training.settings import TrainingSettings, minibatch
from longtail_trainer.training.supervised import TrainingOutcome, train


def fresh(features: Features, architecture: LightArchitecture, names: list[str], seed: int) -> LightModel:
    """A light model whose weights follow from the seed; torch's own state is left alone."""
    with seeded(seed):
        return LightModel(features, architecture, names)


def train_light(
    model: LightModel,
    rows: EncodedSplit,
    validation: EncodedSplit,
    losses: DistillationLosses,
    training: LightTraining,
    seed: int,
    resume: ResumePoint,
    stop: Stop,
    report: Callable[[int, float, float], None],
) -> TrainingOutcome:
    """Train in place; the weights of the epoch with the lowest validation loss stay. Both splits are taught."""
    settings = TrainingSettings(
        epochs=training.epochs,
        batch_size=minibatch(len(rows), training.batch_size),
        learning_rate=training.learning_rate,
        seed=seed,
        patience=training.patience,
    )
    return train(model, rows, validation, losses, settings, resume, stop, report)
