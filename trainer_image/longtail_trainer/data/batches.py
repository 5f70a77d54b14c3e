"""What every model reads: encoded samples as tensors."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass
class SequenceBatch:
    """Events of one behavior sequence, oldest first, padded at the end.

    categorical: (batch, length, columns) int64, 0 = unknown, null or padding
    numeric: (batch, length, 2 × columns) float32: the normalized values, then their null indicators
    mask: (batch, length) bool, true where there is an event; a sample may have none
    """

    categorical: Tensor
    numeric: Tensor
    mask: Tensor

    def to(self, device: torch.device, floats: torch.dtype = torch.float32) -> "SequenceBatch":
        """The same events on another device, or in another precision."""
        return SequenceBatch(
            self.categorical.to(device, non_blocking=True),
            self.numeric.to(device=device, dtype=floats, non_blocking=True),
            self.mask.to(device, non_blocking=True),
        )

    def pinned(self) -> "SequenceBatch":
        """The same events in memory from which a GPU copies by itself."""
        return SequenceBatch(self.categorical.pin_memory(), self.numeric.pin_memory(), self.mask.pin_memory())


@dataclass
class Batch:
    """Encoded samples. Static columns are the context features followed by the profile features.

    categorical: (batch, columns) int64
    numeric: (batch, 2 × columns) float32: the normalized values, then their null indicators
    sequences: by name, in the order of the schema
    labels: (batch, labels) float32, 0 where not observed
    observed: (batch, labels) bool
    weight: (batch,) float32
    entity: (batch,) int64, `data.entities.entity_hashes` of whom each sample is about
    """

    categorical: Tensor
    numeric: Tensor
    sequences: dict[str, SequenceBatch]
    labels: Tensor
    observed: Tensor
    weight: Tensor
    entity: Tensor

    def __len__(self) -> int:
        return len(self.weight)

    def to(self, device: torch.device, floats: torch.dtype = torch.float32) -> "Batch":
        """The same samples on another device, or in another precision; nobody waits where they are pinned."""
        return Batch(
            self.categorical.to(device, non_blocking=True),
            self.numeric.to(device=device, dtype=floats, non_blocking=True),
            {name: sequence.to(device, floats) for name, sequence in self.sequences.items()},
            self.labels.to(device=device, dtype=floats, non_blocking=True),
            self.observed.to(device, non_blocking=True),
            self.weight.to(device=device, dtype=floats, non_blocking=True),
            self.entity.to(device, non_blocking=True),
        )

    def pinned(self) -> "Batch":
        """The same samples in memory from which a GPU copies by itself."""
        return Batch(
            self.categorical.pin_memory(),
            self.numeric.pin_memory(),
            {name: sequence.pinned() for name, sequence in self.sequences.items()},
            self.labels.pin_memory(),
            self.observed.pin_memory(),
            self.weight.pin_memory(),
            self.entity.pin_memory(),
        )
