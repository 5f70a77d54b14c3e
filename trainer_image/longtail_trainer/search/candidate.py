"""What a search finds."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from longtail_api.store_objects import Metric
from longtail_trainer.search.spaces.space import Point


@dataclass(frozen=True)
class Candidate:
    """A point of a space, and what is known of it.

    figures: on rows that no gradient saw, by name; empty where the evaluator gives a single number alone.
    log_probability: of the point in the distribution that the search learned (ALT Eq. 9), where it learned one.
    """

    point: Point
    figures: Mapping[str, Metric] = field(default_factory=dict[str, Metric])
    log_probability: float | None = None
