"""The whole state of a training, kept so that its next attempt goes on bit for bit; and the best epoch so far."""

import io
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from longtail_trainer.running.ranks import Ranks
from longtail_trainer.running.resume import ResumePoint

log = logging.getLogger(__name__)

FORMAT = 3
"""Of what is saved; a state of another one is ignored, and training starts over."""


class Stateful(Protocol):
    """A part of a training that its epochs change: a module, an optimizer, a `Best`."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state_dict: dict[str, Any], /) -> Any: ...


class Best:
    """The epoch to be kept: its number (0: the start), what it was judged as, and a copy of the module's weights.

    start, figures: numbers by name, of the start and of the epoch kept; which numbers is the program's affair.
    """

    def __init__(self, module: nn.Module) -> None:
        self._module = module
        self.epoch = 0
        self.start: dict[str, float] = {}
        self.figures: dict[str, float] = {}
        self._weights: dict[str, Tensor] = {}

    def begin(self, figures: Mapping[str, float]) -> None:
        """The weights at the start are the best so far."""
        self.start = dict(figures)
        self.take(0, figures)

    def take(self, epoch: int, figures: Mapping[str, float]) -> None:
        """This epoch is the one to be kept, with the weights that the module has now."""
        self.epoch, self.figures = epoch, dict(figures)
        self._weights = {name: tensor.detach().clone() for name, tensor in self._module.state_dict().items()}

    def is_stale(self, epoch: int, patience: int | None) -> bool:
        """Whether it has been the best for `patience` epochs; never where there is no limit."""
        return patience is not None and epoch - self.epoch >= patience

    def restore(self) -> None:
        """Give the module the weights that were kept."""
        self._module.load_state_dict(self._weights)

    def state_dict(self) -> dict[str, Any]:
        """As plain data and tensors."""
        return {"epoch": self.epoch, "start": self.start, "figures": self.figures, "weights": self._weights}

    def load_state_dict(self, state_dict: dict[str, Any], /) -> None:
        """What `state_dict` gave."""
        self.epoch, self.start, self.figures = (state_dict[name] for name in ("epoch", "start", "figures"))
        self._weights = state_dict["weights"]


@dataclass(frozen=True)
class Progress:
    """How far a training is: the last epoch that is done, and whether it was to be the last one."""

    epoch: int
    over: bool


class Checkpoint:
    """The parts of a training under one resume point. `None` as a resume point: nothing is saved, nothing found.

    origin: names what the training starts from, where the step's identity doesn't; a state of another origin is
    ignored.
    """

    def __init__(self, name: str, parts: Mapping[str, Stateful], resume: ResumePoint | None, origin: str = "") -> None:
        self._name = name
        self._parts = parts
        self._resume = resume
        self._origin = origin

    def save(self, progress: Progress) -> None:
        """The state of all parts, in place of what was saved before."""
        if self._resume is not None:
            saved = {"format": FORMAT, "origin": self._origin, **vars(progress), "parts": self._states()}
            self._resume.save(self._name, _packed(saved))

    def agree(self, ranks: Ranks) -> None:
        """Bring all parts to the state that rank 0's have, on every rank."""
        if ranks.world > 1:
            packed = ranks.of_first(lambda: _packed(self._states()))
            if ranks.rank > 0:
                self._bring(_unpacked(packed))

    def load(self) -> Progress | None:
        """Bring all parts to the state saved last; None, and nothing changed, where there is none."""
        payload = None if self._resume is None else self._resume.load(self._name)
        if payload is None:
            return None
        saved = _unpacked(payload)
        if saved.get("format") != FORMAT or saved["origin"] != self._origin:
            log.warning("the saved state of %s has another origin, or form; starting over", self._name)
            return None
        self._bring(saved["parts"])
        return Progress(saved["epoch"], saved["over"])

    def _states(self) -> dict[str, Any]:
        return {name: part.state_dict() for name, part in self._parts.items()}

    def _bring(self, states: Mapping[str, Any]) -> None:
        for name, part in self._parts.items():
            part.load_state_dict(states[name])


def _packed(state: dict[str, Any]) -> bytes:
    stream = io.BytesIO()
    torch.save(state, stream)
    return stream.getvalue()


def _unpacked(content: bytes) -> dict[str, Any]:
    # Parts move what they are given to where they are themselves.
    return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
