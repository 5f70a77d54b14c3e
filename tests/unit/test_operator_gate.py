"""maxConcurrentRuns, decided from what is seen and from what was just promised."""

from hypothesis import given
from hypothesis import strategies as st

from longtail_operator.kubernetes.objects import SCENARIO, Json, Key, key_of
from longtail_operator.scenario.gate import WAITING_MESSAGE, is_admitted


def scenario(name: str, step: str | None = None, waits: bool = False) -> Json:
    conditions = [{"type": "DataPrepared", "message": WAITING_MESSAGE}] if waits else []
    run = {"number": 1, "started": "2026-01-01T00:00:00Z"} | ({"step": step} if step else {})
    return {
        "kind": SCENARIO,
        "metadata": {"namespace": "models", "name": name},
        "status": {"run": run, "conditions": conditions},
    }


def test_a_place_claimed_a_moment_ago_counts_before_any_watch_has_seen_it():
    first, second = scenario("a"), scenario("b")
    assert is_admitted(key_of(second), [first, second], limit=1)
    assert not is_admitted(key_of(second), [first, second], limit=1, claimed=frozenset({key_of(first)}))


def test_one_that_works_keeps_its_place():
    assert is_admitted(key_of(scenario("a", "adapt")), [scenario("a", "adapt"), scenario("b", "adapt")], limit=1)


def test_those_that_wait_are_served_in_order():
    waiting = [scenario("b", waits=True), scenario("a", waits=True)]
    assert is_admitted(Key(SCENARIO, "models", "a"), waiting, limit=1)
    assert not is_admitted(Key(SCENARIO, "models", "b"), waiting, limit=1)


@given(count=st.integers(1, 12), limit=st.integers(1, 5), order=st.randoms())
def test_however_they_come_no_more_than_the_limit_are_admitted_at_once(count: int, limit: int, order):
    scenarios = [scenario(f"s{number:02d}") for number in range(count)]
    order.shuffle(scenarios)
    claimed: set[Key] = set()
    for each in list(scenarios):
        if is_admitted(key_of(each), scenarios, limit, frozenset(claimed)):
            claimed.add(key_of(each))
    assert len(claimed) == min(count, limit)
