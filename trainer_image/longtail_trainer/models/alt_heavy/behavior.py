"""The behavior encoder: one sequence of events into one vector."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from longtail_api.architecture import Architecture
from longtail_api.data_schema import BehaviorSequence
from longtail_api.store_objects import Features
from longtail_trainer.data.batches import SequenceBatch
from longtail_trainer.data.features.columns import sequence_columns
from longtail_trainer.models.alt_heavy.sequence_layers import SequenceLayers
from longtail_trainer.models.blocks.inputs import InputLayer
from longtail_trainer.operations.contract import Shape, keep

LOWEST = -1e9
"""Score of a padding position. Finite: a sample without events must not become 0/0."""


class BehaviorEncoder(nn.Module):
    """(batch, length) events → (batch, width of the summary).

    The events are embedded and brought to the encoder's width, run through its layers, and summarized: the state at
    the last event, mean, maximum and attentive mean over all states, the mean of the embedded events themselves,
    and how many events there are. A sample without events has a summary of zeros.
    """

    def __init__(
        self,
        sequence: BehaviorSequence,
        features: Features,
        architecture: Architecture,
        layers: Callable[[Shape], SequenceLayers],
    ) -> None:
        super().__init__()
        self.shape = Shape(sequence.max_length, architecture.behavior_width, architecture.behavior_heads)
        self.inputs = InputLayer(sequence_columns(sequence), features, architecture.embedding_size)
        self.project = nn.Linear(self.inputs.width, self.shape.width)
        self.dropout = nn.Dropout(float(architecture.dropout))
        self.layers = layers(self.shape)
        self.attend = nn.Linear(self.shape.width, 1)
        self.width = 5 * self.shape.width + 1

    def forward(self, events: SequenceBatch) -> Tensor:
        mask = events.mask
        embedded = keep(self.project(self.inputs(events.categorical, events.numeric)).relu(), mask)
        states = self.layers(self.dropout(embedded), mask)
        return summary(states, embedded, mask, self.attend(states).squeeze(-1), self.shape.length)

    def flops(self) -> int:
        """Of one sample with `maxLength` events."""
        return self.outside_flops() + self.layers.flops()

    def outside_flops(self) -> int:
        """Of everything but the layers."""
        length, width = self.shape.length, self.shape.width
        project = (self.inputs.flops() + 2 * self.inputs.width * width) * length
        means_and_maximum = 3 * length * width
        attentive = 2 * length * width + 2 * length * width
        return project + means_and_maximum + attentive


def summary(states: Tensor, embedded: Tensor, mask: Tensor, scores: Tensor, longest: int) -> Tensor:
    """(batch, 5 × width + 1) from states and embedded events (batch, length, width), zero where the mask is false."""
    count = mask.sum(1, keepdim=True)
    some = (count > 0).to(states.dtype)
    share = 1 / count.clamp(min=1).to(states.dtype)
    last_index = (count - 1).clamp(min=0).unsqueeze(-1).expand(-1, 1, states.shape[-1])
    last = states.gather(1, last_index).squeeze(1)
    maximum = states.masked_fill(~mask.unsqueeze(-1), LOWEST).amax(1) * some
    weights = scores.masked_fill(~mask, LOWEST).softmax(-1)
    attentive = (states * weights.unsqueeze(-1)).sum(1)
    events = torch.log1p(count.to(states.dtype)) / math.log1p(longest)
    return torch.cat([last, states.sum(1) * share, maximum, attentive, embedded.sum(1) * share, events], dim=-1)
