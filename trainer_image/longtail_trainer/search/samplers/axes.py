"""One dimension of a search space, as RACOS sees it: coordinates on a line, cut by axis-parallel boxes.

A coordinate is a float for every kind of parameter; an interval [low, high] of coordinates is inclusive.
"""

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

Interval = tuple[float, float]


class Axis(Protocol):
    """A parameter's values as coordinates."""

    @property
    def whole(self) -> Interval:
        """The interval of all its values."""
        ...

    def coordinate(self, value: Any) -> float:
        """Where a value stands."""
        ...

    def value(self, coordinate: float) -> Any:
        """The value at a coordinate that `draw` or `coordinate` gave."""
        ...

    def draw(self, random: np.random.Generator, interval: Interval) -> float:
        """A uniform draw from an interval; uniform on the logarithm where the parameter is a logarithmic one."""
        ...

    def cut(self, random: np.random.Generator, interval: Interval, inside: float, outside: float) -> Interval:
        """A random part of the interval that has `inside` and lacks `outside` (another coordinate)."""
        ...


@dataclass(frozen=True)
class ContinuousAxis:
    """A float without step; the coordinate is the value, or its logarithm."""

    distribution: FloatDistribution

    @property
    def whole(self) -> Interval:
        return self.coordinate(self.distribution.low), self.coordinate(self.distribution.high)

    def coordinate(self, value: Any) -> float:
        return math.log(value) if self.distribution.log else float(value)

    def value(self, coordinate: float) -> float:
        value = math.exp(coordinate) if self.distribution.log else coordinate
        return min(max(value, self.distribution.low), self.distribution.high)

    def draw(self, random: np.random.Generator, interval: Interval) -> float:
        low, high = interval
        return min(max(low + (high - low) * random.random(), low), high)

    def cut(self, random: np.random.Generator, interval: Interval, inside: float, outside: float) -> Interval:
        low, high = interval
        bound = inside + (outside - inside) * random.random()
        if bound == outside:  # rounding, where the two are neighbors
            bound = inside
        return (low, bound) if outside > inside else (bound, high)


@dataclass(frozen=True)
class GridAxis:
    """Ordered values at equal steps: the coordinate is the number of steps from the lowest."""

    distribution: IntDistribution | FloatDistribution
    step: float

    @property
    def whole(self) -> Interval:
        return 0.0, self.coordinate(self.distribution.high)

    def coordinate(self, value: Any) -> float:
        return float(round((value - self.distribution.low) / self.step))

    def value(self, coordinate: float) -> int | float:
        if isinstance(self.distribution, IntDistribution):
            return self.distribution.low + int(coordinate) * self.distribution.step
        return min(self.distribution.low + coordinate * self.step, self.distribution.high)

    def draw(self, random: np.random.Generator, interval: Interval) -> float:
        return _whole_number(random, interval)

    def cut(self, random: np.random.Generator, interval: Interval, inside: float, outside: float) -> Interval:
        return _cut_between_whole_numbers(self, random, interval, inside, outside)


@dataclass(frozen=True)
class LogarithmicIntegerAxis:
    """Integers, of which each stands for the stretch of half a unit around it on the logarithmic scale."""

    distribution: IntDistribution

    @property
    def whole(self) -> Interval:
        return float(self.distribution.low), float(self.distribution.high)

    def coordinate(self, value: Any) -> float:
        return float(value)

    def value(self, coordinate: float) -> int:
        return int(coordinate)

    def draw(self, random: np.random.Generator, interval: Interval) -> float:
        low, high = interval
        exponent = math.log(low - 0.5) + (math.log(high + 0.5) - math.log(low - 0.5)) * random.random()
        return min(max(float(round(math.exp(exponent))), low), high)

    def cut(self, random: np.random.Generator, interval: Interval, inside: float, outside: float) -> Interval:
        return _cut_between_whole_numbers(self, random, interval, inside, outside)


@dataclass(frozen=True)
class CategoricalAxis:
    """Unordered choices: the coordinate is a choice's index, and the only parts are one choice and all of them."""

    distribution: CategoricalDistribution

    @property
    def whole(self) -> Interval:
        return 0.0, float(len(self.distribution.choices) - 1)

    def coordinate(self, value: Any) -> float:
        return float(self.distribution.to_internal_repr(value))

    def value(self, coordinate: float) -> Any:
        return self.distribution.to_external_repr(coordinate)

    def draw(self, random: np.random.Generator, interval: Interval) -> float:
        return _whole_number(random, interval)

    def cut(self, random: np.random.Generator, interval: Interval, inside: float, outside: float) -> Interval:
        return inside, inside


def _whole_number(random: np.random.Generator, interval: Interval) -> float:
    """A uniform draw from the whole numbers of the interval."""
    return float(random.integers(int(interval[0]), int(interval[1]), endpoint=True))


def _cut_between_whole_numbers(
    axis: Axis, random: np.random.Generator, interval: Interval, inside: float, outside: float
) -> Interval:
    """As `Axis.cut`, of coordinates that are whole numbers in order."""
    low, high = interval
    if outside > inside:
        return low, axis.draw(random, (inside, outside - 1))
    return axis.draw(random, (outside + 1, inside)), high


def axis_of(distribution: BaseDistribution) -> Axis:
    """The axis of one of optuna's distributions."""
    match distribution:
        case CategoricalDistribution():
            return CategoricalAxis(distribution)
        case IntDistribution(log=True):
            return LogarithmicIntegerAxis(distribution)
        case IntDistribution():
            return GridAxis(distribution, distribution.step)
        case FloatDistribution(step=None):
            return ContinuousAxis(distribution)
        case FloatDistribution(step=float(step)):
            return GridAxis(distribution, step)
        case _:
            raise TypeError(f"{distribution!r} is no distribution this sampler knows")
