"""The last gate of a search: the first candidate that is fast enough on this machine."""

import logging

import torch

from longtail_trainer.errors import BudgetUnreachable
from longtail_trainer.export import export, measure_latency
from longtail_trainer.light.model import LightModel
from longtail_trainer.search.task import Candidate, Ranking, SearchTask

log = logging.getLogger(__name__)

CHEAPER = 0.8
"""After an architecture that is too slow, the next one has at most this share of its FLOPs."""
MOST_MEASURED = 12


def fast_enough(ranking: Ranking, task: SearchTask, limit_milliseconds: float) -> Candidate:
    """The best architecture inside the budget whose p99 is within the limit.

    Exported with fresh weights, which don't change its time, and measured in the serving runtime: one thread, batch 1,
    maxLength. One that is too slow is followed by the best one of clearly fewer FLOPs, so that few are measured.
    Raises `BudgetUnreachable` where none is left.
    """
    budget = task.budget
    fastest = float("inf")
    for _ in range(MOST_MEASURED):
        found = ranking(budget)
        if found is None:
            break
        flops = task.space.flops(found.picks)
        p99 = _p99(task, found)
        if p99 <= limit_milliseconds:
            return found
        log.info("%.3f ms at %d FLOPs, above %.3f ms; trying a cheaper one", p99, flops, limit_milliseconds)
        fastest = min(fastest, p99)
        budget = CHEAPER * flops
    raise BudgetUnreachable(
        f"budget.maxLatencyMilliseconds: no architecture answers within {limit_milliseconds:g} ms on this machine "
        f"(p99, one thread); the fastest one tried took {fastest:.3f} ms: raise the limit, or reduce "
        "searchSpace.width, searchSpace.layers or the features"
    )


def _p99(task: SearchTask, candidate: Candidate) -> float:
    with torch.random.fork_rng():
        model = LightModel(task.features, task.space.architecture(candidate.picks), task.config.features)
    return measure_latency(model, export(model)).p99_milliseconds
