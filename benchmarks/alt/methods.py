"""Names of the methods, as rows, tables and claims use them."""

from benchmarks.comparison.tables import AGAIN

SINGLE = "SinH"
SINGLE_POOLED_SCHEDULE = "SinH, pooled schedule"
"""SinH has a schedule made for few rows (`Protocol.single`). This one trains exactly as the pool does, which few rows
can't fill with steps."""
SINGLE_PAPER_SCHEDULE = "SinH, the paper's schedule"
"""As ALT V-A trains every model: 5 epochs, batches of 512, rate 0.001. Some hundred rows make ten steps of that."""
PROFILE_ONLY = "Profile only"
SINGLE_METHODS = (SINGLE, SINGLE_POOLED_SCHEDULE, SINGLE_PAPER_SCHEDULE)

ADAPTED = "MeH"
BEFORE = "Agnostic"
"""The version that MeH started from, before fine-tuning."""
FINAL = "Final agnostic"
"""The last version, on every scenario."""
INITIAL = "Initial agnostic"
"""Version 1, on the scenarios of its own pool."""

PREDEFINED = "MeL"
SEARCHED = "Ours"
LIGHT_METHODS = (PREDEFINED, SEARCHED)
"""Those whose latency is measured."""

POOLED_BOOSTING = "Boosting, pooled rows"
"""Trained on exactly the rows that pooled training sees."""
BOOSTING = "Boosting, all rows"
"""Trained on the training rows of every scenario."""

TARGET_BOOSTING = "Boosting, target statistics"
"""On all rows, with mean label and count of every category beside the categories themselves."""

ADAPTED_AGAIN = ADAPTED + AGAIN
BEFORE_AGAIN = BEFORE + AGAIN
PREDEFINED_AGAIN = PREDEFINED + AGAIN
"""The noise floor: the same architecture, rows and order of arrival, trained with another seed. MeH's begins with a
version 1 of its own, MeL's has the same teacher."""

METHODS = (
    PROFILE_ONLY, POOLED_BOOSTING, BOOSTING, TARGET_BOOSTING, SINGLE_PAPER_SCHEDULE, SINGLE_POOLED_SCHEDULE, SINGLE,
    BEFORE, BEFORE_AGAIN, ADAPTED, ADAPTED_AGAIN, PREDEFINED, PREDEFINED_AGAIN, SEARCHED,
)  # fmt: skip
"""All that a comparison is of, in the order of its tables."""

RANDOM = "random-architecture"
LIGHT_ABLATIONS = ("no-distillation", "own-rows-only", "no-flops-term", RANDOM)
FOLDING_ABLATIONS = ("frozen-agnostic", "synchronous", "asynchronous", "staleness-0", "staleness-1")
ABLATIONS = LIGHT_ABLATIONS + FOLDING_ABLATIONS
