"""Judging a candidate by a short training of its own."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Generic

from longtail_api.store_objects import Features, Metric
from longtail_trainer.data.encoded import EncodedSplit
from longtail_trainer.models.contract import RankingModel
from longtail_trainer.search.spaces.space import Decoded
from longtail_trainer.search.trial import Judgement, Report
from longtail_trainer.training.evaluation import evaluate
from longtail_trainer.training.loss import LabelLosses
from longtail_trainer.training.scoring import predict
from longtail_trainer.training.settings import TrainingSettings
from longtail_trainer.training.supervised import train


@dataclass(frozen=True)
class ShortTraining(Generic[Decoded]):
    """Trains a candidate's model from fresh weights; its figures on validation rows, which no gradient sees.

    build: the model of a candidate, with weights that follow from a seed, on the device where it is to be trained.
    rows: that it learns from. stopping: rows whose loss decides which epoch counts. goodness: of the figures, the one
    that is compared, so that more is better. A trial's seed is that of the settings and its number.
    """

    build: Callable[[Decoded, int], RankingModel]
    rows: EncodedSplit
    stopping: EncodedSplit
    validation: EncodedSplit
    features: Features
    losses: LabelLosses
    settings: TrainingSettings
    goodness: Callable[[Mapping[str, Metric]], float]

    def __call__(self, candidate: Decoded, report: Report) -> Judgement:
        settings = replace(self.settings, seed=self.settings.seed + report.number)
        model = self.build(candidate, settings.seed)
        train(model, self.rows, self.stopping, self.losses, settings, None, report)
        figures = evaluate(predict(model, self.validation), self.validation, self.features)
        return Judgement(self.goodness(figures), figures)
