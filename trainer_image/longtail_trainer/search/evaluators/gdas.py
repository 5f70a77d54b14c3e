"""The differentiable search (ALT III-D, Eq. 4 to 8): bilevel, sampled by Gumbel-softmax, FLOPs in its loss."""

import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from torch import nn

from longtail_api.light_model_search import GdasParameters, SearchSpace
from longtail_api.store_objects import Features
from longtail_trainer.data.batches import Batch
from longtail_trainer.data.encoded import EncodedSplit, batches
from longtail_trainer.models.alt_light.model import LightModel
from longtail_trainer.running.resume import ResumePoint
from longtail_trainer.running.stop import Stop
from longtail_trainer.search.budget import UNLIMITED, Budget
from longtail_trainer.search.evaluators.distribution import ArchitectureDistribution
from longtail_trainer.search.evaluators.super_cell import CurrentSample, SuperCell
from longtail_trainer.search.spaces.alt_cell import CellSpace, any_architecture, space_of
from longtail_trainer.search.spaces.picks import Picks
from longtail_trainer.training.loop import CLIP_NORM, WEIGHT_DECAY, epoch_seed
from longtail_trainer.training.loss import LabelLosses

RESUME_POINT = "search"
ARCHITECTURE_BETAS = (0.5, 0.999)
"""Adam's, for the distributions: as in GDAS, since each sample moves other logits."""


Model = TypeVar("Model", bound=nn.Module)


class SuperModel(nn.Module, Generic[Model]):
    """A model in which every architecture of the space is present, and the distribution over them.

    build: the model round the cells that it is given, one for each sequence, by its length; with any architecture of
    the space (`any_architecture`). seed: of the weights; torch's own state is left alone.
    """

    def __init__(self, space: CellSpace, build: Callable[[Callable[[int], nn.Module]], Model], seed: int = 0) -> None:
        super().__init__()
        self.current = CurrentSample()
        self.space = space
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.model = build(lambda length: SuperCell(space, length, self.current))
        self.distribution = ArchitectureDistribution(space)

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    def use(self, picks: Picks) -> Model:
        """The model with this architecture and the shared weights."""
        self.current.value = self.distribution.fixed(picks)
        return self.model


def light_super_model(
    features: Features, spec: SearchSpace, names: Sequence[str] = (), seed: int = 0, space: CellSpace | None = None
) -> SuperModel[LightModel]:
    """Of light models. names: the features they may read (see `light_columns`). space: theirs, where it has more."""
    space = space or space_of(features, spec, names)
    any_of_it = any_architecture(space.width, space.layers, space.heads, spec.operations[0])
    return SuperModel(space, lambda cell: LightModel(features, any_of_it, names, cell), seed)


@dataclass(frozen=True)
class GdasSettings:
    """What one search runs with. budget: decides whether FLOPs or latency is the term of the loss."""

    parameters: GdasParameters
    batch_size: int
    seed: int
    budget: Budget = UNLIMITED

    def is_warm_up(self, epoch: int) -> bool:
        """Whether the epoch (from 1) trains weights alone."""
        return epoch <= int(self.parameters.warm_up * self.parameters.epochs)

    def temperature(self, epoch: int) -> float:
        """τ of epoch 1 … epochs: from start to end by equal factors."""
        start, end = float(self.parameters.temperature_start), float(self.parameters.temperature_end)
        share = (epoch - 1) / max(1, self.parameters.epochs - 1)
        return start * (end / start) ** share


def search(
    super_model: SuperModel[Model],
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
    where that is the stricter limit of the budget. The splits play the paper's train and validation split (`query`
    must not be empty); validation rows are never seen. The paper takes both steps from the start; here the first
    epochs take that of the weights alone (`warmUp`).

    `after_epoch(epoch, figures)` ends the search by returning true, once it is warm. After each epoch the state is
    saved: a search that is killed and resumed ends as an uninterrupted one, bit for bit.
    """
    weights = torch.optim.AdamW(
        super_model.model.parameters(),
        lr=float(settings.parameters.learning_rate),
        weight_decay=WEIGHT_DECAY,
        fused=True,
    )
    architecture = torch.optim.Adam(
        super_model.distribution.parameters(),
        lr=float(settings.parameters.architecture_learning_rate),
        betas=ARCHITECTURE_BETAS,
    )
    optimizers: dict[str, torch.optim.Optimizer] = {"weights": weights, "architecture": architecture}
    epoch, done = _resumed(super_model, optimizers, resume)
    while epoch < settings.parameters.epochs and not done:
        epoch += 1
        figures = _epoch(super_model, weights, architecture, support, query, losses, settings, epoch, stop)
        done = after_epoch(epoch, figures) and not settings.is_warm_up(epoch)
        resume.save(RESUME_POINT, _serialized(epoch, done, super_model, optimizers))
        stop.raise_if_requested()


def _epoch(
    super_model: SuperModel[Model],
    weights: torch.optim.Optimizer,
    architecture: torch.optim.Optimizer,
    support: EncodedSplit,
    query: EncodedSplit,
    losses: LabelLosses,
    settings: GdasSettings,
    epoch: int,
    stop: Stop,
) -> dict[str, float | str]:
    model, distribution = super_model.model, super_model.distribution
    temperature, warm_up = settings.temperature(epoch), settings.is_warm_up(epoch)
    penalty = _Penalty(float(settings.parameters.flops_weight), settings.budget)
    seed = epoch_seed(settings.seed, epoch)
    noise, support_order, query_order = (torch.Generator().manual_seed(seed + part) for part in range(3))
    support_total = query_total = 0.0
    steps = 0
    model.train()
    with torch.random.fork_rng():
        torch.manual_seed(seed)  # dropout
        query_batches = _endless(query, settings.batch_size, query_order)
        for batch in batches(support, settings.batch_size, support_order):
            stop.raise_if_requested()
            support_total += _step(super_model, batch, losses, temperature, noise, weights, None)
            if not warm_up:
                batch = next(query_batches)
                query_total += _step(super_model, batch, losses, temperature, noise, architecture, penalty)
            steps += 1
    expected = float(distribution.expected_flops().detach())
    latency: dict[str, float | str] = {}
    if distribution.space.fixed_nanoseconds is not None:
        latency["expectedLatencyShare"] = float(distribution.expected_latency().detach())
    return {
        "temperature": temperature,
        "supportLoss": support_total / max(1, steps),
        **({} if warm_up else {"queryLoss": query_total / max(1, steps)}),
        "expectedFlopsShare": expected,
        **latency,
        "probabilities": json.dumps(distribution.probabilities(), separators=(",", ":")),
    }


@dataclass(frozen=True)
class _Penalty:
    """λ, and the budget of which the stricter limit is the term that it weighs."""

    weight: float
    budget: Budget


def _step(
    super_model: SuperModel[Model],
    batch: Batch,
    losses: LabelLosses,
    temperature: float,
    noise: torch.Generator,
    optimizer: torch.optim.Optimizer,
    penalty: _Penalty | None,
) -> float:
    """One step of the parameters that `optimizer` holds; the data's loss before it."""
    super_model.current.value = super_model.distribution.sample(temperature, noise)
    super_model.zero_grad()
    batch = batch.to(super_model.device)
    data_loss = losses.mean(super_model.model(batch), batch.labels, batch.observed, batch.weight)
    loss = data_loss
    if penalty is not None and penalty.weight:
        loss = loss + penalty.weight * super_model.distribution.expected_cost(penalty.budget)
    loss.backward()
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    nn.utils.clip_grad_norm_(parameters, CLIP_NORM)
    optimizer.step()
    return float(data_loss.detach())


def _endless(split: EncodedSplit, size: int, generator: torch.Generator) -> Iterator[Batch]:
    """Minibatches, shuffled anew after each pass."""
    while True:
        yield from batches(split, size, generator)


def _serialized(
    epoch: int, done: bool, super_model: SuperModel[Model], optimizers: dict[str, torch.optim.Optimizer]
) -> bytes:
    stream = io.BytesIO()
    states = {name: optimizer.state_dict() for name, optimizer in optimizers.items()}
    torch.save({"epoch": epoch, "done": done, "model": super_model.state_dict(), "optimizers": states}, stream)
    return stream.getvalue()


def _resumed(
    super_model: SuperModel[Model], optimizers: dict[str, torch.optim.Optimizer], resume: ResumePoint
) -> tuple[int, bool]:
    """The epoch that was saved last and whether it was to be the last, with its state loaded; 0 where there is none."""
    payload = resume.load(RESUME_POINT)
    if payload is None:
        return 0, False
    saved: dict[str, Any] = torch.load(io.BytesIO(payload), map_location=super_model.device, weights_only=True)
    super_model.load_state_dict(saved["model"])
    for name, optimizer in optimizers.items():
        optimizer.load_state_dict(saved["optimizers"][name])
    return saved["epoch"], saved["done"]
