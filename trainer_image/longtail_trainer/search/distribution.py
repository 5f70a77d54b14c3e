"""The distribution over architectures that the search learns (ALT Eq. 7 to 9)."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from longtail_trainer.search.space import Picks, Space


@dataclass(frozen=True)
class Sample:
    """One architecture drawn from the distribution.

    picks: the option of each choice. gates: for each choice a tensor of its options, 1 for the one picked and 0 for
    the others in value, with the gradient of the relaxed probabilities P (Eq. 8: 1 − detached(P) + P).
    """

    picks: Picks
    gates: list[Tensor]


class ArchitectureDistribution(nn.Module):
    """Independent categorical distributions, one for each choice of the space; uniform at the start."""

    def __init__(self, space: Space) -> None:
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
        expected = torch.zeros((), device=self.logits[0].device)
        largest = 0
        for choice, logits in zip(self.space.choices, self.logits, strict=True):
            costs = torch.tensor(choice.costs, dtype=logits.dtype, device=logits.device)
            expected = expected + (logits.softmax(0) * costs).sum()
            largest += max(choice.costs)
        return expected / max(1, largest)

    def log_probabilities(self) -> list[list[float]]:
        """Of each option of each choice (Eq. 9)."""
        return [logits.detach().double().log_softmax(0).tolist() for logits in self.logits]

    def probabilities(self) -> dict[str, list[float]]:
        """By the choice's name; for the history of the search."""
        return {
            choice.name: [round(float(p), 4) for p in logits.detach().softmax(0)]
            for choice, logits in zip(self.space.choices, self.logits, strict=True)
        }
