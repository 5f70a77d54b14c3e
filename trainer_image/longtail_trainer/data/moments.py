"""Exact sums of float32 values and of their squares, and the mean and standard deviation that follow."""

from collections.abc import Sequence
from fractions import Fraction
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from longtail_api.store_objects import Moments

_MANTISSA = 24
"""Bits of a float32's significand."""
_HALF = 12
_AT_ONCE = 1 << 24
"""Values of one pass: sums of their significands (24 bits, and of squares 24 bits and a carry) fit float64's 53."""


def moments_of(values: NDArray[np.float64]) -> Moments | None:
    """Of finite values, taken as float32; None where there is none."""
    if not len(values):
        return None
    numbers = squares = Fraction(0)
    for start in range(0, len(values), _AT_ONCE):
        value, square = _exact_sums(values[start : start + _AT_ONCE].astype(np.float32))
        numbers, squares = numbers + value, squares + square
    return Moments(values=_expansion(numbers), squares=_expansion(squares))


def merged_moments(several: Sequence[Moments | None]) -> Moments | None:
    """Of all values together; None where there is nothing, or where some have no moments."""
    known = [one for one in several if one is not None]
    if not known or len(known) < len(several):
        return None
    return Moments(
        values=_expansion(sum((_sum(one.values) for one in known), Fraction(0))),
        squares=_expansion(sum((_sum(one.squares) for one in known), Fraction(0))),
    )


def mean_and_deviation(moments: Moments, count: int) -> tuple[float, float]:
    """Mean and standard deviation (of the population) of so many values; exact but for the last rounding."""
    mean = _sum(moments.values) / count
    variance = _sum(moments.squares) / count - mean**2
    return float(mean), sqrt(variance)


def _exact_sums(values: NDArray[np.float32]) -> tuple[Fraction, Fraction]:
    """Sum and sum of squares. Significands are whole numbers, added up in float64 for each exponent apart."""
    fractions, exponents = np.frexp(values.astype(np.float64))
    whole = fractions * 2.0**_MANTISSA
    lowest = int(exponents.min())
    place = exponents - lowest
    # (h·2¹² + l)² = h²·2²⁴ + 2hl·2¹² + l², each term of few enough bits to be added up exactly.
    high = np.trunc(whole / 2.0**_HALF)
    low = whole - high * 2.0**_HALF

    def total(terms: NDArray[np.float64], unit: int, shift: int) -> Fraction:
        sums = np.bincount(place, weights=terms)
        return sum(
            (Fraction(int(sums[at])) * Fraction(2) ** (unit * (lowest + int(at) - _MANTISSA) + shift))
            for at in np.flatnonzero(sums)
        ) + Fraction(0)

    squares = total(high * high, 2, 2 * _HALF) + total(2 * high * low, 2, _HALF) + total(low * low, 2, 0)
    return total(whole, 1, 0), squares


def _expansion(exact: Fraction) -> list[float]:
    """The number as float64s that add up to it, each what is left, rounded; none for 0."""
    parts: list[float] = []
    while exact:
        parts.append(float(exact))
        exact -= Fraction(parts[-1])
    return parts


def _sum(parts: Sequence[float]) -> Fraction:
    return sum(map(Fraction, parts), Fraction(0))
