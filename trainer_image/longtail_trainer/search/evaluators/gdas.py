"""The differentiable search (ALT III-D, Eq. 4 to 8): bilevel, sampled by Gumbel-softmax, FLOPs in its loss."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from longtail_api.light_model_search import GdasParameters
from longtail_trainer.data.batches import Batch
from longtail_trainer.data.encoded import EncodedSplit, batches
from longtail_trainer.running.resume import ResumePoint
from longtail_trainer.running.stop import Stop
from longtail_trainer.search.budget import UNLIMITED, Budget
from longtail_trainer.search.evaluators.distribution import ArchitectureDistribution, CurrentSample
from longtail_trainer.search.spaces.picks import Picks, PickSpace
from longtail_trainer.training.checkpoint import Stateful
from longtail_trainer.training.endless import endless
from longtail_trainer.training.fit import fit
from longtail_trainer.training.loss import LabelLosses
from longtail_trainer.training.seeds import epoch_seed
from longtail_trainer.training.settings import Descent

RESUME_POINT = "search"
ARCHITECTURE_BETAS = (0.5, 0.999)
"""Adam's, for the distributions: as in GDAS, since each sample moves other logits."""


Decoded = TypeVar("Decoded")
Model = TypeVar("Model", bound=nn.Module)


class SuperModel(nn.Module, Generic[Decoded, Model]):
    """A model in which every candidate of the space is present, and the distribution over them.

    build: the model, whose searched parts use what `CurrentSample` holds in their next pass. seed: of the weights;
    torch's own state is left alone.
    """

    def __init__(self, space: PickSpace[Decoded], build: Callable[[CurrentSample], Model], seed: int = 0) -> None:
        super().__init__()
        self.current = CurrentSample()
        self.space = space
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.model = build(self.current)
        self.distribution = ArchitectureDistribution(space)

    def to_device(self, device: torch.device) -> None:
        """Move the model. The distribution stays on the CPU: there a sample is drawn without waiting for the device."""
        self.model.to(device)

    def draw(self, temperature: float, noise: torch.Generator) -> None:
        """The next pass is with an architecture drawn from the distribution."""
        sample = self.distribution.sample(temperature, noise)
        # All gates in one copy there, and one copy of their gradients back.
        gates = torch.split(torch.cat(sample.gates).to(self.device), [len(gate) for gate in sample.gates])
        self.current.value = replace(sample, gates=list(gates))

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return next(self.model.parameters()).device

    def use(self, picks: Picks) -> Model:
        """The model with this architecture and the shared weights."""
        sample = self.distribution.fixed(picks)
        self.current.value = replace(sample, gates=[gate.to(self.device) for gate in sample.gates])
        return self.model


@dataclass(frozen=True)
class GdasSettings:
    """What one search runs with. budget: decides whether FLOPs or latency is the term of the loss."""

    parameters: GdasParameters
    batch_size: int
    seed: int
    budget: Budget = UNLIMITED

    @property
    def weights(self) -> Descent:
        """Of the shared weights."""
        return Descent(learning_rate=float(self.parameters.learning_rate), schedule="constant")

    @property
    def architecture(self) -> Descent:
        """Of the distributions."""
        return Descent(
            learning_rate=float(self.parameters.architecture_learning_rate),
            optimizer="adam",
            betas=ARCHITECTURE_BETAS,
            weight_decay=0.0,
            schedule="constant",
            fused=False,  # few numbers, and a fused step would round otherwise than earlier searches did
        )

    def is_warm_up(self, epoch: int) -> bool:
        """Whether the epoch (from 1) trains weights alone."""
        return epoch <= int(self.parameters.warm_up * self.parameters.epochs)

    def temperature(self, epoch: int) -> float:
        """τ of epoch 1 … epochs: from start to end by equal factors."""
        start, end = float(self.parameters.temperature_start), float(self.parameters.temperature_end)
        share = (epoch - 1) / max(1, self.parameters.epochs - 1)
        return start * (end / start) ** share


def search(
    super_model: SuperModel[Decoded, Model],
    support: EncodedSplit,
    query: EncodedSplit,
    losses: LabelLosses,
    settings: GdasSettings,
    resume: ResumePoint,
    stop: Stop,
    after_epoch: Callable[[int, dict[str, float | str]], bool],
) -> None:
    """Learn the distribution of `super_model` in place, on its epochs' alternation of two steps.

    Weights: one gradient step on a support minibatch, with a sampled architecture (Eq. 6). Architecture: one step of
    the distributions on a query minibatch, with another sample, on loss + λ · expected cost (Eq. 4): FLOPs, or latency
    where that is the stricter limit of the budget. The splits play the paper's train and validation split; validation
    rows are never seen. The paper takes both steps from the start; here the first epochs take that of the weights alone
    (`warmUp`).

    `after_epoch(epoch, figures)` ends the search by returning true, once it is warm. After each epoch the state is
    saved: a search that is killed and resumed ends as an uninterrupted one, bit for bit. Raises as `fit` does, and
    `DataInvalid` where `query` is empty.
    """
    fit(_Bilevel(super_model, support, query, losses, settings, after_epoch), resume, stop)


class _Bilevel(Generic[Model]):
    """The program of `search`."""

    name = RESUME_POINT
    remedy = "lower learningRate or architectureLearningRate of the search"

    def __init__(
        self,
        super_model: SuperModel[Decoded, Model],
        support: EncodedSplit,
        query: EncodedSplit,
        losses: LabelLosses,
        settings: GdasSettings,
        after_epoch: Callable[[int, dict[str, float | str]], bool],
    ) -> None:
        self._super_model = super_model
        self._support, self._query = support, query
        self._losses = losses
        self._settings = settings
        self._after_epoch = after_epoch
        self._weights = settings.weights.build(super_model.model.parameters())
        self._architecture = settings.architecture.build(super_model.distribution.parameters())
        self._figures: dict[str, float | str] = {}
        self._reached = False
        self.seed = settings.seed
        self.epochs = settings.parameters.epochs
        self.parts: dict[str, Stateful] = {
            "model": super_model,
            "weights": self._weights,
            "architecture": self._architecture,
        }

    def start(self, stop: Stop) -> None:
        """There is nothing to judge."""

    def train(self, epoch: int, stop: Stop) -> float:
        """A step of the weights on each support minibatch, each followed by one of the distributions, once warm."""
        super_model, settings = self._super_model, self._settings
        temperature, warm_up = settings.temperature(epoch), settings.is_warm_up(epoch)
        seed = epoch_seed(self.seed, epoch)
        noise, support_order, query_order = (torch.Generator().manual_seed(seed + part) for part in range(3))
        support_total, query_total = (torch.zeros((), dtype=torch.float64, device=super_model.device) for _ in "sq")
        steps = 0
        super_model.train()
        query_batches = endless(self._query, settings.batch_size, query_order)
        for batch in batches(self._support, settings.batch_size, support_order):
            stop.raise_if_requested()
            super_model.draw(temperature, noise)
            loss = self._loss(batch)
            self._descend(loss, settings.weights, self._weights)
            support_total += loss.detach()
            if not warm_up:
                super_model.draw(temperature, noise)
                loss = self._loss(next(query_batches))
                self._descend(self._with_cost(loss), settings.architecture, self._architecture)
                query_total += loss.detach()
            steps += 1
        support_loss, query_loss = (float(total) / max(1, steps) for total in (support_total, query_total))
        self._figures = {
            "temperature": temperature,
            "supportLoss": support_loss,
            **({} if warm_up else {"queryLoss": query_loss}),
            **_expected(super_model.distribution),
        }
        return support_loss + query_loss  # no number where either isn't

    def judge(self, epoch: int, stop: Stop) -> dict[str, float | str]:
        """Whether it may end here is the caller's judgement."""
        self._reached = self._after_epoch(epoch, self._figures) and not self._settings.is_warm_up(epoch)
        return self._figures

    def is_over(self, epoch: int) -> bool:
        """As `after_epoch` said."""
        return self._reached

    def end(self) -> None:
        """The last epoch's distribution is the result."""

    def _loss(self, batch: Batch) -> Tensor:
        batch = batch.to(self._super_model.device)
        logits = self._super_model.model(batch)
        return self._losses.mean(logits, batch.labels, batch.observed, batch.weight)

    def _with_cost(self, loss: Tensor) -> Tensor:
        """loss + λ · expected cost (Eq. 4)."""
        weight = float(self._settings.parameters.flops_weight)
        if not weight:
            return loss
        cost = self._super_model.distribution.expected_cost(self._settings.budget)
        return loss + (weight * cost).to(self._super_model.device)

    def _descend(self, loss: Tensor, descent: Descent, optimizer: torch.optim.Optimizer) -> None:
        """One step of the parameters that `optimizer` holds."""
        self._super_model.zero_grad()
        loss.backward()
        descent.step(optimizer)


def _expected(distribution: ArchitectureDistribution) -> dict[str, float | str]:
    figures: dict[str, float | str] = {"expectedFlopsShare": float(distribution.expected_flops().detach())}
    if distribution.space.fixed_nanoseconds is not None:
        figures["expectedLatencyShare"] = float(distribution.expected_latency().detach())
    return figures | {"probabilities": json.dumps(distribution.probabilities(), separators=(",", ":"))}
