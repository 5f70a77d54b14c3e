"""Training of one model on one split, judged by another: gradient descent on minibatches with early stopping."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor, nn

from longtail_trainer.data.batches import Batch
from longtail_trainer.data.encoded import EncodedSplit
from longtail_trainer.running.ranks import ALONE, Ranks
from longtail_trainer.running.resume import ResumePoint
from longtail_trainer.running.stop import Stop
from longtail_trainer.training.checkpoint import Best, Stateful
from longtail_trainer.training.cool_down import CoolDown
from longtail_trainer.training.device import source_near
from longtail_trainer.training.fit import fit
from longtail_trainer.training.loss import LabelLosses
from longtail_trainer.training.reduction import sum_gradients, summed
from longtail_trainer.training.scoring import can_judge, mean_loss
from longtail_trainer.training.seeds import epoch_seed
from longtail_trainer.training.settings import TrainingSettings

RESUME_POINT = "training"


@dataclass(frozen=True)
class TrainingOutcome:
    """What training came to; the model holds the weights of `best_epoch` (0: those at the start).

    Those of a cool-down count on where training had ended.
    """

    epochs: int
    best_epoch: int
    best_loss: float
    """On validation rows; NaN where there are none to judge by."""


def train(
    model: nn.Module,
    training: EncodedSplit,
    validation: EncodedSplit | None,
    losses: LabelLosses,
    settings: TrainingSettings,
    resume: ResumePoint | None,
    stop: Stop,
    report: Callable[[int, float, float], None] = lambda epoch, training_loss, validation_loss: None,
    ranks: Ranks = ALONE,
) -> TrainingOutcome:
    """Train `model` in place; it ends with the weights of the epoch whose validation loss is lowest.

    Where no validation row has a label, nothing can be judged: the last epoch's weights are kept, or, with
    `keep_start`, those at the start, and no epoch is run. `report(epoch, training loss, validation loss)` is called
    after each epoch. Resumes, and raises, as `fit` does. Several ranks, of the same weights and rows, take their shares
    of the same batches, and step along the sum of their gradients: that of the whole batch.
    """
    program = Supervised(model, training, validation, losses, settings, ranks)
    epochs = fit(program, resume, stop, report, ranks=ranks)
    return TrainingOutcome(epochs, program.best.epoch, program.best.figures["loss"])


class Supervised:
    """The program of `train`."""

    name = RESUME_POINT
    remedy = "lower the learning rate under training"

    def __init__(
        self,
        model: nn.Module,
        training: EncodedSplit,
        validation: EncodedSplit | None,
        losses: LabelLosses,
        settings: TrainingSettings,
        ranks: Ranks = ALONE,
    ) -> None:
        self._model = model
        self._training = source_near(training, next(model.parameters()).device)
        self._ranks = ranks
        self._validation = validation if can_judge(validation) else None
        self._losses = losses
        self._settings = settings
        self._optimizer = settings.build(model.parameters())
        self.best = Best(model)
        self.seed = settings.seed
        self._planned = settings.epochs_over(len(training))
        self._cool_down = CoolDown()
        self.parts: dict[str, Stateful] = {
            "model": model,
            "optimizer": self._optimizer,
            "best": self.best,
            "cool-down": self._cool_down,
        }

    @property
    def epochs(self) -> int:
        """Those planned; once it has begun, until the end of the cool-down."""
        return self._cool_down.end if self._cool_down.begun else self._planned

    def start(self, stop: Stop) -> None:
        """With `keep_start`, the weights at the start compete; else whatever comes first is better."""
        self.best.begin({"loss": self._validation_loss() if self._settings.keep_start else math.inf})

    def train(self, epoch: int, stop: Stop) -> float:
        """One pass over shuffled minibatches; the mean of their losses."""
        model, settings, ranks = self._model, self._settings, self._ranks
        parameter = next(model.parameters())
        self._set_pace(epoch)
        model.train()
        if ranks.world > 1:  # each has rows of its own, and drops out other units of them
            torch.manual_seed(epoch_seed(self.seed, f"{epoch} of rank {ranks.rank}"))
        # Read once an epoch: to read a loss is to wait for the device.
        total = torch.zeros((), dtype=torch.float64, device=parameter.device)
        count = 0
        shuffle = torch.Generator().manual_seed(epoch_seed(self.seed, epoch))
        steps = settings.steps_in(1 if self._cool_down.begun else epoch, len(self._training))
        for batch in islice(self._training.epoch(shuffle, settings.batch_size, ranks.rank, ranks.world), steps):
            stop.raise_if_requested()
            batch = batch.to(parameter.device, parameter.dtype)
            self._optimizer.zero_grad()
            loss = self._loss(batch)
            loss.backward()
            sum_gradients(model.parameters(), ranks)
            settings.step(self._optimizer)
            total += loss.detach()
            count += 1
        return float(summed(total, ranks)) / max(1, count)

    def judge(self, epoch: int, stop: Stop) -> float:
        """The validation loss; NaN where there is none to be had, and then the last epoch counts."""
        loss = self._validation_loss()
        if self._validation is None or loss < self.best.figures["loss"]:
            self.best.take(epoch, {"loss": loss})
        if self._settings.cool_down and not self._cool_down.begun and self.best.epoch and self._is_early(epoch):
            self._cool_down.begin(epoch, self.best.epoch)
        return loss

    def is_over(self, epoch: int) -> bool:
        """After the last epoch that is wanted, and where patience is at its end and no cool-down follows.

        From the start, where that is kept unless something is shown to be better, and no validation row can show it.
        """
        if self._settings.keep_start and self._validation is None:
            return True
        if epoch == self._settings.last_epoch:
            return True
        if self._cool_down.begun:
            return epoch >= self._cool_down.end
        return self.best.is_stale(epoch, self._settings.patience)

    def end(self) -> None:
        """The best epoch's weights, in evaluation mode."""
        self.best.restore()
        self._model.eval()

    def _is_early(self, epoch: int) -> bool:
        return epoch < self._planned and self.best.is_stale(epoch, self._settings.patience)

    def _set_pace(self, epoch: int) -> None:
        """This epoch's rate. A cool-down begins at the best weights, and remembers no gradient of those after."""
        cool_down, settings = self._cool_down, self._settings
        if not cool_down.begun:
            settings.set_rate(self._optimizer, epoch, self._planned)
            return
        if epoch == cool_down.after + 1:
            self.best.restore()
            self._optimizer.state.clear()
        share = cool_down.share(epoch, settings.final_share)
        settings.set_rate(self._optimizer, cool_down.best, self._planned, share)

    def _loss(self, batch: Batch) -> Tensor:
        """Of one process the loss of its batch, of several this one's part of the loss of them all."""
        logits = self._model(batch)
        if self._ranks.world == 1:
            return self._losses.mean(logits, batch.labels, batch.observed, batch.weight)
        totals = summed(self._losses.totals(batch.observed, batch.weight), self._ranks)
        return self._losses.part_of_mean(logits, batch.labels, batch.observed, batch.weight, totals)

    def _validation_loss(self) -> float:
        return math.nan if self._validation is None else mean_loss(self._model, self._validation, self._losses)
