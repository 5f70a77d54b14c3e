"""The light model: what a scenario serves (ALT III-D)."""

from collections import abc
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from longtail_api.store_objects import Features, Layer, LightArchitecture
from longtail_trainer.data.batches import Batch
from longtail_trainer.models.alt_light.encoder import DROPOUT, EncodedEvents, SequenceEncoder
from longtail_trainer.models.blocks.cell import FixedCell
from longtail_trainer.models.blocks.embeddings import EmbeddingTables
from longtail_trainer.models.blocks.feature_sum import FeatureSum
from longtail_trainer.models.blocks.interaction import Interaction
from longtail_trainer.models.blocks.sequence_summary import event_share
from longtail_trainer.models.blocks.target_attention import CandidateAttention, History
from longtail_trainer.models.columns import ColumnInputs, batch_inputs, light_columns
from longtail_trainer.models.contract import ServedModel
from longtail_trainer.operations import Sequence


class LightModel(ServedModel):
    """Static features and encoded sequences → logits (batch, labels), as the heavy model's.

    The architecture is the same for each sequence, with weights of its own (III-D: the behavior encoding module is
    copied). The static encoder and the prediction module have one layer each, twice the architecture's width; as in
    the heavy model, both encodings also meet in a product, without which a student this small can't follow a teacher
    that has one.

    names: the features it may read (see `light_columns`); all by default. cell: what stands in each sequence's
    encoder, by the sequence's length; by default the architecture's own layers.
    """

    def __init__(
        self,
        features: Features,
        architecture: LightArchitecture,
        names: abc.Sequence[str] = (),
        cell: Callable[[int], nn.Module] | None = None,
    ) -> None:
        super().__init__()
        schema = features.data_schema
        self.features = features
        self.architecture = architecture
        self.columns = light_columns(schema, names)
        hidden = 2 * architecture.width
        make_cell = cell or partial(FixedCell, architecture)
        static = self.columns.static
        # As wide as the cells, in which events are many; static features are brought to their own width.
        self.tables = EmbeddingTables(features, self.columns.categorical, architecture.width)
        some = static.categorical or static.numeric
        self.static = FeatureSum(static, features, hidden, self.tables) if some else None
        self.sequences = nn.ModuleList(
            SequenceEncoder(
                self.columns.sequences[sequence.name],
                features,
                Sequence(sequence.max_length, architecture.width, architecture.attention_heads),
                len(architecture.layers),
                make_cell(sequence.max_length),
                self.tables,
            )
            for sequence in schema.behaviors
            if sequence.name in self.columns.sequences
        )
        self.candidate = CandidateAttention(
            architecture.target_attention, self.columns, self.tables, [encoder.shape for encoder in self.encoders()]
        )
        behavior = sum(encoder.width for encoder in self.encoders()) + self.candidate.width
        self.interaction = Interaction(hidden, behavior, hidden) if self.static and behavior else None
        encoded = behavior + (hidden if self.static else 0) + (hidden if self.interaction else 0)
        self.dropout = nn.Dropout(DROPOUT)
        self.prediction = nn.Linear(encoded, hidden)
        self.logits = nn.Linear(hidden, len(schema.labels))

    def encoders(self) -> list[SequenceEncoder]:
        """The sequences' encoders, in the order of `columns.sequences`."""
        return [encoder for encoder in self.sequences if isinstance(encoder, SequenceEncoder)]

    def predict(self, static: ColumnInputs, sequences: abc.Sequence[ColumnInputs]) -> Tensor:
        return self.logits(self._prediction(static, sequences, self._encoded(sequences)))

    def hidden(self, batch: Batch) -> list[Tensor]:
        """The mean over the events of each cell layer's output, all sequences side by side, then the prediction
        module's hidden vector."""
        static, sequences = batch_inputs(self.columns, batch)
        encoded = self._encoded(sequences)
        means = [
            [layer.sum(1) * event_share(_mask(events), layer.dtype) for layer in one.layers]
            for one, events in zip(encoded, sequences, strict=True)
        ]
        by_layer = [torch.cat(layers, dim=-1) for layers in zip(*means, strict=True)]
        return [*by_layer, self._prediction(static, sequences, encoded)]

    def _encoded(self, sequences: abc.Sequence[ColumnInputs]) -> list[EncodedEvents]:
        return [
            encoder(events.categorical, events.numeric, events.mask)
            for encoder, events in zip(self.sequences, sequences, strict=True)
        ]

    def _prediction(
        self, static: ColumnInputs, sequences: abc.Sequence[ColumnInputs], events: list[EncodedEvents]
    ) -> Tensor:
        """(batch, 2 × width): what the logits are read from."""
        histories = [
            History(inputs.categorical, one.embedded, _mask(inputs))
            for inputs, one in zip(sequences, events, strict=True)
        ]
        encoded = [one.summary for one in events] + self.candidate(static.categorical, histories)
        if self.static is not None:
            profile = self.static(static.categorical, static.numeric).relu()
            if self.interaction is not None:
                encoded.append(self.interaction(profile, torch.cat(encoded, dim=-1)))
            encoded.append(profile)
        return self.dropout(self.prediction(self.dropout(torch.cat(encoded, dim=-1))).relu())

    def fixed_flops(self) -> int:
        """Of everything but the cells: what no search can save."""
        static = sum(part.flops() for part in (self.static, self.interaction, self.candidate) if part is not None)
        heads = 2 * self.prediction.in_features * self.prediction.out_features
        heads += 2 * self.logits.in_features * self.logits.out_features
        return static + heads + sum(encoder.fixed_flops() for encoder in self.encoders())

    def flops(self) -> int:
        return self.fixed_flops() + sum(encoder.flops() - encoder.fixed_flops() for encoder in self.encoders())


def _mask(events: ColumnInputs) -> Tensor:
    assert events.mask is not None, "a sequence has a mask"
    return events.mask


def predefined_architecture(width: int = 8, layers: int = 3, operation: str = "lstm") -> LightArchitecture:
    """The light model a person would draw (ALT V-A: three LSTM layers, or Transformer blocks): a plain cascade."""
    return LightArchitecture(
        width=width,
        layers=[Layer(input=number, operation=operation) for number in range(layers)],
        attention_heads=default_heads(width),
    )


def default_heads(width: int) -> int:
    """Attention heads of a light model: two where they divide the width, else one."""
    return 2 if width % 2 == 0 else 1
