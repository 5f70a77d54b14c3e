"""The search of the pre-designed heavy model, by training each candidate (ALT III-B)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Literal

import torch

from longtail_api.store_objects import Features, LightArchitecture
from longtail_trainer.data.encoded import EncodedSplit, concatenate
from longtail_trainer.methods.alt.fresh import fresh_heavy, pooled_training
from longtail_trainer.methods.alt.initialization.pre_designed import PreDesigned
from longtail_trainer.models.alt_heavy.sequence_layers import SEARCHED
from longtail_trainer.models.contract import RankingModel
from longtail_trainer.running.errors import DataInvalid
from longtail_trainer.running.resume import ResumePoint
from longtail_trainer.running.stop import Stop
from longtail_trainer.search.driver import Direction, Limits, Result, search
from longtail_trainer.search.journal import ResumeJournal, TrialAttempts
from longtail_trainer.search.spaces.fields import FieldSpace
from longtail_trainer.search.trial import Report, TrialRecord
from longtail_trainer.training.evaluation import evaluate, primary_metric
from longtail_trainer.training.loss import LabelLosses
from longtail_trainer.training.scoring import predict
from longtail_trainer.training.supervised import train

CPU = torch.device("cpu")


def best_architecture(
    features: Features,
    encoder: str,
    space: FieldSpace[PreDesigned],
    training: EncodedSplit,
    validations: Sequence[EncodedSplit],
    *,
    algorithm: str = "racos",
    limits: Limits | None = None,
    seed: int = 0,
    device: torch.device = CPU,
    resume: ResumePoint | None = None,
    stop: Stop | None = None,
    on_trial: Callable[[TrialRecord], None] = lambda record: None,
) -> Result[PreDesigned]:
    """The candidate whose model, trained on `training`, has the best figure on validation rows.

    `validations`: the validation rows of each scenario of the pool. The figure is the average over scenarios of the
    first label's AUC (RMSE of a regression: lower is better), over those where it can be estimated. The first
    trial is the space's base itself, whose values join those that are tried: what is found is never worse by the
    figure than what was given. The best model's weights aren't kept: train it from `result.found`.

    Raises `DataInvalid` where the figure can be estimated on no scenario, `Terminated` where `stop` says so (what was
    tried is in `resume` by then), and what `search` raises.
    """
    objective = HeavyObjective(features, encoder, training, validations, seed, device)
    objective.check()
    space = space.with_base()
    return search(
        objective,
        space,
        algorithm,
        limits,
        first=[space.encode(space.base)],
        direction=objective.direction,
        seed=seed,
        journal=None if resume is None else ResumeJournal(resume),
        attempts=None if resume is None else TrialAttempts(resume),
        stop=stop,
        on_trial=on_trial,
    )


@dataclass(frozen=True)
class HeavyObjective:
    """Trains a heavy model as `initialize` does; its figure on validation rows."""

    features: Features
    encoder: str
    training: EncodedSplit
    validations: Sequence[EncodedSplit]
    seed: int = 0
    device: torch.device = CPU
    cell: LightArchitecture | None = None
    resume: ResumePoint | None = None
    """Of a training; None: what is interrupted starts over."""

    def of_cell(self, cell: LightArchitecture, resume: ResumePoint) -> "HeavyObjective":
        """The same with searched layers in the behavior encoders; a single training, which resumes at every epoch."""
        return replace(self, encoder=SEARCHED, cell=cell, resume=resume)

    @property
    def figure(self) -> Literal["auc", "rmse"]:
        """Name of the figure."""
        return "auc" if primary_metric(self.features.data_schema) == "auc" else "rmse"

    @property
    def direction(self) -> Direction:
        """Where better figures are."""
        return "maximize" if self.figure == "auc" else "minimize"

    def check(self) -> None:
        """Raise `DataInvalid` where no scenario's validation rows allow a figure."""
        labels = len(self.features.data_schema.labels)
        if all(self._figure(torch.zeros(len(split), labels), split) is None for split in self.validations):
            raise DataInvalid(
                f"no scenario of the pool has validation rows on which {self.figure} can "
                "be estimated, so candidates can't be compared; raise the share of validation rows, or search nothing"
            )

    def __call__(self, candidate: PreDesigned, report: Report) -> float:
        """Train, reporting the figure after each epoch; the figure of the epoch whose validation loss is lowest."""
        seed = self.seed + candidate.training.seed
        model = fresh_heavy(self.features, self.encoder, candidate.architecture, self.cell, seed, self.device)
        train(
            model,
            self.training,
            concatenate(self.validations),
            LabelLosses.of(self.features.data_schema),
            pooled_training(candidate.training, seed),
            self.resume,
            report,
            lambda epoch, training_loss, validation_loss: report(epoch, self._average(model)),
        )
        return self._average(model)

    def _average(self, model: RankingModel) -> float:
        figures = [self._figure(predict(model, split), split) for split in self.validations]
        return fmean(figure for figure in figures if figure is not None)

    def _figure(self, logits: torch.Tensor, split: EncodedSplit) -> float | None:
        return evaluate(logits, split, self.features)[self.figure].value
