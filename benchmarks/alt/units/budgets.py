"""budgets: whether what a search derives ever exceeds its budget, over many budgets and distributions."""

import math
import random

from benchmarks.alt.rows import Outcome, Unit
from benchmarks.alt.units.light import chain_unit
from benchmarks.alt.units.workplace import Workplace
from longtail_trainer.methods.alt.teacher import load_heavy
from longtail_trainer.models.alt_light.model import LightModel
from longtail_trainer.search.budget import Budget
from longtail_trainer.search.derivation import most_probable
from longtail_trainer.search.spaces.alt_cell import space_of

BUDGETS = 100


def run(unit: Unit, workplace: Workplace) -> Outcome:
    """Outputs: `budgets` drawn, and how many were `exceeded` by the FLOPs that the built model itself counts.

    Budgets are drawn between the cheapest and the most expensive architecture of the space, each with log-probabilities
    of its own, drawn too: no search is needed to ask what its derivation would do.
    """
    chain = chain_unit(unit)
    heavy_result = next(iter(workplace.cache.done(chain).outputs["heavyResults"].values()))
    features = load_heavy(workplace.store(chain), heavy_result).features
    space = space_of(features, workplace.protocol.search_space())
    generator = random.Random(unit.seed)
    exceeded = 0
    for _ in range(BUDGETS):
        budget = generator.randint(space.smallest_flops(), space.largest_flops())
        log_probabilities = [_distribution(len(choice.options), generator) for choice in space.choices]
        picks, _ = next(most_probable(log_probabilities, *space.limits(Budget(budget))))
        exceeded += LightModel(features, space.decode_picks(picks)).flops() > budget
    return Outcome(outputs={"budgets": BUDGETS, "exceeded": exceeded})


def _distribution(options: int, generator: random.Random) -> list[float]:
    """Log-probabilities of so many options."""
    logits = [generator.gauss(0, 2) for _ in range(options)]
    total = math.log(sum(math.exp(logit) for logit in logits))
    return [logit - total for logit in logits]
