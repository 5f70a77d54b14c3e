"""All architectures of a space in one module: every operation of every layer, of which a sample uses some."""

from torch import Tensor, nn

from longtail_trainer.models.blocks.cell import CELL_OPERATIONS
from longtail_trainer.operations import Sequence, keeping
from longtail_trainer.search.evaluators.distribution import CurrentSample
from longtail_trainer.search.spaces.alt_cell import ON, CellSpace


class SuperCell(nn.Module):
    """A `Cell` whose layers are those of the current sample. Only picked operations are computed, as in GDAS.

    Inputs and residuals are computed anyway, so all of a choice's options get the straight-through gradient; of the
    operations only the one picked does (Eq. 8).
    """

    def __init__(self, space: CellSpace, length: int, current: CurrentSample) -> None:
        super().__init__()
        self.space = space
        self.current = current
        shape = Sequence(length, space.width, space.heads)
        self.layers = nn.ModuleList(
            nn.ModuleDict({name: keeping(CELL_OPERATIONS[name], shape) for name in space.operations(layer)})
            for layer in space.layer_decisions()
        )

    def forward(self, x: Tensor, mask: Tensor) -> list[Tensor]:
        sample = self.current.value
        assert sample is not None, "draw a sample first"
        names = (choice.name for choice in self.space.choices)
        picked = dict(zip(names, zip(sample.picks, sample.gates, strict=True), strict=True))
        outputs = [x]
        for layer, operations in zip(self.space.layer_decisions(), self.layers, strict=True):
            assert isinstance(operations, nn.ModuleDict)
            _, inputs = picked[layer.input]
            pick, gate = picked[layer.operation]
            operation = operations[self.space.operations(layer)[pick]]
            output = operation(_weighted(inputs.unbind(0), outputs), mask) * gate[pick]
            outputs.append(output + _weighted([picked[edge][1][ON] for edge in layer.residuals], outputs))
        return outputs[1:]

    def flops(self) -> int:
        """Of the cells a super cell has none of its own: they depend on the sample."""
        return 0


def _weighted(gates: list[Tensor] | tuple[Tensor, ...], outputs: list[Tensor]) -> Tensor:
    total = outputs[0] * gates[0]
    for gate, output in zip(gates[1:], outputs[1:], strict=True):
        total = total + output * gate
    return total
