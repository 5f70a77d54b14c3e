"""One scenario's sub-model, its rows, and the batches it learns from."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from longtail_trainer.data.batches import Batch
from longtail_trainer.data.encoded import EncodedSplit
from longtail_trainer.models.contract import ServedModel
from longtail_trainer.training.seeds import epoch_seed


@dataclass(frozen=True)
class SubModel:
    """A scenario of the group.

    rows, validation: as its own model reads them. general_rows: the same training rows, as the general model does.
    representation: T, (width,). plug_in: whose W_d of the meta network it has. depth: M_i, its layers.
    """

    scenario: str
    model: ServedModel
    rows: EncodedSplit
    validation: EncodedSplit
    general_rows: EncodedSplit
    representation: Tensor
    plug_in: str
    depth: int


class Cycle:
    """A scenario's rows over and over, each pass shuffled anew: which of them the batch of a round is.

    It follows from the seed, the scenario and the round alone.
    """

    def __init__(self, rows: int, batch_size: int, seed: int) -> None:
        self._rows = rows
        self._size = batch_size
        self._seed = seed
        self._pass = -1
        self._order = torch.zeros(0, dtype=torch.int64)

    @property
    def batches(self) -> int:
        """Of a pass."""
        return math.ceil(self._rows / self._size)

    def of_round(self, number: int) -> Tensor:
        """Row numbers. number: from 0."""
        pass_, place = divmod(number, self.batches)
        if pass_ != self._pass:
            shuffle = torch.Generator().manual_seed(epoch_seed(self._seed, pass_))
            self._pass, self._order = pass_, torch.randperm(self._rows, generator=shuffle)
        return self._order[place * self._size : (place + 1) * self._size]


def cut(rows: EncodedSplit, chosen: Tensor, device: torch.device) -> Batch:
    """These rows, on the device."""
    return rows.select(chosen).to(device)
