"""What is told of a training's epochs while it runs."""

from collections.abc import Callable

from longtail_trainer.running.progress import Progress

TRAINING_STARTS, TRAINING_ENDS = 0.1, 0.95
"""The share of a step's work that its epochs are taken for."""


def epoch_report(progress: Progress, epochs: int) -> Callable[[int, float, float], None]:
    """The `report` of a training: a line of metrics and the fraction done."""

    def report(epoch: int, training_loss: float, validation_loss: float) -> None:
        progress.metric(epoch=epoch, trainingLoss=training_loss, validationLoss=validation_loss)
        share = min(1.0, epoch / epochs)  # a cool-down may go on beyond
        progress.update(TRAINING_STARTS + (TRAINING_ENDS - TRAINING_STARTS) * share, f"epoch {epoch}")

    return report
