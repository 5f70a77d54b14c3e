"""A Scenario and the store of its HeavyModel: nothing is written there before it is known whose it is."""

from dataclasses import replace

import pytest

from longtail_api.heavy_model import HeavyModelStatus
from longtail_operator.scenario.world import HeavyModelView
from tests.unit.operator_builders import MODEL_KEY, Story, a_heavy_model, a_serving_scenario, store_ready


@pytest.mark.parametrize(
    ("condition", "reason", "words"),
    [
        (None, "Waiting", "waiting for the store of HeavyModel shared"),
        (store_ready(None, "Pending", "not looked at yet"), "Waiting", "not looked at yet"),
        (store_ready(False, "AccessDenied", "no leave"), "Waiting", "no leave"),
        (store_ready(False, "StoreTaken", "belongs to another"), "StoreTaken", "belongs to another"),
    ],
)
def test_nothing_is_written_into_a_store_before_it_is_the_heavy_models_own(condition, reason: str, words: str):
    model = HeavyModelView(
        MODEL_KEY, a_heavy_model(), HeavyModelStatus(conditions=[condition] if condition else []), None
    )
    plan = Story(model).plan()
    assert plan.children == ()
    ready = next(one for one in plan.status["conditions"] if one["type"] == "Ready")
    assert (ready["status"], ready["reason"]) == ("False", reason)
    assert words in ready["message"]


def test_a_run_goes_on_where_the_store_is_away_and_stops_where_it_is_anothers():
    story = a_serving_scenario()
    story.settle()
    for condition, goes_on in (
        (store_ready(False, "StoreUnreachable"), True),
        (store_ready(False, "StoreTaken"), False),
    ):
        status = story.heavy_model.status.model_copy(update={"conditions": [condition]})
        story.heavy_model = replace(story.heavy_model, status=status)
        assert bool(story.plan().children) is goes_on
