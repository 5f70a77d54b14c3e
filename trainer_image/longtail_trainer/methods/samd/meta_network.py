"""From what a scenario is like to what its sub-model learns from which layer (SAMD, 4.3.1)."""

from collections.abc import Mapping
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from longtail_api.methods.samd import TransferWeights

STRATEGY_LAYERS = (64, 32)
"""Hidden widths of g (5.1.3: [64, 32, 16] with four layers of the general model, so that the 16 is its output)."""


class SoftClusters(nn.Module):
    """T → C = Σ softmax(τ(Wₚ T))ₖ Eₖ (Eq. 6 to 8), with LeakyReLU for τ: with ReLU, a row of zeros would learn nothing.

    Nothing makes clusters sharp or different: they get what gradient the distillation gives.
    """

    def __init__(self, width: int, clusters: int) -> None:
        super().__init__()
        self.project = nn.Linear(width, clusters, bias=False)
        self.centers = nn.Parameter(torch.randn(clusters, width) * width**-0.5)

    def shares(self, representation: Tensor) -> Tensor:
        """p, (…, clusters)."""
        return functional.leaky_relu(self.project(representation), 0.2).softmax(-1)

    def forward(self, representation: Tensor) -> Tensor:
        return self.shares(representation) @ self.centers


class MetaNetwork(nn.Module):
    """(T, C) → W_T = g(T ⊕ C) W_d (Eq. 9), normalized.

    teacher_layers: M_g. plug_ins: how many layers (M_i) the sub-models have that share a W_d, by its name. One for each
    depth makes scenarios that are alike learn alike, as the paper has it; one for each scenario is the freer variant.
    """

    def __init__(
        self, width: int, clusters: int, teacher_layers: int, plug_ins: Mapping[str, int], weights: TransferWeights
    ) -> None:
        super().__init__()
        self.teacher_layers = teacher_layers
        self.weights: TransferWeights = weights
        self.clusters = SoftClusters(width, clusters)
        sizes = [2 * width, *STRATEGY_LAYERS, teacher_layers**2]
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(sizes):
            layers += [nn.Linear(inputs, outputs), nn.ReLU()]
        self.strategy = nn.Sequential(*layers[:-1])
        self.plug_ins = nn.ParameterDict(
            {
                name: torch.randn(teacher_layers, teacher_layers, teacher_layers, depth) / teacher_layers
                for name, depth in plug_ins.items()
            }
        )

    def forward(self, representation: Tensor, plug_in: str) -> Tensor:
        """W_T (M_g, M_i) of one scenario's representation, (width,)."""
        together = torch.cat([representation, self.clusters(representation)], dim=-1)
        strategy = self.strategy(together).view(self.teacher_layers, self.teacher_layers)
        return transfer_weights(contracted(strategy, self.plug_ins[plug_in]), self.weights)


def contracted(strategy: Tensor, plug_in: Tensor) -> Tensor:
    """(M_g, M_g) and (M_g, M_g, M_g, M_i) → (M_g, M_i): over both indices of the strategy."""
    return torch.einsum("ab,abnm->nm", strategy, plug_in)


def transfer_weights(scores: Tensor, weights: TransferWeights) -> Tensor:
    """(M_g, M_i), by softmax.

    StudentLayers: those of each layer of the general model sum to 1 over the sub-model's layers, as printed below
    Eq. 10. AllPairs: all of them sum to M_g, so that one layer of the general model may count for less than another.
    """
    if weights == "StudentLayers":
        return scores.softmax(dim=1)
    return len(scores) * scores.flatten().softmax(0).view_as(scores)
