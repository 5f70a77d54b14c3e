"""What asks for the next candidate: optuna samplers by name. A new one is one file here and one line in `SAMPLERS`."""

import warnings
from collections.abc import Callable, Mapping

from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler

from longtail_trainer.running.errors import ConfigInvalid
from longtail_trainer.search.samplers.asking import Asking, NothingLeft
from longtail_trainer.search.samplers.evolution import evolution
from longtail_trainer.search.samplers.fitted import cmaes, gp, tpe
from longtail_trainer.search.samplers.racos import racos
from longtail_trainer.search.samplers.uniform import random, uniform

SAMPLERS: Mapping[str, Callable[[Asking], BaseSampler]] = {
    "racos": racos,
    "tpe": tpe,
    "gp": gp,
    "cmaes": cmaes,
    "evolution": evolution,
    "random": random,
    "uniform": uniform,
}
"""`racos` is ALT's default (IV-C)."""


def sampler_of(algorithm: str, asking: Asking) -> BaseSampler:
    """The sampler of one trial. Raises `ConfigInvalid` where there is no such one, or it can't draw from the space."""
    if algorithm not in SAMPLERS:
        raise ConfigInvalid(f"there is no search algorithm {algorithm!r}; choose one of {', '.join(SAMPLERS)}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # optuna's word for what may change in a later release
        return SAMPLERS[algorithm](asking)


__all__ = ["SAMPLERS", "Asking", "NothingLeft", "sampler_of"]
