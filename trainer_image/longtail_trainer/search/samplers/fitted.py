"""optuna's own samplers that fit something to the trials so far."""

from optuna.samplers import BaseSampler, CmaEsSampler, GPSampler, TPESampler

from longtail_trainer.search.samplers.asking import Asking


def tpe(asking: Asking) -> BaseSampler:
    """Tree-structured Parzen estimators of all parameters together."""
    return TPESampler(seed=asking.trial_seed, n_startup_trials=_startup(asking.max_trials), multivariate=True)


def gp(asking: Asking) -> BaseSampler:
    """A Gaussian process; seconds a trial."""
    return GPSampler(seed=asking.trial_seed, n_startup_trials=_startup(asking.max_trials))


def cmaes(asking: Asking) -> BaseSampler:
    """Numbers only: choices are drawn at random beside them."""
    return CmaEsSampler(seed=asking.trial_seed, n_startup_trials=1, warn_independent_sampling=False)


def _startup(max_trials: int) -> int:
    """Random trials before a model is fitted: a quarter of the search, 10 at most."""
    return max(2, min(10, max_trials // 4))
