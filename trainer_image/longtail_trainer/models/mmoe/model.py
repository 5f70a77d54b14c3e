"""Experts that all labels share; a gate and a tower for each label."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from longtail_api.store_objects import Features, Mmoe
from longtail_trainer.models.blocks.perceptron import Perceptron
from longtail_trainer.models.flat import FlatModel


class MmoeModel(FlatModel):
    """Experts → for each label their mixture, by softmax(Wx) (Ma et al. 2018, Eq. 6 and 7) → its tower → its logit.

    Its layers are the mixture, then those of the towers, each a mean over labels.
    """

    def __init__(self, features: Features, spec: Mmoe, names: Sequence[str] = ()) -> None:
        super().__init__(features, spec.embedding_size, names)
        each_label = range(self.labels)
        mixed = spec.expert_layers[-1]
        self.experts = nn.ModuleList(Perceptron(self.width, spec.expert_layers, dropout=0) for _ in range(spec.experts))
        self.gates = nn.ModuleList(nn.Linear(self.width, spec.experts, bias=False) for _ in each_label)
        self.towers = nn.ModuleList(Perceptron(mixed, spec.tower_layers, dropout=0) for _ in each_label)
        self.logits = nn.ModuleList(nn.Linear(spec.tower_layers[-1], 1) for _ in each_label)

    def logits_of(self, x: Tensor) -> Tensor:
        heads = zip(self.logits, self.towers, self._mixtures(x), strict=True)
        return torch.cat([logit(tower(mixture)) for logit, tower, mixture in heads], dim=-1)

    def layers_of(self, x: Tensor) -> list[Tensor]:
        by_label = [
            [mixture, *tower.hidden(mixture)]
            for mixture, tower in zip(self._mixtures(x), _perceptrons(self.towers), strict=True)
        ]
        return [torch.stack(layer).mean(0) for layer in zip(*by_label, strict=True)]

    def _mixtures(self, x: Tensor) -> list[Tensor]:
        """Of each label (batch, width of an expert)."""
        experts = torch.stack([expert(x) for expert in self.experts], dim=1)
        return [gate(x).softmax(-1).unsqueeze(1).matmul(experts).squeeze(1) for gate in self.gates]

    def layer_flops(self) -> list[int]:
        """All labels together; of the mixture, with its experts and gates."""
        experts = _perceptrons(self.experts)
        mixed = sum(expert.flops() for expert in experts)
        mixed += 2 * len(experts) * (self.width + experts[0].width) * self.labels
        towers = (tower.layer_flops() for tower in _perceptrons(self.towers))
        return [mixed, *map(sum, zip(*towers, strict=True))]

    def logit_flops(self) -> int:
        return sum(2 * tower.width for tower in _perceptrons(self.towers))


def _perceptrons(modules: Iterable[nn.Module]) -> list[Perceptron]:
    return [one for one in modules if isinstance(one, Perceptron)]
