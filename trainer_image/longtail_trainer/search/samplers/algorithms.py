"""The search algorithms by name, each as an optuna sampler. A new one is one more line."""

import warnings
from collections.abc import Callable, Mapping

from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, CmaEsSampler, GPSampler, RandomSampler, TPESampler

from longtail_trainer.running.errors import ConfigInvalid
from longtail_trainer.search.samplers.evolution import EvolutionSampler
from longtail_trainer.search.samplers.racos import RacosSampler

SHORT_SEARCH = 50
"""Trials up to which RACOS learns from fewer solutions (ZOOpt's rule for its budgets): it draws from boxes sooner."""


def sampler_of(algorithm: str, seed: int, max_trials: int) -> BaseSampler:
    """A sampler for a search of at most that many trials. Raises `ConfigInvalid` where there is no such algorithm."""
    if algorithm not in ALGORITHMS:
        raise ConfigInvalid(f"there is no search algorithm {algorithm!r}; choose one of {', '.join(ALGORITHMS)}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # optuna's word for what may change in a later release
        return ALGORITHMS[algorithm](seed, max_trials)


def _racos(seed: int, max_trials: int) -> BaseSampler:
    return RacosSampler(seed, positives=1, negatives=3) if max_trials <= SHORT_SEARCH else RacosSampler(seed)


def _tpe(seed: int, max_trials: int) -> BaseSampler:
    return TPESampler(seed=seed, n_startup_trials=_startup(max_trials), multivariate=True)


def _gp(seed: int, max_trials: int) -> BaseSampler:
    return GPSampler(seed=seed, n_startup_trials=_startup(max_trials))


def _cmaes(seed: int, max_trials: int) -> BaseSampler:
    """Numbers only: choices are drawn at random beside them."""
    return CmaEsSampler(seed=seed, n_startup_trials=1, warn_independent_sampling=False)


def _evolution(seed: int, max_trials: int) -> BaseSampler:
    """A fifth of the search fills the population."""
    population = max(4, min(50, max_trials // 5))
    return EvolutionSampler(seed, population, tournament=max(2, population // 4))


def _random(seed: int, max_trials: int) -> BaseSampler:
    return RandomSampler(seed)


def _startup(max_trials: int) -> int:
    """Random trials before a model is fitted: a quarter of the search, 10 at most."""
    return max(2, min(10, max_trials // 4))


ALGORITHMS: Mapping[str, Callable[[int, int], BaseSampler]] = {
    "racos": _racos,
    "tpe": _tpe,
    "gp": _gp,
    "cmaes": _cmaes,
    "evolution": _evolution,
    "random": _random,
}
"""Factories by name, of (seed, most trials). `racos` is ALT's default (IV-C)."""
