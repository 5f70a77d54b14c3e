"""The distribution over architectures that the search learns (ALT Eq. 7 to 9)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isinf
from typing import Any

import torch
from torch import Tensor, nn

from longtail_trainer.search.budget import FLOPS, LATENCY, Budget
from longtail_trainer.search.spaces.picks import Picks, PickSpace


@dataclass(frozen=True)
class Sample:
    """One architecture drawn from the distribution.

    picks: the option of each choice. gates: for each choice a tensor of its options, 1 for the one picked and 0 for
    the others in value, with the gradient of the relaxed probabilities P (Eq. 8: 1 − detached(P) + P).
    """

    picks: Picks
    gates: list[Tensor]


class CurrentSample:
    """The architecture that all searched parts of a model use in their next pass."""

    def __init__(self) -> None:
        self.value: Sample | None = None


class ArchitectureDistribution(nn.Module):
    """Independent categorical distributions, one for each choice of the space; uniform at the start."""

    def __init__(self, space: PickSpace[Any]) -> None:
        super().__init__()
        self.space = space
        self.logits = nn.ParameterList(nn.Parameter(torch.zeros(len(choice.options))) for choice in space.choices)

    def sample(self, temperature: float, generator: torch.Generator) -> Sample:
        """Gumbel-softmax with noise of its own for every option (Eq. 7 prints one g for all; independent is meant)."""
        picks: list[int] = []
        gates: list[Tensor] = []
        for logits in self.logits:
            exponential = -torch.log(torch.rand(logits.shape, generator=generator).clamp(1e-20, 1 - 1e-7))
            gumbel = -torch.log(exponential).to(logits.device)
            relaxed = ((logits + gumbel) / temperature).softmax(0)
            pick = int(relaxed.argmax())
            hard = torch.zeros_like(relaxed)
            hard[pick] = 1.0
            picks.append(pick)
            gates.append(hard - relaxed.detach() + relaxed)
        return Sample(tuple(picks), gates)

    def fixed(self, picks: Picks) -> Sample:
        """The given architecture, without gradients for the distribution."""
        gates = [torch.zeros_like(logits) for logits in self.logits]
        for gate, pick in zip(gates, picks, strict=True):
            gate[pick] = 1.0
        return Sample(picks, gates)

    def expected_flops(self) -> Tensor:
        """E[FLOPs] of the cells over all distributions, as a share of the most expensive cells' (Eq. 4's L_FLOPs)."""
        return self._expected(self.space.costs(FLOPS))

    def expected_latency(self) -> Tensor:
        """The same of the predicted latency; for a space with predictions."""
        return self._expected(self.space.costs(LATENCY))

    def expected_cost(self, budget: Budget) -> Tensor:
        """The term of Eq. 4: expected FLOPs, or expected latency where its limit is the stricter one.

        The stricter of two limits is the one of which the expected architecture, with all that is fixed, uses the
        larger share; a limit that isn't given is never the stricter one, and FLOPs are the term where none is.
        """
        flops = self.expected_flops()
        fixed = self.space.fixed_nanoseconds
        if fixed is None or isinf(budget.nanoseconds):
            return flops
        latency = self.expected_latency()
        used_latency = fixed + float(latency.detach()) * _largest(self.space.costs(LATENCY))
        cells = float(flops.detach()) * _largest(self.space.costs(FLOPS))
        used_flops = self.space.fixed_flops + cells
        stricter = used_latency / budget.nanoseconds >= used_flops / budget.flops
        return latency if stricter else flops

    def _expected(self, costs: Sequence[tuple[int, ...]]) -> Tensor:
        """E[cost] over all distributions, as a share of the most expensive options' together."""
        expected = torch.zeros((), device=self.logits[0].device)
        for options, logits in zip(costs, self.logits, strict=True):
            expected = (
                expected + (logits.softmax(0) * torch.tensor(options, dtype=logits.dtype, device=logits.device)).sum()
            )
        return expected / _largest(costs)

    def log_probabilities(self) -> list[list[float]]:
        """Of each option of each choice (Eq. 9)."""
        return [logits.detach().double().log_softmax(0).tolist() for logits in self.logits]

    def probabilities(self) -> dict[str, list[float]]:
        """By the choice's name; for the history of the search."""
        return {
            choice.name: [round(float(p), 4) for p in logits.detach().softmax(0)]
            for choice, logits in zip(self.space.choices, self.logits, strict=True)
        }


def _largest(costs: Iterable[tuple[int, ...]]) -> int:
    """Of the most expensive option of each choice, together; at least 1, as it divides."""
    return max(1, sum(max(options) for options in costs))
