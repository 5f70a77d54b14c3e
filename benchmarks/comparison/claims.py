"""Kinds of claims on compared figures, judged by intervals over seeds and scenarios."""

import math

from benchmarks.comparison.results import Claim
from benchmarks.comparison.statistics import Comparison

ABOVE_ZERO = "interval above 0"


def claim(
    name: str,
    figure: float,
    target: str | None = None,
    holds: bool | None = None,
    interval: tuple[float, float] | None = None,
) -> Claim:
    """Rounded to five digits."""
    rounded = (round(interval[0], 5), round(interval[1], 5)) if interval else None
    return Claim(name=name, figure=round(float(figure), 5), interval=rounded, target=target, holds=holds)


def shown(name: str, found: Comparison) -> Claim:
    """Without a target."""
    return _of(name, found, None, None)


def at_least(name: str, found: Comparison, least: float | None) -> Claim:
    """Of the mean. None: there is no target."""
    return shown(name, found) if least is None else _of(name, found, f"≥ {least}", found.mean >= least)


def at_most(name: str, found: Comparison, most: float | None) -> Claim:
    """Of the mean. None: there is no target."""
    return shown(name, found) if most is None else _of(name, found, f"≤ {most}", found.mean <= most)


def within(name: str, found: Comparison, most: float) -> Claim:
    """Of the mean, on either side of 0."""
    return _of(name, found, f"within {most}", abs(found.mean) <= most)


def above(name: str, found: Comparison, other: Comparison, words: str) -> Claim:
    """Of the mean, more than another one."""
    return _of(name, found, f"> {other.mean:.4f} ({words})", found.mean > other.mean)


def above_zero(name: str, found: Comparison) -> Claim:
    """The whole interval."""
    return _of(name, found, ABOVE_ZERO, found.low > 0)


def noise_floor(again: Comparison) -> float:
    """By how much a mean over seeds may differ though nothing but the weights' seed does; 19 times of 20 it is less.

    again: a method trained with another seed, less the same method. Neither is better, so the means by seed scatter
    around 0.
    """
    seeds = len(again.by_seed)
    return 1.96 * math.sqrt(sum(mean**2 for mean in again.by_seed) / seeds / seeds)


def not_below(name: str, found: Comparison, again: Comparison | None) -> Claim:
    """Of the mean: not below 0 by more than the noise floor. Without a second training there is no target."""
    if again is None:
        return shown(name, found)
    floor = noise_floor(again)
    return _of(name, found, f"≥ −{floor:.4f} (noise floor)", found.mean >= -floor)


def _of(name: str, found: Comparison, target: str | None, holds: bool | None) -> Claim:
    return claim(name, found.mean, target, holds, (found.low, found.high))
