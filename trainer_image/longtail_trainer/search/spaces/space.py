"""The one space: decisions in order, and what its owner makes of the values that they come to.

A concrete space is one file beside this one. It alone knows what its decisions are called, what a point of it decodes
to, and how its history is shown; samplers, derivation, driver and pictures see decisions, costs and panels.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from optuna.trial import BaseTrial, FixedTrial

from longtail_trainer.running.errors import ConfigInvalid
from longtail_trainer.search.spaces.decisions import Choice, Decision, Value, text_of

Point = Mapping[str, Value]
"""The values of a candidate by decision; decisions that are not taken are absent."""
Decoded = TypeVar("Decoded")


@dataclass(frozen=True)
class Row:
    """One line of a panel: how probable one option of a decision was, and whether the search picked it."""

    label: str
    decision: str
    option: int
    picked: bool


@dataclass(frozen=True)
class RowGroup:
    """Lines that belong together."""

    title: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Panel:
    """A part of the picture of how distributions moved."""

    title: str
    groups: tuple[RowGroup, ...]


@dataclass(frozen=True, kw_only=True)
class Space(ABC, Generic[Decoded]):
    """Decisions in the order in which they are taken, and by meter what all candidates cost alike.

    Raises `ConfigInvalid` where there is no decision, a name or an option stands there twice, a decision has no
    value, or one depends on what no earlier decision can come to.
    """

    decisions: tuple[Decision, ...]
    fixed: Mapping[str, int] = field(default_factory=dict[str, int])

    def __post_init__(self) -> None:
        if not self.decisions:
            raise ConfigInvalid("the search space is empty; name at least one decision")
        earlier: dict[str, Decision] = {}
        for one in self.decisions:
            if one.name in earlier:
                raise ConfigInvalid(f"decision {one.name}: is named twice; keep one")
            if isinstance(one, Choice) and len(set(map(text_of, one.options))) < len(one.options):
                raise ConfigInvalid(f"decision {one.name}: a value stands there twice; keep one")
            if (not one.options) if isinstance(one, Choice) else one.low > one.high:
                raise ConfigInvalid(f"decision {one.name}: has no value; give options, or a low that is at most high")
            self._check_condition(one, earlier)
            earlier[one.name] = one

    def _check_condition(self, one: Decision, earlier: Mapping[str, Decision]) -> None:
        if one.condition is None:
            return
        other = earlier.get(one.condition.decision)
        if not isinstance(other, Choice):
            raise ConfigInvalid(
                f"decision {one.name}: depends on {one.condition.decision}, which is no choice before it; move it there"
            )
        unknown = [text_of(value) for value in one.condition.values if value not in other.options]
        if unknown or not one.condition.values:
            raise ConfigInvalid(
                f"decision {one.name}: depends on {other.name} being {', '.join(unknown) or 'nothing'}; "
                f"choose of {', '.join(map(text_of, other.options))}"
            )

    @abstractmethod
    def decode(self, point: Point) -> Decoded:
        """The candidate at a point. Raises `ConfigInvalid` where its values don't go together."""

    @abstractmethod
    def encode(self, decoded: Decoded) -> Point:
        """The point of a candidate, so that `decode` gives it back. Raises `ConfigInvalid` where it has none."""

    def panels(self, point: Point) -> tuple[Panel, ...]:
        """How the distributions over this space's choices are shown, with `point` as what was picked."""
        groups = (
            RowGroup(choice.name, tuple(option_row(choice, number, point) for number in range(len(choice.options))))
            for choice in self.decisions
            if isinstance(choice, Choice)
        )
        return (Panel("Choices", tuple(groups)),)

    @property
    def size(self) -> int | None:
        """How many points there are; None where a number is continuous."""
        referred = {one.condition.decision for one in self.decisions if one.condition is not None}
        return _count(self.decisions, {}, referred)

    def suggest(self, trial: BaseTrial) -> Point:
        """The point that a trial picks, decision by decision."""
        point: dict[str, Value] = {}
        for one in self.decisions:
            if is_taken(one, point):
                point[one.name] = one.suggest(trial)
        return point

    def parameters(self, point: Point) -> dict[str, Any]:
        """A point as samplers see it."""
        return {one.name: one.parameter(point[one.name]) for one in self.decisions if one.name in point}

    def point_of(self, parameters: Mapping[str, Any]) -> Point:
        """The point that samplers see as these parameters."""
        return self.suggest(FixedTrial(dict(parameters)))

    def cost(self, point: Point, meter: str) -> int:
        """What the candidate at a point costs: what is fixed, and the options that it has."""
        return self.fixed.get(meter, 0) + sum(
            one.costs_of(meter)[one.options.index(point[one.name])]
            for one in self.decisions
            if isinstance(one, Choice) and one.name in point
        )


def is_taken(decision: Decision, point: Point) -> bool:
    """Whether a decision is to be taken, after those that the point has."""
    condition = decision.condition
    return condition is None or (condition.decision in point and point[condition.decision] in condition.values)


def option_row(choice: Choice, option: int, point: Point, label: str | None = None) -> Row:
    """The line of one option, which is called as itself unless it has a label."""
    value = choice.options[option]
    return Row(text_of(value) if label is None else label, choice.name, option, point.get(choice.name) == value)


def _count(decisions: Sequence[Decision], point: Point, referred: set[str]) -> int | None:
    """Points of these decisions after `point`; only decisions that others refer to are gone through one by one."""
    if not decisions:
        return 1
    first, rest = decisions[0], decisions[1:]
    if not is_taken(first, point):
        return _count(rest, point, referred)
    if not isinstance(first, Choice) or first.name not in referred:
        after = _count(rest, point, referred)
        return None if first.size is None or after is None else first.size * after
    total = 0
    for option in first.options:
        after = _count(rest, {**point, first.name: option}, referred)
        if after is None:
            return None
        total += after
    return total
