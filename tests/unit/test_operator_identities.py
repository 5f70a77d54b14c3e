"""What an identity was stays what it is: else an upgrade trains everything anew.

A field that is added to what is hashed here is None unless somebody gives it; then no hash below changes.
"""

from longtail_operator.methods.alt.steps import ADAPT, SEARCH_STEP, TRAIN_LIGHT
from longtail_operator.scenario.prepare import PREPARE
from longtail_operator.scenario.step import RunContext
from longtail_operator.scenario.world import schema_hash, source_hash, trigger_hash
from tests.unit.operator_builders import NOON, Story, a_heavy_model, a_serving_scenario, initialized

RICH = {
    "schema": {
        "labels": [{"name": "click"}], "context": {"numeric": ["price"], "categorical": ["device"]},
        "behaviors": [{"name": "views", "categorical": ["item"]}],
    },
    "architecture": {"behaviorWidth": 8},
    "encoder": "Transformer",
    "data": {"samples": "s3://warehouse/samples", "behaviors": {"views": "s3://warehouse/views"}},
}  # fmt: skip


def identities(story: Story) -> dict[str, str]:
    """Of everything that a run of this Scenario hashes."""
    story.settle()
    world, heavy_model = story.world(), story.heavy_model
    assert world.status.run is not None
    context = RunContext(world, heavy_model, world.status.run.model_copy(update={"base_version": 1, "steps": []}), NOON)
    steps = {step.name: step.identity(context) for step in (PREPARE, ADAPT, SEARCH_STEP, TRAIN_LIGHT)}
    return {
        "schema": schema_hash(heavy_model.spec),
        "source": source_hash(world, heavy_model),
        "trigger": trigger_hash(world, heavy_model),
        **steps,
    }


def test_the_identities_of_a_plain_scenario_stay():
    assert identities(a_serving_scenario()) == {
        "schema": "c8dfca9b9a190dc6b8e4717b4150d53e",
        "source": "0e98d567c77cc6515a6ccd2e1217010f",
        "trigger": "45a584740c1016bce33a8aff0b6a7f0d",
        "prepare": "a3917f7ff8480b6605a1ab804584df26",
        "adapt": "85b008b83e90bbfad4dfdce525a79d34",
        "search": "a0c150784e99cc6e7e8f442464a6c640",
        "train-light": "b4c89cd4cc7e08b6a3d1f30ed836435c",
    }


def test_the_identities_of_a_scenario_that_gives_much_stay():
    story = a_serving_scenario(
        heavy_model=initialized(a_heavy_model(**RICH)),
        budget={"maxFlops": "100k"},
        light={"features": ["price"], "searchSpace": {"layers": 2}, "search": "Once", "algorithm": {"name": "random"}},
        data={"scenarioKey": "other"},
    )
    assert identities(story) == {
        "schema": "441b40c06a75e380e503c8dc893d3463",
        "source": "7833b70acf28f00d0c1cd881972f7f78",
        "trigger": "5bc164f48d15909611cabbd0f1dbfc46",
        "prepare": "255c0d077456c81992d90eb02a8fd001",
        "adapt": "85b008b83e90bbfad4dfdce525a79d34",
        "search": "7faf50bd3526cef8e72364c42ae6415f",
        "train-light": "63840e2da9339b5ce52f86e55db1460b",
    }
