"""The pieces of work of a comparison. A new kind is one module here and one line in `KINDS`.

Each is a function from a unit to its outcome; it may be stopped anywhere and run again.
"""

import importlib
import time

from benchmarks.alt.rows import Outcome, Unit

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


def carry_out(unit: Unit, workplace: object) -> Outcome:
    """The unit's outcome, kept in the cache; found there where it was done before."""
    from benchmarks.alt.units.workplace import Workplace

    assert isinstance(workplace, Workplace)
    found = workplace.cache.outcome(unit)
    if found is None:
        started = time.monotonic()
        found = importlib.import_module(KINDS[unit.kind]).run(unit, workplace)
        found = found.model_copy(update={"seconds": round(time.monotonic() - started, 3)})
        workplace.cache.keep(unit, found)
    return found
