"""What a search algorithm is given, and what it hands back."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from longtail_api.data_schema import DataSchema
from longtail_api.light_model_search import Objective
from longtail_api.methods.alt import SearchConfig
from longtail_api.store_objects import Features, Metric
from longtail_trainer.data.encoded import EncodedSplit
from longtail_trainer.methods.alt.distillation import DistillationLosses
from longtail_trainer.running.errors import ConfigInvalid
from longtail_trainer.running.step import StepContext
from longtail_trainer.search.budget import NANOSECONDS, Budget
from longtail_trainer.search.candidate import Candidate
from longtail_trainer.search.spaces.alt_cell import CellSpace
from longtail_trainer.search.spaces.picks import Picks


@dataclass(frozen=True)
class SearchTask:
    """One search: config, space, and encoded rows, which carry the teacher's logits (`with_teacher`).

    validation: rows that no gradient ever sees; also as they are, without a teacher.
    """

    config: SearchConfig
    context: StepContext
    features: Features
    space: CellSpace
    support: EncodedSplit
    query: EncodedSplit
    validation: EncodedSplit
    taught_validation: EncodedSplit
    losses: DistillationLosses

    @property
    def budget(self) -> Budget:
        """Of the whole model; infinite what isn't limited."""
        flops, milliseconds = self.config.max_flops, self.config.max_latency_milliseconds
        return Budget(
            math.inf if flops is None else flops, math.inf if milliseconds is None else milliseconds * NANOSECONDS
        )


Ranking = Callable[[Budget], Candidate]
"""What a search learned: the best architecture inside a budget that the search's own allows, by validation rows.

Where none is predicted to be that fast, the one that is predicted to be fastest inside its FLOPs: a prediction is no
promise.
"""


def predicted_milliseconds(space: CellSpace, picks: Picks) -> dict[str, float]:
    """For the history of the search: what an architecture is predicted to take; nothing without predictions."""
    if space.fixed_nanoseconds is None:
        return {}
    return {"predictedMilliseconds": round(space.nanoseconds(picks) / NANOSECONDS, 4)}


def objective_name(objective: Objective, schema: DataSchema) -> str:
    """Name of the figure in `evaluate`'s metrics. Raises `ConfigInvalid` for a label or figure that it hasn't."""
    try:
        return objective.figure(schema)
    except ValueError as error:
        raise ConfigInvalid(str(error)) from error


def goodness(metrics: Mapping[str, Metric], name: str) -> float:
    """The figure, so that larger is better; −∞ where it can't be estimated."""
    value = metrics[name].value
    if value is None:
        return -math.inf
    return value if name.endswith("auc") else -value


def reached(metrics: Mapping[str, Metric], name: str, goal: float | None) -> bool:
    """Whether the goal of the search is reached."""
    if goal is None:
        return False
    return goodness(metrics, name) >= (goal if name.endswith("auc") else -goal)
