"""What a sampler is told when a search asks it for a trial."""

from dataclasses import dataclass
from typing import Any

from longtail_trainer.search.budget import UNLIMITED, Budget
from longtail_trainer.search.spaces.space import Space


class NothingLeft(Exception):
    """A sampler that asks for nothing twice has asked for all there is."""


@dataclass(frozen=True)
class Asking:
    """One ask. Samplers keep no state: what they draw follows from this and the trials of the study.

    trial_seed: of this trial's draws alone. search_seed: of a sequence of draws, of which a trial takes its place.
    max_trials: of the whole search. space, budget: what is searched; samplers that look at parameters alone need none.
    """

    search_seed: int
    trial_seed: int
    max_trials: int
    space: Space[Any] | None = None
    budget: Budget = UNLIMITED
