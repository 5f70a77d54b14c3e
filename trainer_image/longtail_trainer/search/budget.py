"""What a candidate may cost by meter: FLOPs, and where there is a limit of it, predicted latency. Both are kept."""

import math
from dataclasses import dataclass

FLOPS, LATENCY = "flops", "nanoseconds"
"""Meters: exact multiply-adds × 2 of one prediction, and its predicted p99."""
NANOSECONDS = 1_000_000
"""In a millisecond."""


@dataclass(frozen=True)
class Budget:
    """Most FLOPs, and most nanoseconds of predicted latency (p99), of the whole model; infinite where not limited.

    A bound on FLOPs is a promise, as they are exact; one on a prediction is none, so its candidates are measured.
    """

    flops: float = math.inf
    nanoseconds: float = math.inf


UNLIMITED = Budget()
