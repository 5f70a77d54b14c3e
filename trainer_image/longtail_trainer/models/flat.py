"""What families have in common whose models read all features as one vector."""

from abc import abstractmethod
from collections.abc import Sequence

from torch import Tensor

from longtail_api.store_objects import Features
from longtail_trainer.data.batches import Batch
from longtail_trainer.data.encoded import EncodedSplit
from longtail_trainer.models.blocks.field_inputs import FieldInputs
from longtail_trainer.models.columns import ColumnInputs, batch_inputs, light_columns
from longtail_trainer.models.contract import ServedModel
from longtail_trainer.models.family import LayerFigures, ServedFamily, Spec


class FlatModel(ServedModel):
    """Fields of `FieldInputs`, side by side, and what a family makes of them.

    names: the features it may read (see `light_columns`); all by default. width: of the fields together.
    """

    def __init__(self, features: Features, embedding_size: int, names: Sequence[str]) -> None:
        super().__init__()
        self.features = features
        self.columns = light_columns(features.data_schema, names)
        self.inputs = FieldInputs(self.columns, features, embedding_size)
        self.width = self.inputs.shape.count * embedding_size

    @property
    def labels(self) -> int:
        """How many there are."""
        return len(self.features.data_schema.labels)

    @abstractmethod
    def logits_of(self, x: Tensor) -> Tensor:
        """x: (batch, width). (batch, labels)."""

    @abstractmethod
    def layers_of(self, x: Tensor) -> list[Tensor]:
        """x: (batch, width). What `hidden` gives."""

    @abstractmethod
    def layer_flops(self) -> list[int]:
        """Of one sample, in the order of `hidden`."""

    @abstractmethod
    def logit_flops(self) -> int:
        """Of one sample, of what comes after the layers."""

    def predict(self, static: ColumnInputs, sequences: Sequence[ColumnInputs]) -> Tensor:
        return self.logits_of(self.inputs(static, sequences).flatten(1))

    def hidden(self, batch: Batch) -> list[Tensor]:
        return self.layers_of(self.inputs(*batch_inputs(self.columns, batch)).flatten(1))

    def flops(self) -> int:
        return self.inputs.flops() + sum(self.layer_flops()) + self.logit_flops()


class FlatFamily(ServedFamily[Spec]):
    """A family of them."""

    def layer_figures(self, model: ServedModel, split: EncodedSplit | None = None) -> LayerFigures:
        assert isinstance(model, FlatModel), "a model of this family"
        return LayerFigures(model.layer_flops(), model.inputs.flops() + model.logit_flops(), {})
