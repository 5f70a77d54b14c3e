"""What every model reads: encoded samples as tensors."""

from dataclasses import dataclass

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


@dataclass
class Batch:
    """Encoded samples. Static columns are the context features followed by the profile features.

    categorical: (batch, columns) int64
    numeric: (batch, 2 × columns) float32: the normalized values, then their null indicators
    sequences: by name, in the order of the schema
    labels: (batch, labels) float32, 0 where not observed
    observed: (batch, labels) bool
    weight: (batch,) float32
    """

    categorical: Tensor
    numeric: Tensor
    sequences: dict[str, SequenceBatch]
    labels: Tensor
    observed: Tensor
    weight: Tensor
