"""How scenarios' representations are learned: as what a small ranking model of all scenarios needs to tell them apart.

The paper trains them beside the general model, and doesn't say on what. Here a perceptron reads a sample's features
and its scenario's T, and both learn by its loss.
"""

import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from longtail_api.store_objects import Features
from longtail_trainer.data.batches import Batch
from longtail_trainer.data.encoded import EncodedSplit
from longtail_trainer.methods.samd.representation import ScenarioRepresentation
from longtail_trainer.methods.samd.sub_models import Cycle
from longtail_trainer.models.blocks.field_inputs import FieldInputs
from longtail_trainer.models.blocks.perceptron import Perceptron
from longtail_trainer.models.columns import batch_inputs, light_columns
from longtail_trainer.running.stop import Stop
from longtail_trainer.training.checkpoint import Stateful
from longtail_trainer.training.loss import LabelLosses
from longtail_trainer.training.seeds import epoch_seed
from longtail_trainer.training.settings import Descent

HEAD_LAYERS = (64, 32)


class ScenarioHead(nn.Module):
    """A sample's features, its scenario's representation → logits (batch, labels)."""

    def __init__(self, features: Features, width: int, embedding_size: int) -> None:
        super().__init__()
        self.columns = light_columns(features.data_schema)
        self.inputs = FieldInputs(self.columns, features, embedding_size)
        self.layers = Perceptron(self.inputs.shape.count * embedding_size + width, HEAD_LAYERS, dropout=0)
        self.logits = nn.Linear(self.layers.width, len(features.data_schema.labels))

    def forward(self, batch: Batch, representation: Tensor) -> Tensor:
        """representation: (width,)."""
        fields = self.inputs(*batch_inputs(self.columns, batch)).flatten(1)
        return self.logits(self.layers(torch.cat([fields, representation.expand(len(batch), -1)], dim=1)))


class RepresentationTraining:
    """The program: each epoch passes once over all scenarios' rows, in batches of one scenario each."""

    name = "representation"
    remedy = "lower representation.learningRate"

    def __init__(
        self,
        representation: ScenarioRepresentation,
        head: ScenarioHead,
        rows: Sequence[EncodedSplit],
        losses: LabelLosses,
        *,
        epochs: int,
        batch_size: int,
        learning_rate: float,
        seed: int,
    ) -> None:
        self._representation = representation
        self._head = head
        self._rows = rows
        self._losses = losses
        self._cycles = [Cycle(len(one), batch_size, epoch_seed(seed, place)) for place, one in enumerate(rows)]
        trained = [*representation.parameters(), *head.parameters()]
        self._optimizer = Descent(
            learning_rate=learning_rate, optimizer="adam", weight_decay=0, schedule="constant"
        ).build(trained)
        self.epochs = epochs
        self.seed = seed
        self.parts: dict[str, Stateful] = {
            "representation": representation,
            "head": head,
            "optimizer": self._optimizer,
        }

    def start(self, stop: Stop) -> None:
        """Whatever it was, it is learned anew."""

    def train(self, epoch: int, stop: Stop) -> float:
        """The mean of the batches' losses."""
        turns = [scenario for scenario, cycle in enumerate(self._cycles) for _ in range(cycle.batches)]
        rounds = [(epoch - 1) * cycle.batches for cycle in self._cycles]
        shuffle = torch.Generator().manual_seed(epoch_seed(self.seed, epoch))
        order = cast(list[int], torch.randperm(len(turns), generator=shuffle).tolist())
        device = next(self._head.parameters()).device
        total = torch.zeros((), dtype=torch.float64, device=device)
        for scenario in (turns[place] for place in order):
            stop.raise_if_requested()
            batch = self._rows[scenario].select(self._cycles[scenario].of_round(rounds[scenario])).to(device)
            rounds[scenario] += 1
            self._optimizer.zero_grad()
            logits = self._head(batch, self._representation()[scenario])
            loss = self._losses.mean(logits, batch.labels, batch.observed, batch.weight)
            loss.backward()
            self._optimizer.step()
            total += loss.detach()
        return float(total) / len(turns)

    def judge(self, epoch: int, stop: Stop) -> float:
        """By nothing: a representation is no model of its own."""
        return math.nan

    def is_over(self, epoch: int) -> bool:
        """After its epochs."""
        return False

    def end(self) -> None:
        """The last epoch's weights stay."""
