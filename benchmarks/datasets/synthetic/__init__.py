"""Long-tail scenarios from a known truth: sizes by a power law, clusters of scenarios, related tasks.

The truth, in order:
- Scenario i has a share of `--rows` proportional to (i + 1) ** -exponent, at least `--min-rows`. Scenario i belongs to
  cluster i mod K; 7 in 10 of its rows are of entities at home in that cluster, so scenarios of a cluster share more
  entities (SAMD's implicit similarity). Its attribute `market` names the cluster in 85 of 100 scenarios (explicit).
- A row has ten directions of about unit variance (`DIRECTIONS`): two decayed sums over its last events, a slow and a
  fast one, so that content and order count; profile and context; two interactions of history and profile.
- Task t weighs them by a unit vector. The cosine of two tasks' vectors is the relation matrix of `truth.json`: above
  zero for correlated tasks, below for conflicting ones. A cluster turns all vectors by some angle, a scenario by a
  smaller one; a turn keeps the relation matrix as it is.
- label ~ Bernoulli(sigmoid(scenario's offset + SIGNAL * weights · directions)). A null counts as the average.

So the best AUC that any model can reach is that of the true probabilities. `truth.json` has it per scenario and task,
on the test rows themselves: compare a model's AUC on the same rows. `truth.parquet` has their true probabilities.
The same arguments give the same rows; memory does not grow with `--events` but for some bytes per entity.
"""

from benchmarks.datasets.synthetic.data_set import generate
from benchmarks.datasets.synthetic.events import CHANNEL_GAINS, CHANNELS, KIND_VALUES, KINDS
from benchmarks.datasets.synthetic.known_truth import Truth, truth
from benchmarks.datasets.synthetic.options import Options, add_arguments, options_of
from benchmarks.datasets.synthetic.profiles import REGIONS, TIER_EFFECTS, TIERS
from benchmarks.datasets.synthetic.samples import SLOT_EFFECTS, SLOTS
from benchmarks.datasets.synthetic.truth_file import auc

__all__ = [
    "CHANNELS",
    "CHANNEL_GAINS",
    "KINDS",
    "KIND_VALUES",
    "REGIONS",
    "SLOTS",
    "SLOT_EFFECTS",
    "TIERS",
    "TIER_EFFECTS",
    "Options",
    "Truth",
    "add_arguments",
    "auc",
    "generate",
    "options_of",
    "truth",
]
