"""Attention from a candidate to its history: which past events are about what this sample is about."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from longtail_trainer.models.blocks.embeddings import EMBEDDING_SPREAD, EmbeddingTables
from longtail_trainer.models.columns import LightColumns, SelectedColumns
from longtail_trainer.operations.masks import lowest
from longtail_trainer.operations.shapes import Sequence as SequenceShape
from longtail_trainer.running.errors import ConfigInvalid

FLOOR = EMBEDDING_SPREAD**2 / 10
"""Of the mean square that embeddings are divided by: fresh ones lie above it, the unknown category's zeros do not."""


@dataclass
class History:
    """The events of one sequence.

    categorical: int64 (batch, length) a column. embedded: (batch, length, width), 0 where the mask (batch, length) is
    false.
    """

    categorical: Sequence[Tensor]
    embedded: Tensor
    mask: Tensor


@dataclass(frozen=True)
class SharedColumns:
    """The columns of one vocabulary, as positions among the sample's static columns and among a sequence's."""

    vocabulary: str
    candidate: tuple[int, ...]
    events: tuple[int, ...]


class TargetAttention(nn.Module):
    """A candidate and one sequence → (batch, width + 1): softmax(q·Kᵀ/√d)·V, and the largest of the scores.

    The attention of Zhou et al. (*Deep Interest Network for Click-Through Rate Prediction*, 2018, Eq. 3), with a scaled
    product (Vaswani et al., *Attention Is All You Need*, 2017, Eq. 1) where theirs has a perceptron on every event,
    which costs many times as much. It needs none to compare, since both sides come from one table: q is the candidate's
    embedding, K the events', those of several shared vocabularies side by side, of several columns of one summed. Both
    are brought to mean square 1 (Henry et al., *Query-Key Normalization for Transformers*, 2020), so that values don't
    attract for being frequent. V are the events as their encoder embeds them, with all of their features. The largest
    score keeps what the softmax normalizes away, and theirs therefore leaves out: whether any event fits at all.

    A sample without events gets zeros.
    """

    def __init__(self, columns: Sequence[SharedColumns], tables: EmbeddingTables, shape: SequenceShape) -> None:
        super().__init__()
        self.columns = tuple(columns)
        self.shape = shape
        self._borrowed = tuple(tables.table(one.vocabulary) for one in columns)  # the model's: see `SharedLookup`
        self.size = sum(table.embedding_dim for table in self._borrowed)
        self.width = shape.width + 1
        self.normed_query = nn.RMSNorm(self.size, eps=FLOOR)
        self.normed_keys = nn.RMSNorm(self.size, eps=FLOOR, elementwise_affine=False)

    def forward(self, candidate: Sequence[Tensor], history: History) -> Tensor:
        """candidate: int64 (batch,) for each static column."""
        query = self.normed_query(self._embedded(candidate, [one.candidate for one in self.columns]))
        keys = self.normed_keys(self._embedded(history.categorical, [one.events for one in self.columns]))
        scores = keys.matmul((query * self.size**-0.5).unsqueeze(-1)).squeeze(-1)
        scores = scores.masked_fill(~history.mask, lowest(scores.dtype))
        attended = scores.softmax(-1).unsqueeze(1).matmul(history.embedded).squeeze(1)
        some = history.mask.any(1, keepdim=True).to(scores.dtype)
        return torch.cat([attended, scores.amax(1, keepdim=True) * some], dim=-1)

    def _embedded(self, categorical: Sequence[Tensor], positions: Sequence[Sequence[int]]) -> Tensor:
        """(…, size): by vocabulary the sum of its columns."""
        parts: list[Tensor] = []
        for table, (first, *others) in zip(self._borrowed, positions, strict=True):
            total = table(categorical[first])
            for position in others:
                total = total + table(categorical[position])
            parts.append(total)
        return torch.cat(parts, dim=-1)

    def flops(self) -> int:
        """Of one sample with `shape.length` events, as `Operation.flops` counts: sums of columns, the scaling, scores,
        their maximum, and the weighted mean."""
        length = self.shape.length
        sums = sum(
            table.embedding_dim * (len(one.candidate) - 1 + length * (len(one.events) - 1))
            for table, one in zip(self._borrowed, self.columns, strict=True)
        )
        return sums + self.size + 2 * length * self.size + length + 2 * length * self.shape.width


class CandidateAttention(nn.Module):
    """A model's attention to each sequence that shares a vocabulary with the context; to none where it is off.

    shapes: of the sequences' embedded events, in the order of `columns.sequences`. Raises `ConfigInvalid` where it is
    on and the model reads no vocabulary on both sides.
    """

    def __init__(
        self, on: bool, columns: LightColumns, tables: EmbeddingTables, shapes: Sequence[SequenceShape]
    ) -> None:
        super().__init__()
        shared = [_shared(tables, columns.static, one) if on else [] for one in columns.sequences.values()]
        if on and not any(shared):
            raise ConfigInvalid(
                "targetAttention: no context column that the model reads shares a vocabulary with a sequence that it "
                "reads; name one in schema.sharedVocabularies and both in light.features where that isn't empty, or "
                "set targetAttention to false"
            )
        self.places = [place for place, each in enumerate(shared) if each]
        self.attentions = nn.ModuleList(TargetAttention(shared[place], tables, shapes[place]) for place in self.places)

    def each(self) -> list[TargetAttention]:
        """One for each sequence that is attended to, in the order of the sequences."""
        return [one for one in self.attentions if isinstance(one, TargetAttention)]

    @property
    def width(self) -> int:
        """Of all that it gives."""
        return sum(one.width for one in self.each())

    def forward(self, candidate: Sequence[Tensor], histories: Sequence[History]) -> list[Tensor]:
        """What it gives of each sequence that it attends to. candidate: int64 (batch,) for each static column."""
        return [
            attention(candidate, histories[place])
            for place, attention in zip(self.places, self.attentions, strict=True)
        ]

    def flops(self) -> int:
        """Of one sample with `maxLength` events in each sequence."""
        return sum(one.flops() for one in self.each())


def _shared(tables: EmbeddingTables, static: SelectedColumns, events: SelectedColumns) -> list[SharedColumns]:
    """The vocabularies that columns of the context share with columns of a sequence."""
    found: list[SharedColumns] = []
    for name, together in tables.features.data_schema.shared_vocabularies.items():
        candidate = tuple(
            place
            for place, column in enumerate(static.categorical)
            if column in together and column.startswith("context.")
        )
        attended = tuple(place for place, column in enumerate(events.categorical) if column in together)
        if candidate and attended:
            found.append(SharedColumns(name, candidate, attended))
    return found
