"""What every family of models keeps: one contract to train and to distill, one more to be served."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from torch import Tensor, nn

from longtail_api.store_objects import Features
from longtail_trainer.data.batches import Batch
from longtail_trainer.models.columns import ColumnInputs, LightColumns, batch_inputs


class RankingModel(nn.Module, ABC):
    """Encoded samples → one logit per label.

    features: how its inputs were encoded; its schema names the labels.
    """

    features: Features

    @abstractmethod
    def forward(self, batch: Batch) -> Tensor:
        """Logits (batch, labels), in the order of the schema's labels: of a binary label the log-odds, of a regression
        label the standardized value."""

    @abstractmethod
    def hidden(self, batch: Batch) -> list[Tensor]:
        """What each layer gives, (batch, width of that layer), in the order of depth: for distillation of features.

        The layer of the logits is none of them; there is at least one.
        """

    @abstractmethod
    def flops(self) -> int:
        """Floating-point operations of one prediction with `maxLength` events in each sequence, batch 1.

        Two per multiply-add of matrix products, one per addition, multiplication or comparison of two activations
        (the convention of `Operation.flops`); biases, activation functions, norms and softmax are not counted.
        """


class ServedModel(RankingModel):
    """A model that can be exported: it answers from the columns it reads alone.

    columns: those. A graph has an input for each of them, and for no other.
    """

    columns: LightColumns

    @abstractmethod
    def predict(self, static: ColumnInputs, sequences: Sequence[ColumnInputs]) -> Tensor:
        """Logits (batch, labels) of these columns, sequences in the order of `columns.sequences`: what the exported
        graph computes."""

    def forward(self, batch: Batch) -> Tensor:
        return self.predict(*batch_inputs(self.columns, batch))
