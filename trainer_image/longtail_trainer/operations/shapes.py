"""The kinds of shape that operations work on: of one sample, without the batch."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Sequence:
    """Events of one behavior sequence: modules take `x` (batch, length, width) and `mask` (batch, length).

    length: events, as FLOPs are counted (the schema's maxLength); modules take any length ≥ 1
    width: channels of an event
    heads: attention heads, where an operation has any; a divisor of the width
    """

    length: int
    width: int
    heads: int = 1


@dataclass(frozen=True)
class Fields:
    """Fields of one width, of which each stands for a feature at first: modules take `x` (batch, count, width)."""

    count: int
    width: int


@dataclass(frozen=True)
class Vector:
    """One vector: modules take `x` (batch, width)."""

    width: int


Shape = Sequence | Fields | Vector
