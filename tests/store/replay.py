"""The chain computed anew from what was handed in: an independent reading of ALT Eq. 3 and of the design.

Shares no code with the meta-update: gradients are the arrays the test made, not the files.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from longtail_api.store_objects import MetaUpdateParameters, Version

Parameters = dict[str, np.ndarray]


@dataclass(frozen=True)
class Handed:
    """The gradient of one run, as dense arrays."""

    gradients: Mapping[str, np.ndarray]
    base_version: int


def replayed(
    chain: Sequence[Version],
    fresh: Mapping[int, Parameters],
    handed: Mapping[tuple[str, int], Handed],
    parameters: MetaUpdateParameters,
) -> dict[int, Parameters]:
    """The parameters of every version, by number. `fresh`: those of versions that begin anew, or were trained."""
    states: dict[int, Parameters] = {}
    for version in chain:
        if version.number in fresh:
            states[version.number] = fresh[version.number]
            continue
        state = {name: value.copy() for name, value in states[version.number - 1].items()}
        for name in [name for name, value in state.items() if value.dtype == np.float32]:
            step = np.zeros(state[name].shape, np.float64)
            for folded in version.folded:
                run = handed[folded.scenario, folded.run]
                age = version.number - 1 - run.base_version
                length = np.sqrt(sum(np.sum(np.square(g, dtype=np.float64)) for g in run.gradients.values()))
                shrink = min(1.0, parameters.clip_norm / length) if length else 1.0
                if name in run.gradients:
                    step = step + shrink / (1 + age) ** parameters.staleness_exponent * run.gradients[name]
            state[name] = np.asarray(state[name] - parameters.learning_rate * step, np.float32)
        states[version.number] = state
    return states
