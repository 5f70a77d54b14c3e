"""The bodies of a behavior encoder: stacked LSTM layers, Transformer blocks (ALT III-B), or a searched cell."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from longtail_api.architecture import Architecture
from longtail_api.store_objects import LightArchitecture
from longtail_trainer.models.alt_heavy.cell_layers import CellLayers
from longtail_trainer.models.blocks.cell import FixedCell
from longtail_trainer.operations.contract import keeping
from longtail_trainer.operations.lstm import Lstm
from longtail_trainer.operations.masks import keep
from longtail_trainer.operations.shapes import Sequence
from longtail_trainer.operations.transformer_block import TransformerBlockModule, transformer_block_flops
from longtail_trainer.running.errors import ConfigInvalid


class LstmLayers(nn.Module):
    """(batch, length, width) → the same shape: layers of x + LSTM(norm(x)).

    Without the way round each layer, six of them learn little from a few thousand samples.
    """

    def __init__(self, shape: Sequence, architecture: Architecture) -> None:
        super().__init__()
        self.shape = shape
        self.layers = nn.ModuleList(keeping(Lstm(), shape) for _ in range(architecture.behavior_layers))
        self.norms = nn.ModuleList(nn.LayerNorm(shape.width) for _ in self.layers)
        self.dropout = nn.Dropout(float(architecture.dropout))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = x + self.dropout(layer(norm(x), mask))
        return x

    def flops(self) -> int:
        """Norms are not counted, the sums are."""
        return len(self.layers) * (Lstm().flops(self.shape) + self.shape.length * self.shape.width)


class TransformerLayers(nn.Module):
    """(batch, length, width) → the same shape: Transformer blocks over events with learned positions.

    Positions count back from the newest event, which every sample with events has; so position 0 always means
    "last", however long the history is. Raises `ConfigInvalid` where the heads do not divide the width.
    """

    def __init__(self, shape: Sequence, architecture: Architecture) -> None:
        super().__init__()
        if shape.width % shape.heads:
            raise ConfigInvalid(
                f"architecture.behaviorHeads: {shape.heads} heads do not divide behaviorWidth {shape.width}; "
                "choose a divisor of it"
            )
        self.shape = shape
        self.intermediate = architecture.behavior_intermediate
        self.positions = nn.Embedding(shape.length, shape.width)
        with torch.no_grad():
            self.positions.weight.normal_(std=0.02)
        self.blocks = nn.ModuleList(
            TransformerBlockModule(shape, self.intermediate, float(architecture.dropout))
            for _ in range(architecture.behavior_layers)
        )
        self.norm = nn.LayerNorm(shape.width)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        newer = mask.to(torch.int64).flip(1).cumsum(1).flip(1) - 1  # events after this one; −1 in the padding
        x = keep(x + self.positions(newer.clamp(min=0)), mask)
        for block in self.blocks:
            x = block(x, mask)
        return keep(self.norm(x), mask)

    def flops(self) -> int:
        """Of the blocks, and the sum of events and positions; norms are not counted."""
        block = transformer_block_flops(self.shape, self.intermediate)
        return len(self.blocks) * block + self.shape.length * self.shape.width


SequenceLayers = LstmLayers | TransformerLayers | CellLayers
SEQUENCE_LAYERS: dict[str, Callable[[Sequence, Architecture], LstmLayers | TransformerLayers]] = {
    "LSTM": LstmLayers,
    "Transformer": TransformerLayers,
}
"""The pre-designed ones, by `HeavyModel.spec.encoder`."""
SEARCHED = "Searched"
"""The encoder whose layers are those of a cell that a search has found."""


def sequence_layers(
    encoder: str,
    architecture: Architecture,
    cell: LightArchitecture | None,
    make_cell: Callable[[int], nn.Module] | None,
) -> Callable[[Sequence], SequenceLayers]:
    """What makes the layers of each sequence's encoder. make_cell: see `HeavyModel`.

    Raises `ConfigInvalid` where a searched encoder has no cell, or one of another width.
    """
    if cell is None:
        if encoder not in SEQUENCE_LAYERS:
            raise ConfigInvalid(f"encoder {encoder} has no cell; give one, or choose {' or '.join(SEQUENCE_LAYERS)}")
        return lambda shape: SEQUENCE_LAYERS[encoder](shape, architecture)
    if cell.width != architecture.behavior_width:
        raise ConfigInvalid(
            f"cell.width: {cell.width} is not architecture.behaviorWidth {architecture.behavior_width}; make them equal"
        )
    make, layers = make_cell or partial(FixedCell, cell), len(cell.layers)
    return lambda shape: CellLayers(shape, layers, make(shape.length))
