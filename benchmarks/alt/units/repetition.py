"""What one seed draws beside its test rows: the order in which scenarios arrive, and who is in the ablations."""

from collections.abc import Sequence

import numpy as np

_ORDER, _ABLATION = 0, 3
"""Streams of random numbers: no two kinds of draw share one."""


def arrival_order(scenarios: Sequence[str], seed: int) -> list[str]:
    """The scenarios in the order of their arrival. The first ones are the initial scenarios, however many these are:
    so more initial scenarios always include the fewer."""
    order = np.random.default_rng([seed, _ORDER]).permutation(len(scenarios))
    return [sorted(scenarios)[number] for number in order]


def ablation_scenarios(scenarios: Sequence[str], seed: int, count: int) -> list[str]:
    """Those that a seed compares ablations on."""
    order = np.random.default_rng([seed, _ABLATION]).permutation(len(scenarios))
    return sorted(sorted(scenarios)[number] for number in order[:count])
