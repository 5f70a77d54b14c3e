"""How a heavy model begins: fresh weights of a seed, and the settings of its pooled training."""

import torch

from longtail_api.architecture import Architecture, Training
from longtail_api.store_objects import AltHeavy, Features, LightArchitecture
from longtail_trainer.models.contract import RankingModel
from longtail_trainer.models.registry import family
from longtail_trainer.training.seeds import seeded
from longtail_trainer.training.settings import TrainingSettings


def fresh_heavy(
    features: Features,
    encoder: str,
    architecture: Architecture,
    cell: LightArchitecture | None,
    seed: int,
    device: torch.device,
) -> RankingModel:
    """A heavy model on the device, whose weights follow from the seed; torch's own state is left alone."""
    spec = AltHeavy.model_validate({"encoder": encoder, "architecture": architecture, "cell": cell})
    with seeded(seed):
        model = family(spec.family).build(spec, features)
    return model.to(device)


def pooled_training(training: Training, seed: int) -> TrainingSettings:
    """Of the first version, and of every candidate for it."""
    return TrainingSettings(
        epochs=training.epochs,
        batch_size=training.batch_size,
        learning_rate=float(training.learning_rate),
        seed=seed,
        cool_down=True,
    )
