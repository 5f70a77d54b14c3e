"""Spaces of independent choices with costs: their points are index picks too, which derivation and budgets work on."""

from abc import ABC
from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import isinf

from longtail_trainer.running.errors import ConfigInvalid
from longtail_trainer.search.budget import FLOPS, LATENCY, Budget
from longtail_trainer.search.derivation import Limit, smallest
from longtail_trainer.search.spaces.decisions import Choice
from longtail_trainer.search.spaces.space import Decoded, Point, Space

Picks = tuple[int, ...]
"""A candidate: the index of the option picked in each choice."""


@dataclass(frozen=True, kw_only=True)
class PickSpace(Space[Decoded], ABC):
    """The product of its choices: what one picks changes neither the options nor the costs of another.

    Raises `ConfigInvalid` where a decision is a number or has a condition, besides what every space raises.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        for one in self.decisions:
            if not isinstance(one, Choice) or one.condition is not None:
                raise ConfigInvalid(f"decision {one.name}: is no unconditional choice, which this space is made of")

    @property
    def choices(self) -> tuple[Choice, ...]:
        """The decisions, each a choice."""
        return tuple(one for one in self.decisions if isinstance(one, Choice))

    def point(self, picks: Picks) -> Point:
        """The point of these picks."""
        return {choice.name: choice.options[pick] for choice, pick in zip(self.choices, picks, strict=True)}

    def picks(self, point: Point) -> Picks:
        """The picks of a point."""
        return tuple(choice.options.index(point[choice.name]) for choice in self.choices)

    def decode_picks(self, picks: Picks) -> Decoded:
        """The candidate of these picks."""
        return self.decode(self.point(picks))

    @property
    def fixed_flops(self) -> int:
        """Of what no choice changes."""
        return self.fixed.get(FLOPS, 0)

    @property
    def fixed_nanoseconds(self) -> int | None:
        """Predicted latency of what no choice changes; None in a space without predictions."""
        return self.fixed.get(LATENCY)

    def flops(self, picks: Picks) -> int:
        """Of the whole model with these picks."""
        return self.fixed_flops + sum(self._own(picks, FLOPS))

    def nanoseconds(self, picks: Picks) -> int:
        """Predicted latency (p99) of the whole model with these picks. In a space without predictions, 0."""
        return 0 if self.fixed_nanoseconds is None else self.fixed_nanoseconds + sum(self._own(picks, LATENCY))

    def _own(self, picks: Picks, meter: str) -> Iterator[int]:
        return (choice.costs_of(meter)[pick] for choice, pick in zip(self.choices, picks, strict=True))

    def inside(self, picks: Picks, budget: Budget) -> bool:
        """Whether the candidate costs no more."""
        return self.flops(picks) <= budget.flops and self.nanoseconds(picks) <= budget.nanoseconds

    def limits(self, budget: Budget) -> tuple[Limit, Limit | None]:
        """The budget as what the choices may come to: one limit, and a second one where both are finite."""
        flops = Limit(self.costs(FLOPS), budget.flops - self.fixed_flops)
        if self.fixed_nanoseconds is None or isinf(budget.nanoseconds):
            return flops, None
        limit = Limit(self.costs(LATENCY), budget.nanoseconds - self.fixed_nanoseconds)
        return (limit, None) if isinf(budget.flops) else (flops, limit)

    def costs(self, meter: str) -> list[tuple[int, ...]]:
        """What each option of each choice adds on a meter."""
        return [choice.costs_of(meter) for choice in self.choices]

    def attainable(self, budget: Budget) -> Budget:
        """The budget with its latency raised, if need be, to the smallest that is predicted inside its FLOPs.

        A prediction is no promise: where nothing is predicted to be inside, what is predicted to be fastest is left.
        """
        if self.fixed_nanoseconds is None or isinf(budget.nanoseconds):
            return budget
        flops, _ = self.limits(replace(budget, nanoseconds=float("inf")))
        fastest = self.fixed_nanoseconds + smallest(self.costs(LATENCY), flops)
        return replace(budget, nanoseconds=max(budget.nanoseconds, fastest))

    def smallest_flops(self) -> int:
        """Of the cheapest candidate."""
        return self.fixed_flops + sum(min(options) for options in self.costs(FLOPS))

    def largest_flops(self) -> int:
        """Of the most expensive candidate."""
        return self.fixed_flops + sum(max(options) for options in self.costs(FLOPS))
