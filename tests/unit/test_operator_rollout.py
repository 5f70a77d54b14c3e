"""Decisions about what serves."""

from hypothesis import given, settings
from hypothesis import strategies as st

from longtail_api.store_objects import AltLight, ModelCard
from longtail_operator.kubernetes.clock import read
from longtail_operator.kubernetes.objects import Key
from longtail_operator.kubernetes.trouble import Trouble
from tests.unit.operator_builders import SHA, Story, a_serving_scenario


def with_a_candidate() -> Story:
    """v1 serves, v2 is trained, its pods answer, and it is checked."""
    story = a_serving_scenario().serves()
    story.annotate("again").trained().answers().settle()
    return story


def with_a_refused_candidate() -> Story:
    """v1 serves, and v2 is too slow."""
    story = with_a_candidate()
    story.reports("Failed", "SLOCheckFailed", "p99 41 ms > 20 ms").settle()
    return story


def replaced() -> Story:
    """v2 serves in place of v1, of which the store has the card."""
    story = with_a_candidate()
    story.reports("Passed").settle()
    story.card = ModelCard(
        scenario="s", version="v1", sha256=SHA, bytes=1, inputs=[], outputs=[], labels=["click"], data_version="d1",
        agnostic_version=1, model=AltLight(width=1, layers=[]), flops=1, heavy_flops=1,
        requests_key="r",
    )  # fmt: skip
    return story


def test_a_candidate_takes_no_traffic_before_its_check():
    story = with_a_candidate()
    assert story.condition("RolledOut") == ("False", "CheckingCandidate")
    assert story.traffic_goes_to == "v1"
    assert story.names("Deployment") == ["spring-v1", "spring-v2"]


def test_a_check_has_cpu_of_its_own_and_no_limit_that_throttles_it():
    story = with_a_candidate()
    (checker,) = story.job("check")["spec"]["template"]["spec"]["containers"]
    assert checker["resources"] == {"requests": {"cpu": "250m", "memory": "256Mi"}}


def test_a_passed_check_promotes_and_the_old_version_drains_first():
    story = with_a_candidate()
    story.reports("Passed").settle()
    assert story.traffic_goes_to == "v2"
    assert story.names("Deployment") == ["spring-v1", "spring-v2"]
    story.later(16).settle()
    assert story.names("Deployment") == ["spring-v2"]
    assert story.names("Service") == ["spring"]


def test_a_failed_check_keeps_the_stable_version():
    story = with_a_refused_candidate()
    assert story.condition("RolledOut") == ("False", "SLOCheckFailed")
    assert story.traffic_goes_to == "v1"
    assert story.names("Deployment") == ["spring-v1"]
    assert story.condition("Ready") == ("True", "Serving")


def test_inconclusive_is_never_a_pass():
    story = with_a_candidate()
    story.reports("Inconclusive", "Succeeded", "no requests").settle()
    assert story.condition("RolledOut") == ("False", "CheckInconclusive")
    assert story.traffic_goes_to == "v1"


def test_a_check_that_measured_nothing_is_made_again_after_a_while():
    story = with_a_candidate()
    plan = story.reports("Inconclusive", "CheckInconclusive", "the node is busy").settle()
    assert plan.requeue_after is not None
    assert 0 < plan.requeue_after <= 60
    assert "checked again at 2026-06-01T" in story.message("RolledOut")
    story.later(59).settle()
    assert story.names("Deployment") == ["spring-v1"], "the candidate's pods are not kept waiting"
    story.later(1).settle()
    story.answers().settle()
    assert story.condition("RolledOut") == ("False", "CheckingCandidate")
    story.reports("Passed").settle()
    assert story.traffic_goes_to == "v2"


def test_a_check_whose_job_ended_without_a_verdict_is_made_again():
    story = with_a_candidate()
    story.fails("check", "DeadlineExceeded", "Job was active longer than specified deadline").settle()
    assert story.condition("RolledOut") == ("False", "CheckInconclusive")
    assert "longer than specified deadline" in story.message("RolledOut")
    story.later(60).settle()
    story.answers().settle()
    story.reports("Passed").settle()
    assert story.traffic_goes_to == "v2"


def test_however_often_a_check_measured_nothing_the_next_one_is_at_most_an_hour_away():
    story = with_a_candidate()
    waits: list[float] = []
    for _ in range(9):
        story.reports("Inconclusive").settle()
        waits.append((read(story.status["serving"]["refusedUntil"]) - story.now).total_seconds())
        story.later(waits[-1]).settle()
        story.answers().settle()
    assert waits == sorted(waits)
    assert waits[0] == 60
    assert waits[-1] == 3600
    story.reports("Passed").settle()
    assert story.traffic_goes_to == "v2"


def test_other_demands_are_checked_at_once_though_the_last_check_measured_nothing():
    story = with_a_candidate()
    story.reports("Inconclusive").settle()
    story.change(serving={"slo": {"p99Milliseconds": 50}}).settle()
    story.answers().settle()
    assert story.condition("RolledOut") == ("False", "CheckingCandidate")


def test_an_inconclusive_check_that_an_earlier_operator_took_for_a_refusal_is_made_again():
    story = with_a_candidate()
    story.reports("Inconclusive").settle()
    for field in ("refusedUntil", "unmeasuredChecks", "refusedReason", "refusedMessage"):
        del story.status["serving"][field]
    story.settle()
    story.answers().settle()
    assert story.condition("RolledOut") == ("False", "CheckingCandidate")


def test_a_suspended_scenario_brings_up_no_candidate_and_goes_on_from_there():
    story = a_serving_scenario().trained()
    story.change(suspend=True).settle()
    assert story.names("Deployment") == []
    story.answers().settle()
    assert not [name for name in story.names("Job") if "check" in name]
    assert story.condition("RolledOut") == ("False", "Suspended")
    story.change(suspend=False).settle()
    story.answers().settle()
    story.reports("Passed").settle()
    assert story.traffic_goes_to == "v1"


def test_what_serves_goes_on_while_a_check_is_suspended():
    story = with_a_candidate()
    story.change(suspend=True).settle()
    assert story.traffic_goes_to == "v1"
    assert story.names("Deployment") == ["spring-v1"]
    assert story.message("RolledOut") == "v2 is checked once spec.suspend is false; v1 goes on serving"


def test_a_version_that_is_pinned_while_suspended_serves():
    """A person takes back a version in an emergency."""
    story = replaced()
    story.change(suspend=True, serving={"pinnedVersion": "v1"}).settle()
    story.answers().settle()
    assert story.traffic_goes_to == "v1"


def test_a_candidate_that_does_not_come_up_goes_after_half_an_hour_and_comes_again():
    story = a_serving_scenario().serves()
    story.annotate("again").trained()
    story.later(30 * 60).settle()
    assert story.names("Deployment") == ["spring-v1"]
    assert story.message("RolledOut") == (
        "v2 did not come up in 30 minutes: waiting for the pods of v2; it is brought up again at "
        f"{story.status['serving']['refusedUntil']}, or a newer one; v1 goes on serving"
    )
    story.later(60).settle()
    assert story.names("Deployment") == ["spring-v1", "spring-v2"]
    story.answers().settle()
    story.reports("Passed").settle()
    assert story.traffic_goes_to == "v2"


def test_a_candidate_that_does_not_come_up_stops_no_schedule():
    story = a_serving_scenario()
    story.change(refresh={"model": "0 * * * *", "jitterSeconds": 0})
    story.serves()
    story.annotate("again").trained()
    for _ in range(40):
        story.later(120).settle()
    assert story.status["run"]["number"] == 3
    assert story.status["run"]["trigger"] == "Schedule"


def test_a_pinned_version_that_does_not_come_up_is_not_given_up():
    story = replaced()
    story.later(60).settle()
    story.change(serving={"pinnedVersion": "v1"}).settle()
    story.later(86400).settle()
    assert "spring-v1" in story.names("Deployment")


def test_what_a_figure_refused_stays_refused():
    story = with_a_refused_candidate()
    story.later(30 * 86400).settle()
    assert story.condition("RolledOut") == ("False", "SLOCheckFailed")
    assert story.names("Deployment") == ["spring-v1"]


def test_a_first_candidate_that_is_refused_leaves_nothing_serving():
    story = a_serving_scenario().trained().answers()
    story.settle()
    story.reports("Failed", "RegressionFound", "AUC .5").settle()
    assert story.traffic_goes_to is None
    assert story.names("Deployment") == []
    assert story.condition("Ready") == ("False", "RegressionFound")


def test_a_refused_version_is_checked_again_under_other_demands():
    story = a_serving_scenario().trained().answers()
    story.settle()
    story.reports("Failed", "SLOCheckFailed", "p99 41 ms > 20 ms").settle()
    story.change(serving={"slo": {"p99Milliseconds": 50}}).settle()
    story.answers().settle()
    assert story.condition("RolledOut") == ("False", "CheckingCandidate")
    story.reports("Passed").settle()
    assert story.traffic_goes_to == "v1"


def test_a_pinned_version_serves_whatever_is_newer():
    story = replaced()
    story.later(60).settle()
    story.change(serving={"pinnedVersion": "v1"}).settle()
    story.answers().settle()
    assert story.traffic_goes_to == "v1"
    assert story.status["lineage"]["dataVersion"] == "d1"


def test_a_pinned_version_that_does_not_exist_changes_nothing_and_is_told():
    story = a_serving_scenario().serves()
    story.change(serving={"pinnedVersion": "v7"}).settle()
    assert story.condition("RolledOut") == ("False", "InvalidSpec")
    assert story.traffic_goes_to == "v1"
    assert story.condition("Ready") == ("False", "InvalidSpec")
    assert story.message("Ready") == (
        "serving.pinnedVersion: the store has no light version v7; name one it has; v1 goes on serving"
    )
    story.change(serving={}).settle()
    assert story.condition("RolledOut") == ("True", "Promoted")
    assert story.condition("Ready") == ("True", "Serving")


def test_a_pin_that_goes_leaves_the_words_of_what_was_refused_before():
    story = with_a_refused_candidate()
    said = story.message("RolledOut")
    story.change(serving={"slo": {"p99Milliseconds": 20}, "pinnedVersion": "v7"}).settle()
    story.change(serving={"slo": {"p99Milliseconds": 20}}).settle()
    assert story.condition("RolledOut") == ("False", "SLOCheckFailed")
    assert story.message("RolledOut") == said
    for field in ("refusedReason", "refusedMessage"):
        del story.status["serving"][field]
    story.settle()
    assert story.message("RolledOut") == said, "an earlier operator's words stay"


def test_without_its_heavy_model_a_scenario_still_says_what_serves():
    story = a_serving_scenario().serves()
    story.heavy_model = None
    story.settle()
    assert story.condition("Ready") == ("False", "HeavyModelNotFound")
    assert story.message("Ready") == (
        "there is no HeavyModel shared in namespace shop; create it, or name another; v1 goes on serving"
    )
    story.children[Key("Deployment", "shop", "spring-v1")]["status"] = {}
    story.settle()
    assert story.message("Ready").endswith("; no pod of v1 answers")


def test_a_pinned_version_that_the_store_can_not_tell_of_waits_and_what_serves_stays():
    story = a_serving_scenario().serves()
    story.card = Trouble("StoreUnreachable", "no answer")
    plan = story.change(serving={"pinnedVersion": "v7"}).settle()
    assert story.condition("RolledOut") == ("False", "StoreUnreachable")
    assert plan.requeue_after is not None
    assert plan.requeue_after <= 15
    assert story.traffic_goes_to == "v1"


def test_without_its_status_what_serves_still_serves():
    story = a_serving_scenario().serves()
    story.status = {}
    story.settle()
    assert story.status["serving"]["stable"] == "v1"
    assert story.traffic_goes_to == "v1"


def test_a_status_that_is_edited_turns_no_traffic_elsewhere():
    story = a_serving_scenario().serves()
    story.status["serving"] |= {"stable": "v77", "stableSha256": "b" * 64}
    story.settle()
    assert story.traffic_goes_to == "v1"
    assert story.status["serving"]["stable"] == "v1"
    assert story.status["serving"]["stableSha256"] == SHA
    assert story.condition("Ready") == ("True", "Serving")


def test_a_promotion_whose_service_can_not_be_turned_has_one_moment():
    story = with_a_candidate()
    service = story.children[Key("Service", "shop", "spring")]
    story.reports("Passed").settle()
    promoted = story.status["serving"]["promoted"]
    story.children[Key("Service", "shop", "spring")] = service
    story.status = story.later(1).plan().status
    assert story.status["serving"]["promoted"] == promoted
    assert story.plan().status == story.status


def test_serving_that_is_no_longer_asked_for_goes():
    story = a_serving_scenario().serves()
    del story.raw["spec"]["serving"]
    story.settle()
    assert not story.names("Deployment")
    assert not story.names("Service")


def test_a_stable_deployment_that_does_not_answer_is_said():
    story = a_serving_scenario().serves()
    story.children[Key("Deployment", "shop", "spring-v1")]["status"] = {}
    story.settle()
    assert story.condition("Ready") == ("False", "DeploymentUnavailable")


def get_on(story: Story) -> None:
    """Whatever is under way ends well."""
    step = story.status.get("run", {}).get("step")
    if step == "search":
        story.found_an_architecture()
    elif step:
        story.succeeds(step, modelSha256=SHA)
    else:
        story.answers().settle()
        story.reports("Passed")


ACTIONS = {
    "it gets on": get_on,
    "it gets on twice": lambda story: (get_on(story), story.settle(), get_on(story)),
    "it gets on and on": lambda story: [(get_on(story), story.settle()) for _ in range(4)],
    "time passes": lambda story: story.later(20),
    "pods answer": lambda story: story.answers(),
    "prepare fails": lambda story: story.fails("prepare", "DataInvalid", "no"),
    "the check passes": lambda story: story.reports("Passed"),
    "the check fails": lambda story: story.reports("Failed", "SLOCheckFailed", "slow"),
    "the check is inconclusive": lambda story: story.reports("Inconclusive"),
    "a person asks for a run": lambda story: story.annotate(str(story.now)),
    "a person changes the budget": lambda story: story.change(budget={"maxFlops": 1 + len(story.jobs_ever)}),
    "a person suspends": lambda story: story.change(suspend=True),
    "a person resumes": lambda story: story.change(suspend=False),
    "a person gives other resources": lambda story: story.change(
        serving={"slo": {"p99Milliseconds": 20}, "resources": {"limits": {"cpu": str(1 + len(story.jobs_ever))}}}
    ),
    "a Job is deleted": lambda story: story.children.pop(next(k for k in story.children if k.kind == "Job")),
    "the stable Deployment is deleted": lambda story: story.children.pop(
        next(k for k in story.children if k.kind == "Deployment")
    ),
    "the status is lost": lambda story: setattr(story, "status", {}),
}


BEGINNINGS = {
    "new": a_serving_scenario,
    "serving": lambda: a_serving_scenario().serves(),
    "a candidate under check": with_a_candidate,
}


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(BEGINNINGS)), st.lists(st.sampled_from(sorted(ACTIONS)), max_size=25))
def test_whatever_happens(beginning: str, actions: list[str]):
    """Plans come to rest, a step never has two live Jobs, and what takes the traffic is never removed."""
    story = BEGINNINGS[beginning]()
    story.settle()
    for action in actions:
        story.removed.clear()
        try:
            ACTIONS[action](story)
        except (AssertionError, StopIteration):
            continue  # there is no such Job now
        served = story.traffic_goes_to
        pods = story.children.get(Key("Deployment", "shop", f"spring-{served}"), {}).get("spec", {}).get("template")
        story.settle()
        assert story.plan().status == story.status
        assert Key("Deployment", "shop", f"spring-{served}") not in story.removed
        kept = story.children.get(Key("Deployment", "shop", f"spring-{served}"))
        assert pods is None or (kept is not None and kept["spec"]["template"] == pods)
        assert served is None or story.traffic_goes_to is not None
        live = [
            (child["metadata"]["labels"]["longtail.dev/role"], child["metadata"]["labels"].get("longtail.dev/run"))
            for child in story.children.values()
            if child["kind"] == "Job" and not child["status"].get("conditions")
        ]
        assert len(live) == len(set(live))
        assert len(live) <= 2, "one step, and one check"
