"""The layers of a searched encoder (ALT III-D, Fig. 6): inputs, operations and residual edges, with what each costs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from longtail_api.light_model_search import SearchSpace
from longtail_api.store_objects import Features, Layer, LightArchitecture
from longtail_trainer.models.alt_light.model import LightModel, default_heads
from longtail_trainer.models.blocks.cell import CELL_OPERATIONS
from longtail_trainer.operations import Sequence as SequenceShape
from longtail_trainer.running.errors import ConfigInvalid
from longtail_trainer.search.budget import FLOPS, LATENCY
from longtail_trainer.search.spaces.decisions import Choice
from longtail_trainer.search.spaces.picks import PickSpace
from longtail_trainer.search.spaces.space import Panel, Point, RowGroup, option_row

EDGE = (False, True)
"""The options of a residual edge."""
ON = EDGE.index(True)


@dataclass(frozen=True)
class LayerDecisions:
    """The names of one layer's decisions, also in a search's history: `1.input`, `1.operation`, `2.residual.0`."""

    number: int

    @property
    def input(self) -> str:
        """Which of all earlier outputs the layer reads, 0 being the original input; free."""
        return f"{self.number}.input"

    @property
    def operation(self) -> str:
        """What the layer does."""
        return f"{self.number}.operation"

    @property
    def residuals(self) -> list[str]:
        """One on/off choice for the edge from each earlier output."""
        return [f"{self.number}.residual.{source}" for source in range(self.number)]


@dataclass(frozen=True)
class Costs:
    """FLOPs (or nanoseconds) by part, all sequences together. `fixed` is what no choice changes."""

    fixed: int
    operations: dict[str, int]
    edge: int

    @classmethod
    def of(cls, fixed: int, shapes: Sequence[SequenceShape], operations: Sequence[str]) -> "Costs":
        """shapes: of each sequence, at the space's width."""
        return cls(
            fixed,
            {name: sum(CELL_OPERATIONS[name].flops(shape) for shape in shapes) for name in operations},
            sum(shape.length * shape.width for shape in shapes),
        )


@dataclass(frozen=True, kw_only=True)
class CellSpace(PickSpace[LightArchitecture]):
    """All architectures of a `SearchSpace`, layer by layer: input, operation, residual edges.

    target_attention: of all of them, as the width is.
    """

    width: int
    layers: int
    heads: int
    target_attention: bool = False

    @classmethod
    def of(
        cls,
        width: int,
        layers: int,
        heads: int,
        operations: Sequence[str],
        costs: Costs,
        target_attention: bool = False,
    ) -> "CellSpace":
        """costs: FLOPs by part."""
        operations = tuple(dict.fromkeys(operations))
        choices: list[Choice] = []
        for layer in map(LayerDecisions, range(1, layers + 1)):
            choices.append(Choice(layer.input, tuple(range(layer.number))))
            choices.append(Choice(layer.operation, operations))
            choices += [Choice(edge, EDGE) for edge in layer.residuals]
        free = cls(decisions=tuple(choices), width=width, layers=layers, heads=heads, target_attention=target_attention)
        return free._metered(FLOPS, costs)

    def predicted(self, latency: Costs) -> "CellSpace":
        """The same space, with the nanoseconds that each option is predicted to take."""
        return self._metered(LATENCY, latency)

    def _metered(self, meter: str, costs: Costs) -> "CellSpace":
        """The same space with what each option adds on one more meter."""
        added: dict[str, tuple[int, ...]] = {}
        by_name = {choice.name: choice for choice in self.choices}
        for layer in self.layer_decisions():
            added[layer.operation] = tuple(costs.operations[str(name)] for name in by_name[layer.operation].options)
            added |= dict.fromkeys(layer.residuals, (0, costs.edge))
        decisions = tuple(
            replace(choice, costs={**choice.costs, meter: added[choice.name]}) if choice.name in added else choice
            for choice in self.choices
        )
        return replace(self, decisions=decisions, fixed={**self.fixed, meter: costs.fixed})

    def layer_decisions(self) -> list[LayerDecisions]:
        """Of the layers 1, 2, …"""
        return [LayerDecisions(number) for number in range(1, self.layers + 1)]

    def operations(self, layer: LayerDecisions) -> list[str]:
        """What a layer may do, in the order of its options."""
        return [str(name) for choice in self.choices if choice.name == layer.operation for name in choice.options]

    def decode(self, point: Point) -> LightArchitecture:
        layers: list[Layer] = []
        for layer in self.layer_decisions():
            source = point[layer.input]
            assert isinstance(source, int)
            edges = [number for number, edge in enumerate(layer.residuals) if point[edge]]
            layers.append(Layer(input=source, operation=str(point[layer.operation]), residuals=edges))
        return LightArchitecture(
            width=self.width, layers=layers, attention_heads=self.heads, target_attention=self.target_attention
        )

    def encode(self, decoded: LightArchitecture) -> Point:
        sizes = (decoded.width, len(decoded.layers), decoded.attention_heads, decoded.target_attention)
        own = (self.width, self.layers, self.heads, self.target_attention)
        if sizes != own:
            raise ConfigInvalid(
                f"an architecture of {sizes} (width, layers, heads, target attention) is none of a space of {own}; "
                "search again"
            )
        point: dict[str, int | str | bool] = {}
        for names, layer in zip(self.layer_decisions(), decoded.layers, strict=True):
            if layer.operation not in self.operations(names):
                raise ConfigInvalid(f"operation {layer.operation} is none of the space's; search again")
            point[names.input], point[names.operation] = layer.input, layer.operation
            point |= {edge: source in layer.residuals for source, edge in enumerate(names.residuals)}
        return point

    def panels(self, point: Point) -> tuple[Panel, ...]:
        """One for each layer; its residual edges are one group, of how probable it was that each is on."""
        by_name = {choice.name: choice for choice in self.choices}
        panels: list[Panel] = []
        for layer in self.layer_decisions():
            inputs, operations = by_name[layer.input], by_name[layer.operation]
            read = (option_row(inputs, number, point, output_name(number)) for number in range(layer.number))
            done = (option_row(operations, number, point) for number in range(len(operations.options)))
            added = (
                option_row(by_name[edge], ON, point, output_name(source)) for source, edge in enumerate(layer.residuals)
            )
            groups = (
                RowGroup("input: the output of", tuple(read)),
                RowGroup("operation", tuple(done)),
                RowGroup("residual edge from (on)", tuple(added)),
            )
            panels.append(Panel(f"Layer {layer.number}", groups))
        return tuple(panels)


def output_name(number: int) -> str:
    """What a person calls the output of a layer, 0 being the original input."""
    return f"layer {number}" if number else "original input"


def space_of(features: Features, spec: SearchSpace, names: Sequence[str] = ()) -> CellSpace:
    """The space of a `SearchSpace` for light models of these features."""
    heads = default_heads(spec.width)
    any_of_it = any_architecture(spec.width, spec.layers, heads, spec.operations[0], spec.target_attention)
    model = LightModel(features, any_of_it, names)
    costs = Costs.of(model.fixed_flops(), [encoder.shape for encoder in model.encoders()], spec.operations)
    return CellSpace.of(spec.width, spec.layers, heads, spec.operations, costs, spec.target_attention)


def any_architecture(
    width: int, layers: int, heads: int, operation: str, target_attention: bool = False
) -> LightArchitecture:
    """Any architecture of these sizes, for models whose cells don't matter."""
    every = [Layer(input=0, operation=operation) for _ in range(layers)]
    return LightArchitecture(width=width, layers=every, attention_heads=heads, target_attention=target_attention)
