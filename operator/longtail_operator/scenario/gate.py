"""maxConcurrentRuns: which Scenarios of a HeavyModel may start a Job now. First come, first served."""

from longtail_operator.kubernetes.objects import Json, Key, entries, key_of, section


def is_unfinished(scenario: Json) -> bool:
    """Is a run of the Scenario under way?"""
    run = section(scenario, "status", "run")
    return bool(run) and run.get("outcome") is None


def holds_place(scenario: Json) -> bool:
    """Does one of its steps have a Job? The step is in the status before its Job exists."""
    run = section(scenario, "status", "run")
    return is_unfinished(scenario) and run.get("step") is not None


def waits_for_place(scenario: Json) -> bool:
    """Was it turned away before?"""
    conditions = entries(scenario, "status", "conditions")
    return is_unfinished(scenario) and any(condition.get("message") == WAITING_MESSAGE for condition in conditions)


WAITING_MESSAGE = "waiting for a place among maxConcurrentRuns"


def is_admitted(asking: Key, scenarios: list[Json], limit: int, claimed: frozenset[Key] = frozenset()) -> bool:
    """May `asking` start a Job, beside those that hold a place?

    claimed: Scenarios that were admitted a moment ago, whose new status has not been seen yet.

    Those that wait are served in the order in which their runs started, ties by name. A Scenario that waits for
    its HeavyModel holds no place, or the pool could never be completed.
    """
    holders = {key_of(scenario) for scenario in scenarios if holds_place(scenario) or key_of(scenario) in claimed}
    if asking in holders:
        return True
    line = [scenario for scenario in scenarios if key_of(scenario) == asking or waits_for_place(scenario)]
    line = [scenario for scenario in line if key_of(scenario) not in holders]
    line.sort(key=lambda item: (section(item, "status", "run").get("started") or "~", key_of(item)))
    order = [key_of(scenario) for scenario in line]
    return asking in order and order.index(asking) < limit - len(holders)
