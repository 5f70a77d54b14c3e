"""All architectures of a space in one module: every operation of every layer, of which a sample uses some."""

from torch import Tensor, nn

from longtail_trainer.models.blocks.cell import CELL_OPERATIONS
from longtail_trainer.operations import Sequence, keeping
from longtail_trainer.search.evaluators.distribution import Sample
from longtail_trainer.search.spaces.cell import Space


class CurrentSample:
    """The architecture that all super cells of a model use in their next pass."""

    def __init__(self) -> None:
        self.value: Sample | None = None


class SuperCell(nn.Module):
    """A `Cell` whose layers are those of the current sample. Only picked operations are computed, as in GDAS.

    Inputs and residuals are computed anyway, so all of a choice's options get the straight-through gradient; of the
    operations only the one picked does (Eq. 8).
    """

    def __init__(self, space: Space, length: int, current: CurrentSample) -> None:
        super().__init__()
        self.space = space
        self.current = current
        shape = Sequence(length, space.width, space.heads)
        self.layers = nn.ModuleList(
            nn.ModuleDict({str(name): keeping(CELL_OPERATIONS[str(name)], shape) for name in choice.options})
            for choice in space.choices
            if choice.kind == "operation"
        )

    def forward(self, x: Tensor, mask: Tensor) -> list[Tensor]:
        sample = self.current.value
        assert sample is not None, "draw a sample first"
        outputs = [x]
        for number, output_of in enumerate(self._layers(sample), start=1):
            outputs.append(output_of.compute(outputs, mask, self.layers[number - 1]))
        return outputs[1:]

    def flops(self) -> int:
        """Of the cells a super cell has none of its own: they depend on the sample."""
        return 0

    def _layers(self, sample: Sample) -> list["_SampledLayer"]:
        layers = [_SampledLayer() for _ in range(self.space.layers)]
        for choice, pick, gate in zip(self.space.choices, sample.picks, sample.gates, strict=True):
            layer = layers[choice.layer - 1]
            if choice.kind == "input":
                layer.inputs = gate
            elif choice.kind == "operation":
                layer.operation, layer.gate = str(choice.options[pick]), gate[pick]
            else:
                layer.residuals.append(gate[1])
        return layers


class _SampledLayer:
    """One layer of a sample: gates of its inputs, its operation and that one's gate, gates of its residual edges."""

    inputs: Tensor
    operation: str
    gate: Tensor

    def __init__(self) -> None:
        self.residuals: list[Tensor] = []

    def compute(self, outputs: list[Tensor], mask: Tensor, operations: nn.Module) -> Tensor:
        assert isinstance(operations, nn.ModuleDict)
        x = _weighted(self.inputs.unbind(0), outputs)
        return operations[self.operation](x, mask) * self.gate + _weighted(self.residuals, outputs)


def _weighted(gates: list[Tensor] | tuple[Tensor, ...], outputs: list[Tensor]) -> Tensor:
    total = outputs[0] * gates[0]
    for gate, output in zip(gates[1:], outputs[1:], strict=True):
        total = total + output * gate
    return total
