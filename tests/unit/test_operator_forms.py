"""What serves changes only after a check: other resources, another image, another podTemplate."""

from dataclasses import replace

from longtail_operator.kubernetes.objects import Json, Key
from tests.unit.operator_builders import SETTINGS, Story, a_serving_scenario

SLO = {"p99Milliseconds": 20}
SMALL = {"limits": {"cpu": "20m"}}


def with_less_cpu() -> Story:
    """v1 serves, and a person has lowered its CPU limit."""
    story = a_serving_scenario().serves()
    story.change(serving={"slo": SLO, "resources": SMALL}).settle()
    return story


def with_a_form_that_is_refused() -> Story:
    """v1 serves as before: with less CPU it is too slow."""
    story = with_less_cpu()
    story.answers().settle()
    story.reports("Failed", "SLOCheckFailed", "v1: p99 is 41 ms, the SLO 20 ms").settle()
    return story


def server(deployment: Json) -> Json:
    return deployment["spec"]["template"]["spec"]["containers"][0]


def what_serves(story: Story) -> Json:
    """The Deployment whose pods the Service sends requests to."""
    return story.children[Key("Deployment", "shop", f"spring-{story.traffic_goes_to}")]


def test_other_resources_are_checked_before_what_serves_has_them():
    story = with_less_cpu()
    assert story.traffic_goes_to == "v1"
    assert "resources" not in server(what_serves(story)), "what serves is left as it is"
    (candidate,) = [name for name in story.names("Deployment") if name != "spring-v1"]
    assert server(story.children[Key("Deployment", "shop", candidate)])["resources"] == SMALL
    story.answers().settle()
    assert story.condition("RolledOut") == ("False", "CheckingCandidate")
    assert story.condition("Ready") == ("True", "Serving")
    assert "--stable=v1" in server(story.job("check"))["args"]


def test_a_form_that_passes_takes_the_traffic_and_the_old_one_drains_first():
    story = with_less_cpu()
    story.answers().settle()
    story.reports("Passed").settle()
    assert server(what_serves(story))["resources"] == SMALL
    assert len(story.names("Deployment")) == 2
    story.later(16).answers().settle()
    assert len(story.names("Deployment")) == 1
    assert story.names("Service") == ["spring"]
    assert story.status["serving"]["stable"] == "v1"
    assert story.condition("RolledOut") == ("True", "Promoted")
    assert story.condition("Ready") == ("True", "Serving")


def test_a_form_that_is_refused_changes_nothing_and_field_and_figure_are_told():
    story = with_a_form_that_is_refused()
    assert story.condition("RolledOut") == ("False", "SLOCheckFailed")
    assert story.message("RolledOut") == (
        "v1 with other serving.resources was refused: v1: p99 is 41 ms, the SLO 20 ms; v1 goes on serving as it is"
    )
    assert story.names("Deployment") == ["spring-v1"]
    assert "resources" not in server(what_serves(story))
    assert story.condition("Ready") == ("True", "Serving")
    assert "p99 is 41 ms" in story.message("Ready")
    story.later(86_400).settle()
    assert story.names("Deployment") == ["spring-v1"], "and it stays refused"


def test_a_refused_form_that_is_taken_back_is_forgotten():
    story = with_a_form_that_is_refused()
    story.change(serving={"slo": SLO}).settle()
    assert story.condition("RolledOut") == ("True", "Promoted")
    assert story.message("Ready") == f"v1 serves at {story.status['serving']['url']}"


def test_a_refused_form_is_checked_again_under_other_demands():
    story = with_a_form_that_is_refused()
    story.change(serving={"slo": {"p99Milliseconds": 50}, "resources": SMALL}).settle()
    story.answers().settle()
    story.reports("Passed").settle()
    assert server(what_serves(story))["resources"] == SMALL


def test_another_serving_image_and_another_pod_template_are_checked_too():
    story = a_serving_scenario().serves()
    story.settings = replace(SETTINGS, serving_image="serving:2")
    story.settle()
    story.answers().settle()
    story.reports("Failed", "CheckFailed", "no request was answered").settle()
    assert story.message("RolledOut").startswith(
        "v1 with image serving:2 in place of serving:1 was refused: no request"
    )
    story.settings = SETTINGS
    story.change(serving={"slo": SLO, "podTemplate": {"nodeSelector": {"disk": "slow"}}}).settle()
    story.answers().settle()
    story.reports("Failed", "SLOCheckFailed", "slow").settle()
    assert story.message("RolledOut").startswith("v1 with another pod (serving.podTemplate, the store, or ")


def test_the_number_of_pods_changes_at_once():
    story = a_serving_scenario().serves()
    story.change(serving={"slo": SLO, "minReplicas": 2, "maxReplicas": 2}).settle()
    assert story.names("Deployment") == ["spring-v1"]
    assert what_serves(story)["spec"]["replicas"] == 2


def test_the_number_of_pods_changes_at_once_though_a_form_is_refused():
    story = with_a_form_that_is_refused()
    story.change(serving={"slo": SLO, "resources": SMALL, "minReplicas": 2, "maxReplicas": 2}).settle()
    assert what_serves(story)["spec"]["replicas"] == 2
    assert "resources" not in server(what_serves(story))


def test_a_new_model_is_checked_in_the_new_form_and_comes_first():
    story = with_a_form_that_is_refused()
    story.annotate("again").trained()
    assert story.names("Deployment") == ["spring-v1", "spring-v2"]
    assert server(story.children[Key("Deployment", "shop", "spring-v2")])["resources"] == SMALL
    story.answers().settle()
    story.reports("Passed").settle()
    story.later(60).answers().settle()
    assert story.names("Deployment") == ["spring-v2"]
    assert story.condition("RolledOut") == ("True", "Promoted")


def test_a_refused_model_and_a_refused_form_are_both_remembered():
    story = with_a_form_that_is_refused()
    story.annotate("again").trained().answers().settle()
    story.reports("Failed", "RegressionFound", "AUC .5").settle()
    story.later(600).settle()
    assert story.names("Deployment") == ["spring-v1"]
    assert story.condition("RolledOut") == ("False", "RegressionFound")
    assert story.message("RolledOut") == "v2 was refused: AUC .5; v1 goes on serving"


def test_what_does_not_answer_is_replaced_by_what_does():
    """Whoever mends what keeps the pods from answering does not wait for a check against them."""
    story = a_serving_scenario().serves()
    story.children[Key("Deployment", "shop", "spring-v1")]["status"] = {}
    story.change(serving={"slo": SLO, "resources": {"limits": {"memory": "1Gi"}}}).settle()
    story.children[Key("Deployment", "shop", "spring-v1")]["spec"]["replicas"] = 1
    (candidate,) = [key for key in story.children if key.kind == "Deployment" and key.name != "spring-v1"]
    story.children[candidate]["status"] = {"observedGeneration": 1, "updatedReplicas": 1, "availableReplicas": 1}
    story.settle()
    assert server(what_serves(story))["resources"] == {"limits": {"memory": "1Gi"}}


def test_a_suspended_scenario_goes_on_serving_as_it_is():
    story = a_serving_scenario().serves()
    story.change(suspend=True, serving={"slo": SLO, "resources": SMALL}).settle()
    assert story.names("Deployment") == ["spring-v1"]
    assert story.condition("RolledOut") == ("False", "Suspended")
    assert story.message("RolledOut") == (
        "v1 with other serving.resources is checked once spec.suspend is false; v1 goes on serving as it is"
    )


def test_a_deployment_of_an_earlier_operator_goes_on_and_is_known_by_what_it_is_made_of():
    story = a_serving_scenario().serves()
    del what_serves(story)["metadata"]["annotations"]["longtail.dev/form"]
    story.settle()
    assert story.names("Deployment") == ["spring-v1"]
    del what_serves(story)["metadata"]["annotations"]["longtail.dev/form"]
    story.change(serving={"slo": SLO, "resources": SMALL}).settle()
    assert len(story.names("Deployment")) == 2
    assert "resources" not in server(what_serves(story))


def test_a_form_that_does_not_come_up_is_given_up_and_tried_again():
    story = with_less_cpu()
    story.later(30 * 60).settle()
    assert story.names("Deployment") == ["spring-v1"]
    assert story.message("RolledOut").startswith("v1 with other serving.resources did not come up in 30 minutes: ")
    story.later(60).settle()
    assert len(story.names("Deployment")) == 2


def test_a_deployment_that_is_deleted_comes_back_in_the_form_that_is_wanted():
    story = with_a_form_that_is_refused()
    del story.children[Key("Deployment", "shop", "spring-v1")]
    story.settle()
    assert server(what_serves(story))["resources"] == SMALL
