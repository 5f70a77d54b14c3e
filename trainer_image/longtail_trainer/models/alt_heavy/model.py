"""The whole heavy model (ALT, Fig. 2): profile and behavior encoders, their interaction, and the prediction module."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from longtail_api.architecture import Architecture
from longtail_api.store_objects import Features, LightArchitecture
from longtail_trainer.data.batches import Batch
from longtail_trainer.data.features.columns import static_columns
from longtail_trainer.models.alt_heavy.behavior import BehaviorEncoder
from longtail_trainer.models.alt_heavy.sequence_layers import sequence_layers
from longtail_trainer.models.blocks.embeddings import EmbeddingTables
from longtail_trainer.models.blocks.input_layer import InputLayer
from longtail_trainer.models.blocks.interaction import Interaction
from longtail_trainer.models.blocks.perceptron import Perceptron
from longtail_trainer.models.blocks.target_attention import CandidateAttention, History
from longtail_trainer.models.columns import light_columns
from longtail_trainer.models.contract import RankingModel


class HeavyModel(RankingModel):
    """Scenario-agnostic or scenario-specific, by its weights.

    cell: layers of every behavior encoder, where a search has found them; `encoder` is `Searched` then. make_cell:
    what stands in their place, by the sequence's length; by default those very layers.

    Raises `ConfigInvalid` where the heads do not divide the width, the cell doesn't fit, or the candidate has nothing
    to attend to.
    """

    def __init__(
        self,
        features: Features,
        encoder: str,
        architecture: Architecture,
        cell: LightArchitecture | None = None,
        make_cell: Callable[[int], nn.Module] | None = None,
    ) -> None:
        super().__init__()
        layers = sequence_layers(encoder, architecture, cell, make_cell)
        schema = features.data_schema
        dropout = float(architecture.dropout)
        self.features = features
        self.tables = EmbeddingTables(features, schema.categorical_features(), architecture.embedding_size)
        self.static = InputLayer(static_columns(schema), features, architecture.embedding_size, self.tables)
        self.profile = (
            Perceptron(self.static.width, architecture.profile_layers, dropout) if self.static.width else None
        )
        self.behaviors = nn.ModuleDict(
            {
                module_name(sequence.name): BehaviorEncoder(sequence, features, architecture, layers, self.tables)
                for sequence in schema.behaviors
            }
        )
        self.candidate = CandidateAttention(
            architecture.target_attention, light_columns(schema), self.tables, [one.shape for one in self.encoders()]
        )
        behavior = sum(one.width for one in self.encoders()) + self.candidate.width
        self.interaction = (
            Interaction(self.profile.width, behavior, self.profile.width) if self.profile and behavior else None
        )
        parts = (self.profile, self.interaction)
        encoded = behavior + sum(part.width for part in parts if part is not None)
        self.prediction = Perceptron(encoded, architecture.prediction_layers, dropout)
        self.logits = nn.Linear(self.prediction.width, len(schema.labels))

    def encoders(self) -> list[BehaviorEncoder]:
        """The sequences' encoders, in the order of the schema."""
        return [encoder for encoder in self.behaviors.values() if isinstance(encoder, BehaviorEncoder)]

    def forward(self, batch: Batch) -> Tensor:
        return self.logits(self.prediction(self._encoded(batch)))

    def hidden(self, batch: Batch) -> list[Tensor]:
        """What the prediction module reads, then the output of each of its layers."""
        encoded = self._encoded(batch)
        return [encoded, *self.prediction.hidden(encoded)]

    def _encoded(self, batch: Batch) -> Tensor:
        encoded: list[Tensor] = []
        histories: list[History] = []
        for name, events in batch.sequences.items():
            summary, embedded = self.behaviors[module_name(name)](events)
            encoded.append(summary)
            histories.append(History(events.categorical.unbind(-1), embedded, events.mask))
        encoded += self.candidate(batch.categorical.unbind(-1), histories)
        if self.profile is not None:
            profile = self.profile(self.static(batch.categorical, batch.numeric))
            if self.interaction is not None:
                encoded.append(self.interaction(profile, torch.cat(encoded, dim=-1)))
            encoded.append(profile)
        return torch.cat(encoded, dim=-1)

    def flops(self) -> int:
        parts = (self.static, self.profile, self.interaction, self.candidate, *self.encoders())
        encoding = sum(part.flops() for part in parts if part is not None)
        return encoding + self.prediction.flops() + 2 * self.prediction.width * self.logits.out_features


def module_name(sequence: str) -> str:
    """A sequence may be called `items` or `type`, which a module already has as attributes."""
    return f"sequence_{sequence}"
