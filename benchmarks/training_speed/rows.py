"""Made-up rows, encoded: what is measured is the loop, not the reading of tables."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.training_speed.module import EmbeddingLstmPerceptron

VOCABULARIES, NUMBERS, EVENTS, LONGEST = [1000, 100, 20, 5], 6, 500, 16


@dataclass(frozen=True)
class Rows:
    """categorical (rows, columns) and events (rows, longest) int64; numeric (rows, numbers) and label (rows,) float32;
    lengths (rows,) int64, from 1: events beyond it are padding."""

    categorical: Tensor
    numeric: Tensor
    events: Tensor
    lengths: Tensor
    label: Tensor

    def __len__(self) -> int:
        return len(self.label)

    @classmethod
    def drawn(cls, count: int, seed: int) -> "Rows":
        """With a signal in every kind of column."""
        generator = np.random.default_rng(seed)
        categorical = np.stack([generator.integers(size, size=count) for size in VOCABULARIES], axis=1)
        numeric = generator.normal(size=(count, NUMBERS)).astype(np.float32)
        events = generator.integers(EVENTS, size=(count, LONGEST))
        lengths = generator.integers(1, LONGEST + 1, size=count)
        events[np.arange(LONGEST) >= lengths[:, None]] = 0
        last = events[np.arange(count), lengths - 1]
        logit = numeric[:, 0] + (categorical[:, 3] - 2) * 0.5 + (last % 2) - 0.5
        label = (generator.random(count) < 1 / (1 + np.exp(-logit))).astype(np.float32)
        return cls(*(torch.from_numpy(array) for array in (categorical, numeric, events, lengths, label)))

    def save(self, file: Path) -> None:
        torch.save(vars(self), file)

    @classmethod
    def load(cls, file: Path) -> "Rows":
        return cls(**torch.load(file, weights_only=True))


def module(seed: int = 0) -> EmbeddingLstmPerceptron:
    """The same weights for everyone."""
    torch.manual_seed(seed)
    return EmbeddingLstmPerceptron(VOCABULARIES, NUMBERS, EVENTS)
