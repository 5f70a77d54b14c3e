"""The last gate of a search: the first candidate that is fast enough on this machine."""

import logging
from dataclasses import replace

import torch

from longtail_trainer.export import export, measure_latency
from longtail_trainer.methods.alt.rankings.task import Ranking, SearchTask
from longtail_trainer.models.alt_light.model import LightModel
from longtail_trainer.running.errors import BudgetUnreachable
from longtail_trainer.search.budget import NANOSECONDS
from longtail_trainer.search.candidate import Candidate
from longtail_trainer.search.spaces.picks import Picks

log = logging.getLogger(__name__)

FASTER = 0.95
"""After an architecture that is too slow, the next one is predicted to take at most this share of what it was."""
MOST_MEASURED = 12


def fast_enough(ranking: Ranking, task: SearchTask, limit_milliseconds: float) -> Candidate:
    """The best architecture inside the budget whose p99 is within the limit.

    Exported with fresh weights, which don't change its time, and measured in the serving runtime: one thread, batch 1,
    maxLength. The first one is the best that is predicted to be inside. Where it is too slow, the prediction was wrong,
    and the next one is the best inside the limit that is left if all predictions are wrong by the same factor.
    Raises `BudgetUnreachable` where none is left; the one that is predicted to be fastest has been measured by then.
    """
    budget = task.budget
    fastest = float("inf")
    tried: set[Picks] = set()
    while len(tried) < MOST_MEASURED:
        found = ranking(budget)
        picks = task.space.picks(found.point)
        if picks in tried:
            break
        p99 = _p99(task, found)
        if p99 <= limit_milliseconds:
            return found
        tried.add(picks)
        fastest = min(fastest, p99)
        predicted = task.space.nanoseconds(picks)
        log.info(
            "%.3f ms, above %.3f ms, where %.3f ms were predicted; trying a faster one",
            p99,
            limit_milliseconds,
            predicted / NANOSECONDS,
        )
        last = len(tried) == MOST_MEASURED - 1
        left = 0 if last else min(limit_milliseconds / p99, FASTER) * predicted
        budget = replace(budget, nanoseconds=left)
    raise BudgetUnreachable(
        f"budget.maxLatencyMilliseconds: no architecture answers within {limit_milliseconds:g} ms on this machine "
        f"(p99, one thread); the fastest one tried took {fastest:.3f} ms: raise the limit, or reduce "
        "searchSpace.width, searchSpace.layers or the features"
    )


def _p99(task: SearchTask, candidate: Candidate) -> float:
    with torch.random.fork_rng():
        model = LightModel(task.features, task.space.decode(candidate.point), task.config.features)
    return measure_latency(model, export(model)).p99_milliseconds
