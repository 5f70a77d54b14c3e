"""Meta-training of the agnostic model from all stored data (ALT III-C, last paragraph), resumable at every round.

A round gives every scenario one episode: a copy of the agnostic model is fine-tuned on the scenario's support rows
(Eq. 1), and the gradient of its query loss, at the fine-tuned weights (the feedback of Eq. 2), is taken back to the
agnostic model; of U episodes at once, their sum (Eq. 3).
"""

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import cast

import torch
from torch import Tensor, nn

from longtail_api.store_objects import Features, Split
from longtail_trainer.data.encoded import EncodedSplit
from longtail_trainer.methods.alt.feedback import EmptyQuerySet, feedback
from longtail_trainer.running.errors import ConfigInvalid, DataInvalid
from longtail_trainer.running.ranks import ALONE, Ranks
from longtail_trainer.running.resume import ResumePoint
from longtail_trainer.running.stop import NeverStops, Stop
from longtail_trainer.training.checkpoint import Best, Stateful
from longtail_trainer.training.fit import fit
from longtail_trainer.training.loss import LabelLosses
from longtail_trainer.training.reduction import sum_in_place, summed
from longtail_trainer.training.scoring import can_judge, mean_loss
from longtail_trainer.training.seeds import epoch_seed
from longtail_trainer.training.settings import TrainingSettings
from longtail_trainer.training.supervised import train

RESUME_POINT = "meta-training"


@dataclass(frozen=True)
class Task:
    """One scenario. `load` gives the rows of a split, read anew each time, and nobody keeps them after they were used:
    so memory follows the largest scenario, however many there are."""

    scenario: str
    load: Callable[[Split], EncodedSplit]


@dataclass(frozen=True)
class MetaTrainingSettings:
    """How long, how far a step goes, and from which seed."""

    rounds: int
    patience: int
    """Rounds without a better result, after which training ends."""
    scenarios_per_step: int
    """U of Eq. 3."""
    learning_rate: float
    """η of Eq. 3."""
    clip_norm: float
    """L2 norm to which each episode's gradient is brought down."""
    seed: int
    episode_epochs: int
    episode_batch_size: int
    episode_learning_rate: float
    """γ of Eq. 1."""


@dataclass(frozen=True)
class Quality:
    """How good an agnostic model is: validation losses, averaged over scenarios, which weigh alike."""

    agnostic: float
    """Of the model as it is."""
    adapted: float
    """After an episode's fine-tuning: what the scenarios' own models are made from, hence what is to fall."""

    def betters(self, start: "Quality", best: "Quality") -> bool:
        """Whether this replaces `best`, in a training that began with `start`: it may be worse than that in nothing."""
        return self.adapted < best.adapted and self.agnostic <= start.agnostic


@dataclass(frozen=True)
class MetaTrainingOutcome:
    """What training came to; the model holds the weights of `best_round` (0: those at the start)."""

    rounds: int
    best_round: int
    start: Quality
    best: Quality


def meta_train(
    model: nn.Module,
    tasks: Sequence[Task],
    losses: LabelLosses,
    settings: MetaTrainingSettings,
    origin: str,
    resume: ResumePoint,
    stop: Stop,
    report: Callable[[int, float, Quality], None] = lambda round_, query_loss, quality: None,
    ranks: Ranks = ALONE,
) -> MetaTrainingOutcome:
    """Train `model` in place; it ends with the best round's weights, or those at the start where none is better.

    `origin` names weights and data that this starts from: what was saved from others is ignored.
    `report(round, mean query loss of its episodes, quality)` is called after each round. Random choices follow from
    the seed, the round and the scenario alone, so what is killed and resumed ends bit for bit as it would have. Several
    ranks share the episodes of a step, and the scenarios that a result is judged by.
    Raises `DataInvalid` where no scenario has query rows, or none has validation rows, and `ConfigInvalid`
    (TrainingDiverged).
    """
    program = _Episodes(model, tasks, losses, settings, ranks)
    rounds = fit(program, resume, stop, report, origin, ranks)
    best = program.best
    return MetaTrainingOutcome(rounds, best.epoch, Quality(**best.start), Quality(**best.figures))


class _Episodes:
    """The program of `meta_train`; an epoch is a round."""

    name = RESUME_POINT
    remedy = "lower training.fineTuneLearningRate"

    def __init__(
        self,
        model: nn.Module,
        tasks: Sequence[Task],
        losses: LabelLosses,
        settings: MetaTrainingSettings,
        ranks: Ranks,
    ) -> None:
        self._model = model
        self._tasks = tasks
        self._ranks = ranks
        self._judging = [task for task in tasks if can_judge(task.load("validation"))]
        if not self._judging:
            raise DataInvalid("no scenario has validation rows to judge the result by; set split.validation above 0")
        self._losses = losses
        self._settings = settings
        self._learner = Learner(model, losses, settings)
        self.best = Best(model)
        self.seed = settings.seed
        self.epochs = settings.rounds
        self.parts: dict[str, Stateful] = {"model": model, "best": self.best}

    def start(self, stop: Stop) -> None:
        """What the rounds' results must be better than."""
        self.best.begin(asdict(self._measured(stop)))

    def train(self, epoch: int, stop: Stop) -> float:
        """An episode of every scenario, in random order; the mean of their query losses."""
        shuffle = torch.Generator().manual_seed(epoch_seed(self.seed, epoch))
        order = cast(list[int], torch.randperm(len(self._tasks), generator=shuffle).tolist())
        together = self._settings.scenarios_per_step
        query_losses: list[float] = []
        for first in range(0, len(order), together):
            stop.raise_if_requested()
            tasks = [self._tasks[index] for index in order[first : first + together]]
            query_losses += self._step(tasks, epoch, stop)
        mean = self._mean(query_losses)
        if mean is None:
            raise EmptyQuerySet("no scenario has a query row with an observed label; raise queryShare, or add samples")
        return mean

    def judge(self, epoch: int, stop: Stop) -> Quality:
        """On all scenarios' validation rows."""
        quality = self._measured(stop)
        if quality.betters(Quality(**self.best.start), Quality(**self.best.figures)):
            self.best.take(epoch, asdict(quality))
        return quality

    def is_over(self, epoch: int) -> bool:
        """Where patience is at its end."""
        return self.best.is_stale(epoch, self._settings.patience)

    def end(self) -> None:
        """The best round's weights, in evaluation mode."""
        self.best.restore()
        self._model.eval()

    def _step(self, tasks: Sequence[Task], round_: int, stop: Stop) -> list[float]:
        """One step along the sum of their feedback (Eq. 3); the query losses of this rank's that have query rows."""
        total = {name: torch.zeros_like(parameter) for name, parameter in self._model.named_parameters()}
        query_losses: list[float] = []
        for task in self._own(tasks):
            adapted = self._learner.fine_tuned(task, round_, self._within(stop))
            try:
                found = feedback(adapted, task.load("query"), self._losses)
            except EmptyQuerySet:
                continue  # it is judged by, and teaches nothing
            query_losses.append(found.loss)
            scale = _clip_scale(found.gradients, self._settings.clip_norm, task.scenario)
            for name, gradient in found.gradients.items():
                total[name] += scale * gradient
        with torch.no_grad():
            sum_in_place(total.values(), self._ranks)
            for name, parameter in self._model.named_parameters():
                parameter -= self._settings.learning_rate * total[name]
        return query_losses

    def _measured(self, stop: Stop) -> Quality:
        """The fine-tunings have the same seeds in every round, so that rounds can be compared."""
        stop.raise_if_requested()
        both = [self._judged(task, stop) for task in self._own(self._judging)]
        agnostic, adapted = self._mean([one.agnostic for one in both]), self._mean([one.adapted for one in both])
        assert agnostic is not None, "there is a scenario to judge by"
        assert adapted is not None, "there is a scenario to judge by"
        return Quality(agnostic, adapted)

    def _own(self, tasks: Sequence[Task]) -> Sequence[Task]:
        """This rank's share."""
        return tasks[self._ranks.rank :: self._ranks.world]

    def _mean(self, own: Sequence[float]) -> float | None:
        """Of all ranks' figures; None where there is none."""
        if self._ranks.world == 1:
            return fmean(own) if own else None
        total, count = summed(torch.tensor([sum(own), len(own)], dtype=torch.float64), self._ranks)
        return float(total / count) if count > 0 else None

    def _within(self, stop: Stop) -> Stop:
        """What an episode asks. Ranks have episodes of different lengths, and can agree only between them."""
        return stop if self._ranks.world == 1 else NeverStops()

    def _judged(self, task: Task, stop: Stop) -> Quality:
        """On one scenario's validation rows."""
        validation = task.load("validation")
        agnostic = mean_loss(self._model, validation, self._losses)
        return Quality(
            agnostic, mean_loss(self._learner.fine_tuned(task, 0, self._within(stop)), validation, self._losses)
        )


class Learner:
    """Fine-tunes copies of `model`, one at a time, and leaves it as it is."""

    def __init__(self, model: nn.Module, losses: LabelLosses, settings: MetaTrainingSettings) -> None:
        self._model = model
        self._losses = losses
        self._settings = settings
        self._twin = twin_of(model)

    def fine_tuned(self, task: Task, round_: int, stop: Stop) -> nn.Module:
        """θu: the model's weights of now, fine-tuned on the task's support rows (Eq. 1) for a fixed number of epochs.

        No epoch is chosen by validation rows: those judge what is returned, which the next call overwrites. Random
        choices follow from the round and the scenario.
        """
        self._twin.load_state_dict(self._model.state_dict())
        support = task.load("support")
        if len(support):
            inner = TrainingSettings(
                epochs=self._settings.episode_epochs,
                patience=None,
                batch_size=self._settings.episode_batch_size,
                learning_rate=self._settings.episode_learning_rate,
                seed=epoch_seed(self._settings.seed, f"{round_}:{task.scenario}"),
            )
            train(self._twin, support, None, self._losses, inner, None, stop)
        return self._twin


def twin_of(model: nn.Module) -> nn.Module:
    """Another module with weights of its own. Features are shared: their vocabularies may outweigh the weights."""
    features = [value for module in model.modules() for value in vars(module).values() if isinstance(value, Features)]
    return copy.deepcopy(model, {id(one): one for one in features})


def _clip_scale(gradients: dict[str, Tensor], clip_norm: float, scenario: str) -> float:
    """The factor that brings the gradient of all parameters to the clip norm; 1 where it is not above."""
    norm = math.sqrt(sum(float(one.double().square().sum()) for one in gradients.values()))
    if not math.isfinite(norm):
        raise ConfigInvalid(
            f"the query gradient of {scenario} is not finite; lower training.fineTuneLearningRate",
            reason="TrainingDiverged",
        )
    return 1.0 if norm <= clip_norm else clip_norm / norm
