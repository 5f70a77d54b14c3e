"""Budget-limited architecture search (ALT III-D). A new algorithm is one file here and one line in `ALGORITHMS`.

An algorithm hands back a ranking: a function from a budget to the best architecture inside it.
"""

from collections.abc import Callable

from longtail_trainer.methods.alt.rankings.gdas import gdas_ranking
from longtail_trainer.methods.alt.rankings.random import random_ranking
from longtail_trainer.methods.alt.rankings.task import Ranking, SearchTask

ALGORITHMS: dict[str, Callable[[SearchTask], Ranking]] = {
    "gdas": gdas_ranking,
    "random": random_ranking,
}
"""By `LightModelSearch.spec.algorithm.name`."""

__all__ = ["ALGORITHMS", "Ranking", "SearchTask"]
