"""Two axes: from figures to pixels, with round numbers at the ticks."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from longtail_trainer.pictures.drawing import GRAY, INK, PALE, SIZE, Drawing

ROUND = (1.0, 2.0, 2.5, 5.0, 10.0)
_PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


@dataclass(frozen=True)
class Scale:
    """Figures from `low` to `high` at pixels from `start` to `end`. Logarithmic ones are above 0."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def __call__(self, value: float) -> float:
        low, high, at = (math.log(v) if self.logarithmic else v for v in (self.low, self.high, value))
        return self.start + (self.end - self.start) * (at - low) / (high - low)

    def ticks(self, count: int = 6) -> list[float]:
        """Round numbers inside, about `count` of them, ascending."""
        if self.logarithmic:
            powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            every = [factor * 10.0**power for power in powers for factor in (1, 2, 5)]
            inside = [value for value in every if self.low <= value <= self.high]
            return inside if len(inside) <= 2 * count else [v for v in inside if f"{v:e}".startswith("1")]
        step = _round_step((self.high - self.low) / count)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [number * step for number in range(first, last + 1)]


def padded(values: Sequence[float], share: float = 0.06) -> tuple[float, float]:
    """Bounds of an axis with some room beyond the values; never the same twice."""
    low, high = min(values), max(values)
    room = (high - low) * share or abs(high) * share or 1.0
    return low - room, high + room


def axes(
    drawing: Drawing,
    x: Scale,
    y: Scale,
    x_title: str,
    y_title: str,
    x_words: Callable[[float], str],
    y_words: Callable[[float], str],
    x_ticks: Sequence[float] | None = None,
) -> None:
    """Grid, ticks and titles; y starts at the bottom."""
    for value in y.ticks():
        drawing.line((x.start, y(value)), (x.end, y(value)), stroke=PALE)
        drawing.text((x.start - 6, y(value) + SIZE / 3), y_words(value), anchor="end", fill=GRAY)
    for value in x.ticks() if x_ticks is None else x_ticks:
        drawing.line((x(value), y.start), (x(value), y.start + 4), stroke=GRAY)
        drawing.text((x(value), y.start + 18), x_words(value), anchor="middle", fill=GRAY)
    drawing.line((x.start, y.end), (x.start, y.start), (x.end, y.start), stroke=GRAY)
    drawing.text(((x.start + x.end) / 2, y.start + 38), x_title, anchor="middle", fill=INK)
    drawing.text((x.start - 54, (y.start + y.end) / 2), y_title, anchor="middle", fill=INK, turned=True)


def decimals(value: float) -> str:
    """A tick's figure without digits that say nothing."""
    return f"{value:.6g}"


def large(value: float) -> str:
    """`12300` as `12.3k`."""
    for size, prefix in _PREFIXES:
        if value >= size:
            return f"{value / size:.3g}{prefix}"
    return f"{value:.3g}"


def _round_step(least: float) -> float:
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in ROUND if factor * power >= least * (1 - 1e-9))
