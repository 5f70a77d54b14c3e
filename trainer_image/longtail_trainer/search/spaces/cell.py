"""The search space as a list of independent choices (ALT III-D), each option with what it costs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import inf, isinf

from longtail_api.light_model_search import SearchSpace
from longtail_api.store_objects import Features, Layer, LightArchitecture
from longtail_trainer.models.alt_light.model import LightModel, default_heads
from longtail_trainer.operations import OPERATIONS
from longtail_trainer.operations import Sequence as SequenceShape
from longtail_trainer.search.budget import Budget
from longtail_trainer.search.derivation import Limit, smallest

Picks = tuple[int, ...]
"""An architecture: the index of the option picked in each choice."""


@dataclass(frozen=True)
class Choice:
    """One decision. Its options' FLOPs add up over the choices to those of the cells, whatever else is picked.

    kind: `input` (which earlier output a layer reads; free), `operation`, or `residual` (one edge: off or on).
    options: outputs, operation names, or (False, True); costs: FLOPs of each, all sequences together.
    source: of a residual edge, the earlier output it comes from.
    nanoseconds: predicted latency of each, which adds up likewise; empty in a space without predictions.
    """

    kind: str
    layer: int
    options: tuple[int, ...] | tuple[str, ...] | tuple[bool, bool]
    costs: tuple[int, ...]
    source: int = 0
    nanoseconds: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        """Of its distribution in the search's history: `1.input`, `1.operation`, `2.residual.0`."""
        return f"{self.layer}.{self.kind}" + (f".{self.source}" if self.kind == "residual" else "")


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
            {name: sum(OPERATIONS[name].flops(shape) for shape in shapes) for name in operations},
            sum(shape.length * shape.width for shape in shapes),
        )


@dataclass(frozen=True)
class Space:
    """All architectures of a `SearchSpace`, as the product of its choices.

    Layer by layer: its input (one of all earlier outputs, 0 being the original input), its operation, and one on/off
    choice for every residual edge from an earlier output.
    """

    width: int
    layers: int
    heads: int
    choices: tuple[Choice, ...]
    fixed_flops: int
    fixed_nanoseconds: int | None = None
    """Predicted latency of what no choice changes; None in a space without predictions."""

    @classmethod
    def of(cls, width: int, layers: int, heads: int, operations: Sequence[str], costs: Costs) -> "Space":
        operations = tuple(dict.fromkeys(operations))
        choices: list[Choice] = []
        for layer in range(1, layers + 1):
            choices.append(Choice("input", layer, tuple(range(layer)), (0,) * layer))
            flops = tuple(costs.operations[name] for name in operations)
            choices.append(Choice("operation", layer, operations, flops))
            choices += [Choice("residual", layer, (False, True), (0, costs.edge), source) for source in range(layer)]
        return cls(width, layers, heads, tuple(choices), costs.fixed)

    def predicted(self, latency: Costs) -> "Space":
        """The same space, with the nanoseconds that each option is predicted to take."""

        def of(choice: Choice) -> tuple[int, ...]:
            if choice.kind == "operation":
                return tuple(latency.operations[str(name)] for name in choice.options)
            return (0, latency.edge) if choice.kind == "residual" else (0,) * len(choice.options)

        choices = tuple(replace(choice, nanoseconds=of(choice)) for choice in self.choices)
        return replace(self, choices=choices, fixed_nanoseconds=latency.fixed)

    def flops(self, picks: Picks) -> int:
        """Of the whole model with this architecture."""
        return self.fixed_flops + sum(choice.costs[pick] for choice, pick in zip(self.choices, picks, strict=True))

    def nanoseconds(self, picks: Picks) -> int:
        """Predicted latency (p99) of the whole model with this architecture. In a space without predictions, 0."""
        if self.fixed_nanoseconds is None:
            return 0
        own = sum(choice.nanoseconds[pick] for choice, pick in zip(self.choices, picks, strict=True))
        return self.fixed_nanoseconds + own

    def inside(self, picks: Picks, budget: Budget) -> bool:
        """Whether the architecture costs no more."""
        return self.flops(picks) <= budget.flops and self.nanoseconds(picks) <= budget.nanoseconds

    def limits(self, budget: Budget) -> tuple[Limit, Limit | None]:
        """The budget as what the choices may come to: one limit, and a second one where both are finite."""
        flops = Limit([choice.costs for choice in self.choices], budget.flops - self.fixed_flops)
        if self.fixed_nanoseconds is None or isinf(budget.nanoseconds):
            return flops, None
        latency = [choice.nanoseconds for choice in self.choices]
        limit = Limit(latency, budget.nanoseconds - self.fixed_nanoseconds)
        return (limit, None) if isinf(budget.flops) else (flops, limit)

    def attainable(self, budget: Budget) -> Budget:
        """The budget with its latency raised, if need be, to the smallest that is predicted inside its FLOPs.

        A prediction is no promise: where nothing is predicted to be inside, what is predicted to be fastest is left.
        """
        if self.fixed_nanoseconds is None or isinf(budget.nanoseconds):
            return budget
        flops, _ = self.limits(replace(budget, nanoseconds=inf))
        fastest = self.fixed_nanoseconds + smallest([choice.nanoseconds for choice in self.choices], flops)
        return replace(budget, nanoseconds=max(budget.nanoseconds, fastest))

    def smallest_flops(self) -> int:
        """Of the cheapest architecture."""
        return self.fixed_flops + sum(min(choice.costs) for choice in self.choices)

    def largest_flops(self) -> int:
        """Of the most expensive architecture."""
        return self.fixed_flops + sum(max(choice.costs) for choice in self.choices)

    def architecture(self, picks: Picks) -> LightArchitecture:
        """The architecture of these picks."""
        layers = [Layer(input=0, operation="") for _ in range(self.layers)]
        for choice, option in self.picked(picks):
            layer = layers[choice.layer - 1]
            if choice.kind == "input":
                layer.input = int(option)
            elif choice.kind == "operation":
                layer.operation = str(option)
            elif option:
                layer.residuals.append(choice.source)
        return LightArchitecture(width=self.width, layers=layers, attention_heads=self.heads)

    def picked(self, picks: Picks) -> Iterator[tuple[Choice, int | str | bool]]:
        """Each choice with the option picked."""
        for choice, pick in zip(self.choices, picks, strict=True):
            yield choice, choice.options[pick]


def space_of(features: Features, spec: SearchSpace, names: Sequence[str] = ()) -> Space:
    """The space of a `SearchSpace` for light models of these features."""
    heads = default_heads(spec.width)
    model = LightModel(features, any_architecture(spec.width, spec.layers, heads, spec.operations[0]), names)
    costs = Costs.of(model.fixed_flops(), [encoder.shape for encoder in model.encoders()], spec.operations)
    return Space.of(spec.width, spec.layers, heads, spec.operations, costs)


def any_architecture(width: int, layers: int, heads: int, operation: str) -> LightArchitecture:
    """Any architecture of these sizes, for models whose cells don't matter."""
    every = [Layer(input=0, operation=operation) for _ in range(layers)]
    return LightArchitecture(width=width, layers=every, attention_heads=heads)
