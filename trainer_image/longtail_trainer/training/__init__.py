"""Training of the heavy model: loss, epochs, and the feedback of a scenario run."""

from longtail_trainer.training.feedback import EmptyQuerySet, Feedback, feedback
from longtail_trainer.training.loop import TrainingOutcome, TrainingSettings, train
from longtail_trainer.training.loss import LabelLosses, mean_loss

__all__ = [
    "EmptyQuerySet",
    "Feedback",
    "LabelLosses",
    "TrainingOutcome",
    "TrainingSettings",
    "feedback",
    "mean_loss",
    "train",
]
