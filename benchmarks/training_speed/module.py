"""What every loop trains: embeddings, an LSTM over the events, a perceptron. It needs torch alone."""

import torch
from torch import Tensor, nn

LEARNING_RATE = 1e-3
EMBEDDING, STATE, HIDDEN = 8, 15, 32
"""Widths: those of the paper's heavy model, with one layer where it has six, so that loops are most of the time."""


class EmbeddingLstmPerceptron(nn.Module):
    """vocabularies: sizes of the categorical columns; numbers: how many numeric ones; events: values of an event."""

    def __init__(self, vocabularies: list[int], numbers: int, events: int) -> None:
        super().__init__()
        self.columns = nn.ModuleList(nn.Embedding(size, EMBEDDING) for size in vocabularies)
        self.events = nn.Embedding(events, EMBEDDING)
        self.sequence = nn.LSTM(EMBEDDING, STATE, batch_first=True)
        width = EMBEDDING * len(vocabularies) + numbers + STATE
        self.perceptron = nn.Sequential(nn.Linear(width, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 1))

    def forward(self, categorical: Tensor, numeric: Tensor, events: Tensor, lengths: Tensor) -> Tensor:
        """(batch,) logits of (batch, columns), (batch, numbers), (batch, longest) events, and how many each has."""
        states, _ = self.sequence(self.events(events))
        last = states[torch.arange(len(lengths)), lengths - 1]
        embedded = [column(categorical[:, number]) for number, column in enumerate(self.columns)]
        return self.perceptron(torch.cat([*embedded, numeric, last], dim=1)).squeeze(1)
