"""The pieces of work of ALT's comparison. A new kind is one module here and one line in `KINDS`.

Each is a function from a unit to its outcome; it may be stopped anywhere and run again.
"""

KINDS = {
    "prepare": "benchmarks.alt.units.prepare",
    "pool": "benchmarks.alt.units.pool",
    "chain": "benchmarks.alt.units.chain",
    "single": "benchmarks.alt.units.single",
    "boosting": "benchmarks.alt.units.boosting",
    "light": "benchmarks.alt.units.light",
    "latency": "benchmarks.alt.units.latency",
    "budgets": "benchmarks.alt.units.budgets",
}
SOURCES = (
    "longtail_trainer",
    "longtail_operator.meta_update",
    "benchmarks.alt.units",
    "benchmarks.comparison.folds",
    "benchmarks.comparison.boosting",
    "benchmarks.comparison.target_statistics",
)
"""Packages and modules whose code makes the figures: a change of any starts afresh."""
