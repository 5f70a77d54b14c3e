"""The behavior encoder: one sequence of events into one vector."""

from collections.abc import Callable

from torch import Tensor, nn

from longtail_api.architecture import Architecture
from longtail_api.data_schema import BehaviorSequence
from longtail_api.store_objects import Features
from longtail_trainer.data.batches import SequenceBatch
from longtail_trainer.data.features.columns import sequence_columns
from longtail_trainer.models.alt_heavy.sequence_layers import SequenceLayers
from longtail_trainer.models.blocks.embeddings import EmbeddingTables
from longtail_trainer.models.blocks.input_layer import InputLayer
from longtail_trainer.models.blocks.sequence_summary import sequence_summary, summary_flops, summary_width
from longtail_trainer.operations import Sequence
from longtail_trainer.operations.masks import keep


class BehaviorEncoder(nn.Module):
    """(batch, length) events → (batch, width of the summary), and the embedded events (batch, length, shape.width).

    The events are embedded and brought to the encoder's width, run through its layers, and summarized, with an
    attentive mean.
    """

    def __init__(
        self,
        sequence: BehaviorSequence,
        features: Features,
        architecture: Architecture,
        layers: Callable[[Sequence], SequenceLayers],
        tables: EmbeddingTables,
    ) -> None:
        super().__init__()
        self.shape = Sequence(sequence.max_length, architecture.behavior_width, architecture.behavior_heads)
        self.inputs = InputLayer(sequence_columns(sequence), features, architecture.embedding_size, tables)
        self.project = nn.Linear(self.inputs.width, self.shape.width)
        self.dropout = nn.Dropout(float(architecture.dropout))
        self.layers = layers(self.shape)
        self.attend = nn.Linear(self.shape.width, 1)
        self.width = summary_width(self.shape.width, attentive=True)

    def forward(self, events: SequenceBatch) -> tuple[Tensor, Tensor]:
        mask = events.mask
        embedded = keep(self.project(self.inputs(events.categorical, events.numeric)).relu(), mask)
        states = self.layers(self.dropout(embedded), mask)
        scores = self.attend(states).squeeze(-1)
        return sequence_summary(states, embedded, mask, self.shape.length, scores), embedded

    def flops(self) -> int:
        """Of one sample with `maxLength` events."""
        return self.outside_flops() + self.layers.flops()

    def outside_flops(self) -> int:
        """Of everything but the layers."""
        length, width = self.shape.length, self.shape.width
        project = (self.inputs.flops() + 2 * self.inputs.width * width) * length
        return project + 2 * length * width + summary_flops(length, width, attentive=True)
