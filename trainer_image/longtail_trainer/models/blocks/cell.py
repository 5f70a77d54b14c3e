"""The part of a behavior encoder that is searched (ALT III-D, Fig. 6), for one given architecture."""

from typing import Protocol

from torch import Tensor, nn

from longtail_api.store_objects import LightArchitecture
from longtail_trainer.operations import Sequence, keeping, operations_of
from longtail_trainer.running.errors import ConfigInvalid


class Cell(Protocol):
    """N layers over one sequence: x (batch, length, width), mask (batch, length) → outputs of the layers 1 … N."""

    def __call__(self, x: Tensor, mask: Tensor) -> list[Tensor]: ...

    def flops(self) -> int: ...


CELL_OPERATIONS = operations_of(Sequence)
"""What a layer may compute: it keeps the shape, so that every layer can read every earlier one."""


class FixedCell(nn.Module):
    """The layers of one architecture, with weights of their own."""

    def __init__(self, architecture: LightArchitecture, length: int) -> None:
        super().__init__()
        check(architecture)
        self.architecture = architecture
        self.shape = Sequence(length, architecture.width, architecture.attention_heads)
        self.operations = nn.ModuleList(
            keeping(CELL_OPERATIONS[layer.operation], self.shape) for layer in architecture.layers
        )

    def forward(self, x: Tensor, mask: Tensor) -> list[Tensor]:
        outputs = [x]
        for layer, operation in zip(self.architecture.layers, self.operations, strict=True):
            output = operation(outputs[layer.input], mask)
            for source in layer.residuals:
                output = output + outputs[source]
            outputs.append(output)
        return outputs[1:]

    def layer_flops(self) -> list[int]:
        """Of one sample, layer by layer: the operation, and one addition per value of a residual input."""
        return [
            CELL_OPERATIONS[layer.operation].flops(self.shape)
            + len(layer.residuals) * self.shape.length * self.shape.width
            for layer in self.architecture.layers
        ]

    def flops(self) -> int:
        """Of one sample, all layers."""
        return sum(self.layer_flops())


def check(architecture: LightArchitecture) -> None:
    """Raises `ConfigInvalid` where layers read later outputs, operations are unknown, or heads don't fit."""
    if not architecture.layers:
        raise ConfigInvalid("architecture.layers: none given; name at least one")
    if architecture.width % architecture.attention_heads:
        raise ConfigInvalid(
            f"architecture.attentionHeads: {architecture.attention_heads} does not divide the width "
            f"{architecture.width}; choose a divisor of it"
        )
    for number, layer in enumerate(architecture.layers, start=1):
        where = f"architecture.layers[{number - 1}]"
        if layer.operation not in CELL_OPERATIONS:
            names = ", ".join(CELL_OPERATIONS)
            raise ConfigInvalid(f"{where}.operation: no operation {layer.operation!r} of sequences; one of {names}")
        sources = [layer.input, *layer.residuals]
        if not all(0 <= source < number for source in sources):
            raise ConfigInvalid(f"{where}: reads {sources}; a layer reads outputs 0 to {number - 1}, the earlier ones")
        if len(set(layer.residuals)) != len(layer.residuals):
            raise ConfigInvalid(f"{where}.residuals: {layer.residuals} names one twice; remove it")


def one_line(architecture: LightArchitecture) -> str:
    """`width 8: 1 = conv3(0) + 0; 2 = lstm(1)`: each layer's operation, its input, its residual inputs.

    Then what is beside the cell.
    """
    layers = [
        f"{number} = {layer.operation}({layer.input})" + "".join(f" + {source}" for source in layer.residuals)
        for number, layer in enumerate(architecture.layers, start=1)
    ]
    beside = ["target attention"] if architecture.target_attention else []
    return f"width {architecture.width}: " + "; ".join(layers + beside)
