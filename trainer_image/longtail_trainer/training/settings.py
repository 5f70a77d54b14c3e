"""How a training runs: with which optimizer, how fast, how long, and from which seed. The defaults are ALT's."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

OptimizerName = Literal["adamw", "adam", "sgd"]
Schedule = Literal["cosine", "constant"]

STEPS_AN_EPOCH = 20
"""Long-tail scenarios are small: fewer steps than this leave a search or a training from fresh weights unfinished."""
SMALLEST_MINIBATCH = 16


def minibatch(rows: int, largest: int) -> int:
    """At most `largest` samples; fewer where an epoch would have too few steps, down to 16."""
    return min(largest, max(SMALLEST_MINIBATCH, rows // STEPS_AN_EPOCH))


@dataclass(frozen=True, kw_only=True)
class Descent:
    """One optimizer of some parameters, its learning rate over the epochs, and how far a gradient may reach.

    betas: of Adam and AdamW. momentum: of SGD. weight_decay: decoupled with AdamW, an L2 term with the others.
    clip_norm: the L2 norm to which the gradient of all the optimizer's parameters is brought down; None: as it is.
    schedule: half a cosine from the full rate in the first epoch to `final_share` of it in the last, or constant.
    """

    learning_rate: float
    optimizer: OptimizerName = "adamw"
    weight_decay: float = 1e-2
    betas: tuple[float, float] = (0.9, 0.999)
    momentum: float = 0.0
    clip_norm: float | None = 1.0
    schedule: Schedule = "cosine"
    final_share: float = 0.1
    fused: bool = True
    """A step of all parameters at once: these models are so small that a loop over them takes a tenth of a step."""

    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """The optimizer, at the full rate."""
        rate, decay, fused = self.learning_rate, self.weight_decay, self.fused
        if self.optimizer == "adamw":
            return torch.optim.AdamW(parameters, lr=rate, betas=self.betas, weight_decay=decay, fused=fused)
        if self.optimizer == "adam":
            return torch.optim.Adam(parameters, lr=rate, betas=self.betas, weight_decay=decay, fused=fused)
        return torch.optim.SGD(parameters, lr=rate, momentum=self.momentum, weight_decay=decay, fused=fused)

    def rate(self, epoch: int, epochs: int) -> float:
        """The learning rate of epoch 1 … epochs."""
        if self.schedule == "constant":
            return self.learning_rate
        share = (epoch - 1) / max(1, epochs - 1)
        falling = (1 - self.final_share) * 0.5 * (1 + math.cos(math.pi * share))
        return self.learning_rate * (self.final_share + falling)

    def set_rate(self, optimizer: torch.optim.Optimizer, epoch: int, epochs: int, share: float = 1.0) -> None:
        """Give the optimizer the rate of this epoch, or a share of it."""
        for group in optimizer.param_groups:
            group["lr"] = share * self.rate(epoch, epochs)

    def step(self, optimizer: torch.optim.Optimizer) -> None:
        """One step along the gradients that its parameters hold, clipped."""
        if self.clip_norm is not None:
            parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
            nn.utils.clip_grad_norm_(parameters, self.clip_norm)
        optimizer.step()


@dataclass(frozen=True, kw_only=True)
class TrainingSettings(Descent):
    """How one model is trained on one split. Raises `ValueError` unless either epochs or steps are given."""

    batch_size: int
    seed: int
    epochs: int | None = None
    """Passes over the rows."""
    steps: int | None = None
    """Gradient steps, in place of epochs: as many passes as that takes, the last one cut short."""
    patience: int | None = 4
    """Epochs without a better validation loss, after which training ends; None: it never ends early."""
    cool_down: bool = False
    """Where patience ends training early, some more epochs start from the best weights, with its epoch's rate falling
    to `final_share` of itself (`cool_down.CoolDown`); they count if they are better."""
    last_epoch: int | None = None
    """The epoch after which training ends, whatever comes of it; rates fall as if it went on. None: all are run."""
    keep_start: bool = False
    """The weights at the start are the result unless an epoch is shown to be better (fine-tuning)."""

    def __post_init__(self) -> None:
        if (self.epochs is None) == (self.steps is None):
            raise ValueError(f"epochs is {self.epochs} and steps is {self.steps}; give one of them")

    def epochs_over(self, rows: int) -> int:
        """Epochs of a training on so many rows."""
        if self.steps is None:
            assert self.epochs is not None
            return self.epochs
        return math.ceil(self.steps / self._steps_a_pass(rows))

    def steps_in(self, epoch: int, rows: int) -> int:
        """Gradient steps of this epoch (from 1), at most."""
        a_pass = self._steps_a_pass(rows)
        return a_pass if self.steps is None else min(a_pass, self.steps - (epoch - 1) * a_pass)

    def _steps_a_pass(self, rows: int) -> int:
        return max(1, math.ceil(rows / self.batch_size))
