"""A perceptron on embedded features."""

from collections.abc import Sequence

from torch import Tensor, nn

from longtail_api.store_objects import Dnn, Features
from longtail_trainer.models.blocks.perceptron import Perceptron
from longtail_trainer.models.flat import FlatModel


class DnnModel(FlatModel):
    """Its layers are the hidden ones."""

    def __init__(self, features: Features, spec: Dnn, names: Sequence[str] = ()) -> None:
        super().__init__(features, spec.embedding_size, names)
        self.layers = Perceptron(self.width, spec.layers, dropout=0)
        self.logits = nn.Linear(self.layers.width, self.labels)

    def logits_of(self, x: Tensor) -> Tensor:
        return self.logits(self.layers(x))

    def layers_of(self, x: Tensor) -> list[Tensor]:
        return self.layers.hidden(x)

    def layer_flops(self) -> list[int]:
        return self.layers.layer_flops()

    def logit_flops(self) -> int:
        return 2 * self.layers.width * self.labels
