"""A cross network beside a perceptron: products of features up to a degree, and whatever else there is."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from longtail_api.store_objects import Dcn, Features
from longtail_trainer.models.blocks.perceptron import Perceptron
from longtail_trainer.models.flat import FlatModel


class CrossNetwork(nn.Module):
    """x₀ (batch, width) → xₗ₊₁ = x₀ (xₗᵀ wₗ) + bₗ + xₗ (Wang et al. 2017, Eq. 3)."""

    def __init__(self, width: int, layers: int) -> None:
        super().__init__()
        self.width = width
        self.products = nn.ModuleList(nn.Linear(width, 1, bias=False) for _ in range(layers))
        self.biases = nn.ParameterList(torch.zeros(width) for _ in range(layers))

    def hidden(self, x: Tensor) -> list[Tensor]:
        """The output of every layer."""
        outputs = [x]
        for product, bias in zip(self.products, self.biases, strict=True):
            outputs.append(x * product(outputs[-1]) + bias + outputs[-1])
        return outputs[1:]

    def layer_flops(self) -> list[int]:
        """Of one sample: a product of vectors, its product with x₀, and the sum with what came in."""
        return [4 * self.width] * len(self.products)


class DcnModel(FlatModel):
    """Its layers are the cross layers, then the perceptron's; the logits are read from the last of each."""

    def __init__(self, features: Features, spec: Dcn, names: Sequence[str] = ()) -> None:
        super().__init__(features, spec.embedding_size, names)
        self.cross = CrossNetwork(self.width, spec.cross_layers)
        self.deep = Perceptron(self.width, spec.layers, dropout=0)
        self.logits = nn.Linear(self.width + self.deep.width, self.labels)

    def logits_of(self, x: Tensor) -> Tensor:
        return self.logits(torch.cat([self.cross.hidden(x)[-1], self.deep(x)], dim=-1))

    def layers_of(self, x: Tensor) -> list[Tensor]:
        return [*self.cross.hidden(x), *self.deep.hidden(x)]

    def layer_flops(self) -> list[int]:
        return [*self.cross.layer_flops(), *self.deep.layer_flops()]

    def logit_flops(self) -> int:
        return 2 * self.logits.in_features * self.labels
