"""The training of all sub-models and the meta network (SAMD, Algorithm 1, and Eq. 11)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import torch
from torch import Tensor

from longtail_api.methods.samd import Distillation
from longtail_trainer.methods.samd.feature_distillation import layer_distances
from longtail_trainer.methods.samd.meta_network import MetaNetwork
from longtail_trainer.methods.samd.sub_models import Cycle, SubModel, cut
from longtail_trainer.models.contract import RankingModel
from longtail_trainer.running.stop import Stop
from longtail_trainer.training.checkpoint import Best, Stateful
from longtail_trainer.training.loss import LabelLosses
from longtail_trainer.training.scoring import can_judge, mean_loss
from longtail_trainer.training.seeds import epoch_seed
from longtail_trainer.training.settings import Descent


@dataclass(frozen=True)
class DistillingSettings:
    """How long, how fast, and from which seed."""

    rounds: int
    """In an epoch; a round is one batch of each scenario."""
    epochs: int
    patience: int
    batch_size: int
    learning_rate: float
    seed: int


class Distilling:
    """The program: the sub-models in turn, each by a batch of its own rows, and the meta network by all of them.

    A sub-model whose validation loss falls no more has no more turns; its best epoch's weights are kept. The meta
    network is trained until no sub-model has a turn, and keeps its last weights. Each sub-model's optimizer is its own:
    momentum would move those whose turn it isn't. The general model is never changed.
    """

    name = "distilling"
    remedy = "lower training.learningRate"

    def __init__(
        self,
        general: RankingModel,
        network: MetaNetwork,
        members: Sequence[SubModel],
        losses: LabelLosses,
        distillation: Distillation,
        settings: DistillingSettings,
    ) -> None:
        self.general = general.eval()
        self.network = network
        self.members = members
        self.losses = losses
        self._distillation = distillation
        self._settings = settings
        descent = Descent(
            learning_rate=settings.learning_rate, optimizer="adam", weight_decay=0, clip_norm=None, schedule="constant"
        )
        self._shared_optimizer = descent.build(network.parameters())
        self._optimizers = [descent.build(member.model.parameters()) for member in members]
        self._cycles = [
            Cycle(len(member.rows), settings.batch_size, epoch_seed(settings.seed, member.scenario))
            for member in members
        ]
        self.best = [Best(member.model) for member in members]
        self.epochs = settings.epochs
        self.seed = settings.seed
        self.parts: dict[str, Stateful] = {"network": network, "network-optimizer": self._shared_optimizer}
        for number, member in enumerate(members):
            self.parts |= {
                f"model-{number}": member.model,
                f"optimizer-{number}": self._optimizers[number],
                f"best-{number}": self.best[number],
            }

    def start(self, stop: Stop) -> None:
        """Whatever comes first is better than what was never trained."""
        for best in self.best:
            best.begin({"loss": math.inf})

    def train(self, epoch: int, stop: Stop) -> float:
        """Some rounds; the mean loss of their steps."""
        for member in self.members:
            member.model.train()
        first = (epoch - 1) * self._settings.rounds
        turns = self._in_turn(epoch - 1)
        total: list[Tensor] = []
        for round_ in range(first, first + self._settings.rounds):
            for number in turns:
                stop.raise_if_requested()
                total.append(self.step(number, round_))
        return float(torch.stack(total).double().mean())

    def step(self, number: int, round_: int) -> Tensor:
        """One batch of one scenario, by which its sub-model and the meta network learn; its loss (Eq. 11, as means)."""
        member = self.members[number]
        chosen = self._cycles[number].of_round(round_)
        batch = cut(member.rows, chosen, self._device)
        logits = member.model(batch)
        loss = self.losses.mean(logits, batch.labels, batch.observed, batch.weight)
        weights = self.network(member.representation, member.plug_in)
        loss = loss + (weights * self.distances(number, chosen)).sum()
        optimizers = (self._optimizers[number], self._shared_optimizer)
        for optimizer in optimizers:
            optimizer.zero_grad()
        loss.backward()
        for optimizer in optimizers:
            optimizer.step()
        return loss.detach()

    def distances(self, number: int, chosen: Tensor) -> Tensor:
        """(M_g, M_i) of the layers, over these training rows of the scenario, or the first so many of them."""
        member, how = self.members[number], self._distillation
        compared = chosen[: how.rows]
        with torch.no_grad():
            teacher = self.general.hidden(cut(member.general_rows, compared, self._device))
        student = member.model.hidden(cut(member.rows, compared, self._device))
        return layer_distances(student, teacher, how.form, how.distance)

    @torch.no_grad()
    def transfer(self, number: int) -> tuple[Tensor, Tensor]:
        """W_T of a scenario, and the distances of its layers over its first training rows, both (M_g, M_i)."""
        member = self.members[number]
        some = torch.arange(min(len(member.rows), self._distillation.rows))
        return self.network(member.representation, member.plug_in), self.distances(number, some)

    def judge(self, epoch: int, stop: Stop) -> float:
        """The mean of the validation losses of those that had turns; NaN where none of them has rows to judge by."""
        found: list[float] = []
        for number in self._in_turn(epoch - 1):
            stop.raise_if_requested()
            member, best = self.members[number], self.best[number]
            loss = mean_loss(member.model, member.validation, self.losses)
            if not can_judge(member.validation):
                best.take(epoch, {"loss": loss})
                continue
            found.append(loss)
            if loss < best.figures["loss"]:
                best.take(epoch, {"loss": loss})
        return fmean(found) if found else math.nan

    def is_over(self, epoch: int) -> bool:
        """Where no sub-model has a turn any more."""
        return not self._in_turn(epoch)

    def end(self) -> None:
        """Each sub-model's best epoch, the meta network's last."""
        for member, best in zip(self.members, self.best, strict=True):
            best.restore()
            member.model.eval()
        self.network.eval()

    @property
    def _device(self) -> torch.device:
        return next(self.network.parameters()).device

    def _in_turn(self, epoch: int) -> list[int]:
        """Who goes on after this epoch."""
        patience = self._settings.patience
        return [number for number, best in enumerate(self.best) if not best.is_stale(epoch, patience)]
