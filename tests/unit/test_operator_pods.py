"""What keeps a step's pods from running, or ended them, stands in the step's condition in the words of who did it."""

from datetime import timedelta
from typing import Any

import pytest

from longtail_api.store_objects import Termination
from longtail_operator.kubernetes.jobs import judge
from longtail_operator.kubernetes.objects import Json
from tests.unit.operator_builders import NOON, SHA, Story, a_pod, a_serving_scenario

PERMANENT_EXIT_CODES = (64, 65, 66)
SUCCEEDED = Termination(status="Succeeded", result_sha256=SHA, outputs={}).model_dump_json(by_alias=True)


def at(seconds: float = 0) -> str:
    return (NOON + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def preparing(state: Json, job_status: Json | None = None, **pod_status: Any) -> Story:
    """A Scenario whose prepare step has one pod with its container in a state."""
    story = Story()
    story.settle()
    job = story.job("prepare")
    pod = a_pod(job, state, **{"phase": "Running", **pod_status})
    pod["spec"] = {"nodeName": "node-1"}
    pod["metadata"]["creationTimestamp"] = at()
    job["metadata"]["creationTimestamp"] = at()
    job["metadata"]["uid"] = "j"
    job["status"] = job_status or {"active": 1}
    story.pods.append(pod)
    return story


def said(story: Story, seconds: float = 3600) -> tuple[str, str]:
    """Reason and message of the step's condition after a time."""
    story.later(seconds).settle()
    return story.condition("DataPrepared")[1], story.message("DataPrepared")


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("ImageInspectError", "ImageNotPulled"),
        ("RegistryUnavailable", "ImageNotPulled"),
        ("InvalidImageName", "ImageNotPulled"),
        ("SignatureValidationFailed", "ImageNotPulled"),
        ("RunContainerError", "RunContainerError"),
        ("PreStartHookError", "PreStartHookError"),
        ("AReasonOfTomorrow", "AReasonOfTomorrow"),
        ("no reason a condition may have", "Pending"),
    ],
)
def test_whatever_a_container_waits_for_is_passed_on(reason: str, told: str):
    story = preparing({"waiting": {"reason": reason, "message": "the kubelet's words"}}, phase="Pending")
    got, message = said(story, 1)
    assert got == told
    assert reason in message
    assert "the kubelet's words" in message


def test_an_init_container_that_waits_or_fails_is_named():
    waits = [{"name": "istio-init", "state": {"waiting": {"reason": "ErrImagePull", "message": "no such tag"}}}]
    story = preparing({"waiting": {"reason": "PodInitializing"}}, phase="Pending", initContainerStatuses=waits)
    assert said(story, 1)[0] == "ImageNotPulled"
    failed = [
        {"name": "istio-init", "state": {"terminated": {"exitCode": 1, "reason": "Error", "message": "iptables"}}}
    ]
    story = preparing(
        {"waiting": {"reason": "PodInitializing"}}, {"failed": 1}, phase="Failed", initContainerStatuses=failed
    )
    assert "container istio-init of pod" in said(story, 1)[1]


@pytest.mark.parametrize("reason", ["ContainerCreating", "PodInitializing"])
def test_what_every_pod_goes_through_is_no_trouble_until_it_lasts(reason: str):
    story = preparing({"waiting": {"reason": reason}}, phase="Pending", startTime=at())
    assert said(story, 10) == ("Running", f"Job {story.job('prepare')['metadata']['name']} is under way")
    got, message = said(story, 60)
    assert got == "Pending"
    assert f"is being started since {at()}" in message


def test_a_volume_that_cant_be_mounted_is_told_in_the_words_of_its_event():
    story = preparing({"waiting": {"reason": "ContainerCreating"}}, phase="Pending", startTime=at())
    story.tells(story.pods[0], "FailedMount", 'MountVolume.SetUp failed for volume "config": configmap not found')
    got, message = said(story, 10)
    assert got == "FailedMount"
    assert "configmap not found" in message


QUOTA = 'pods "x" is forbidden: exceeded quota: team, requested: limits.memory=3Gi'


def test_a_job_that_may_have_no_pod_says_what_its_event_says():
    story = preparing({})
    story.pods.clear()
    story.tells(story.job("prepare"), "FailedCreate", f"Error creating: {QUOTA}")
    got, message = said(story, 10)
    assert got == "Refused"
    assert QUOTA in message
    assert QUOTA in story.message("Ready")


def test_a_job_without_a_pod_of_which_no_event_tells_says_so():
    story = preparing({})
    story.pods.clear()
    assert said(story, 10)[0] == "Running"
    assert said(story, 30) == (
        "Pending", f"Job {story.job('prepare')['metadata']['name']} has no pod since {at()}, and no event says why"
    )  # fmt: skip


EVICTED = "The node was low on resource: ephemeral-storage. Threshold quantity: 10Gi, available: 9Gi."


def evicted(**job_status: Any) -> Story:
    story = preparing({}, job_status, phase="Failed", reason="Evicted", message=EVICTED)
    story.pods[0]["status"].pop("containerStatuses")
    return story


def test_a_pod_that_was_evicted_says_so_while_the_next_is_waited_for():
    got, message = said(evicted(active=1), 1)
    assert got == "Running"
    assert message.startswith("attempt 2; the last one failed")
    assert EVICTED in message


def test_the_last_eviction_is_why_the_step_failed():
    end = {
        "type": "Failed",
        "status": "True",
        "reason": "BackoffLimitExceeded",
        "message": "Job has reached the specified",
    }
    story = evicted(failed=4, conditions=[{**end, "lastTransitionTime": at()}])
    got, message = said(story, 1)
    assert got == "Evicted"
    assert EVICTED in message


def test_a_container_that_ends_well_when_it_is_evicted_has_done_nothing():
    end = {"type": "Complete", "status": "True", "lastTransitionTime": at()}
    story = preparing({}, {"conditions": [end]}, phase="Succeeded", reason="Evicted", message=EVICTED)
    story.pods[0]["status"]["containerStatuses"][0]["state"] = {"terminated": {"exitCode": 0, "reason": "Completed"}}
    story.status = story.later(1).plan().status
    assert story.condition("DataPrepared") == ("False", "Evicted")
    assert EVICTED in story.message("DataPrepared")


@pytest.mark.parametrize("by", ["EvictionByEvictionAPI", "PreemptionByScheduler", "TerminationByKubelet"])
def test_a_disruption_is_told_before_what_the_container_knows_of_it(by: str):
    told_to_end = Termination(status="Failed", reason="Terminated", message="SIGTERM").model_dump_json(by_alias=True)
    target = {"type": "DisruptionTarget", "status": "True", "reason": by, "message": "to make room"}
    ended = {"terminated": {"exitCode": 143, "reason": "Error", "message": told_to_end}}
    _, message = said(preparing(ended, {"active": 1}, phase="Failed", conditions=[target]), 1)
    assert f"was ended ({by}): to make room" in message


def test_a_node_that_does_not_answer_is_named():
    states = [
        {"type": "Ready", "status": "False", "lastTransitionTime": at()}, {"type": "ContainersReady", "status": "True"},
    ]  # fmt: skip
    got, message = said(preparing({"running": {}}, conditions=states), 1)
    assert got == "NodeUnreachable"
    assert "node node-1 does not answer" in message


def test_a_container_that_is_not_ready_is_no_lost_node():
    states = [
        {"type": "Ready", "status": "False", "reason": "ContainersNotReady"},
        {"type": "ContainersReady", "status": "False", "reason": "ContainersNotReady"},
    ]
    assert said(preparing({"running": {}}, conditions=states), 1)[0] == "Running"


def test_a_pod_that_its_node_never_lets_go_is_told():
    target = {
        "type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager",
        "message": "Taint manager: deleting due to NoExecute taint",
    }  # fmt: skip
    story = preparing({"running": {}}, {"active": 0, "terminating": 1}, conditions=[target])
    story.pods[0]["metadata"]["deletionTimestamp"] = at(60)
    got, message = said(story, 61)
    assert got == "DeletionByTaintManager"
    assert "is being ended" in message
    assert "NoExecute taint" in message
    got, message = said(story, 30)
    assert got == "NodeUnreachable"
    assert "node node-1" in message
    assert "NoExecute taint" in message


def beside_a_proxy(ended: Json) -> Story:
    story = preparing({"terminated": {"reason": "Error", "finishedAt": at(), **ended}})
    story.pods[0]["status"]["containerStatuses"].append({"name": "istio-proxy", "state": {"running": {}}})
    return story


def test_a_step_is_over_when_its_own_container_is_whatever_runs_on_beside_it():
    story = beside_a_proxy({"exitCode": 0, "message": SUCCEEDED})
    name = story.job("prepare")["metadata"]["name"]
    assert said(story, 10)[0] == "Running"
    assert said(story, 30)[0] == "Succeeded"
    assert name in [key.name for key in story.removed], "the Job would otherwise go on until its deadline"


def test_a_step_that_failed_beside_a_container_that_runs_on_says_both():
    words = Termination(status="Failed", reason="DataInvalid", message="no rows").model_dump_json(by_alias=True)
    got, message = said(beside_a_proxy({"exitCode": 65, "message": words}), 30)
    assert got == "DataInvalid"
    assert message.startswith("no rows; container istio-proxy")


def test_the_result_is_read_from_the_steps_own_container():
    story = preparing({"running": {}})
    proxy = {"name": "a-proxy", "state": {"terminated": {"exitCode": 0, "message": SUCCEEDED, "finishedAt": at()}}}
    story.pods[0]["status"]["containerStatuses"].insert(0, proxy)
    assert said(story, 60)[0] == "Running"


def test_a_message_with_a_field_more_is_that_of_a_newer_trainer():
    newer = SUCCEEDED[:-1] + ', "fieldOfTomorrow": 1}'
    job: Json = {"metadata": {"name": "j"}, "status": {"conditions": [
        {"type": "Complete", "status": "True", "lastTransitionTime": at()}]}}  # fmt: skip
    assert judge(job, [a_pod(job, {"terminated": {"exitCode": 0, "message": newer}})], NOON).state == "Succeeded"


LOG = "INFO step 1 of 9\nINFO step 2 of 9\nthread '<unnamed>' panicked at src/lib.rs:7:5:\nindex out of bounds\n"
ENDS: dict[str, tuple[Json, str, str]] = {
    "exception": ({"exitCode": 70, "message": '{"status": "Failed", "reason": "Bug", "message": "KeyError: 3"}'},
                  "Bug", "KeyError: 3"),
    "panic": ({"exitCode": 134, "message": LOG}, "StepFailed", "signal 6 (aborted)"),
    "SIGSEGV": ({"exitCode": 139}, "StepFailed", "signal 11 (segmentation fault)"),
    "memory": ({"exitCode": 137, "reason": "OOMKilled"}, "OutOfMemory", "give it more memory"),
    "disk full": ({"exitCode": 75, "message": "OSError: [Errno 28] No space left on device"},
                  "StepFailed", "No space left on device"),
    "can't start": ({"exitCode": 128, "reason": "StartError", "message": 'exec: "x": no such file'},
                    "StepFailed", "(StartError): exec"),
    "no message": ({"exitCode": 3}, "StepFailed", "exit code 3 (Error)"),
    "log only": ({"exitCode": 1, "message": LOG}, "StepFailed", "panicked at src/lib.rs:7:5: | index out of bounds"),
    "no reason": ({"exitCode": 70, "message": '{"status": "Failed", "reason": "oom killed", "message": "x"}'},
                  "StepFailed", "oom killed: x"),
}  # fmt: skip


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("step", ["prepare", "adapt", "train-light"])
def test_no_step_ends_without_a_reason(step: str, end: str):
    story = Story(serving={})
    story.settle()
    for before, outputs in (("prepare", {}), ("adapt", {}), ("train-light", {"modelSha256": SHA})):
        if before == step:
            break
        story.succeeds(before, **outputs).settle()
        story.found_an_architecture().settle()
    terminated, reason, words = ENDS[end]
    job = story.job(step)
    failed = "PodFailurePolicy" if terminated["exitCode"] in PERMANENT_EXIT_CODES else "BackoffLimitExceeded"
    job["status"] = {"conditions": [
        {"type": "Failed", "status": "True", "reason": failed, "lastTransitionTime": at()}]}  # fmt: skip
    story.pods.append(a_pod(job, {"terminated": {"reason": "Error", **terminated}}))
    story.settle()
    assert story.condition("Failed") == ("True", reason)
    assert words in story.message("Failed")
    assert words in story.message("Ready")


def test_a_log_in_place_of_a_message_is_cut_to_its_end():
    story = preparing(
        {"terminated": {"exitCode": 1, "message": "x" * 3000 + "\nthe last line"}}, {"failed": 1}, phase="Failed"
    )
    message = said(story, 1)[1]
    assert message.endswith("the last line")
    assert len(message) < 1000


def serving() -> Story:
    story = a_serving_scenario().trained()
    story.settle()
    return story


def test_a_deployment_that_may_have_no_pods_says_why():
    story = serving()
    deployment = next(item for item in story.children.values() if item["kind"] == "Deployment")
    failure = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": QUOTA}
    deployment["status"] = {"conditions": [failure]}
    story.later(60).settle()
    assert story.condition("RolledOut") == ("False", "Refused")
    assert QUOTA in story.message("RolledOut")


def a_server(state: Json, version: str = "v1", **status: Any) -> Json:
    return {
        "kind": "Pod", "spec": {"nodeName": "node-1"},
        "metadata": {
            "name": "spring-v1-x", "namespace": "shop", "uid": "s", "labels": {"longtail.dev/version": version},
        },
        "status": {"phase": "Running", "containerStatuses": [{"name": "server", **state}], **status},
    }  # fmt: skip


CRASHED = {
    "terminated": {"exitCode": 65, "message": '{"status": "Failed", "reason": "ModelInvalid", "message": "sha256"}'}
}


@pytest.mark.parametrize("state", [{"waiting": {"reason": "CrashLoopBackOff"}}, {"running": {}}])
def test_a_server_that_keeps_ending_says_why_also_while_it_tries_again(state: Json):
    story = serving()
    story.pods.append(a_server({"state": state, "lastState": CRASHED}))
    story.settle()
    assert story.condition("RolledOut") == ("False", "ModelInvalid")


def test_a_stable_version_that_no_longer_answers_says_why():
    story = a_serving_scenario().serves()
    for item in story.children.values():
        if item["kind"] == "Deployment":
            item["status"] = {"observedGeneration": 1, "updatedReplicas": 1, "availableReplicas": 0}
    story.pods.append(a_server({"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": CRASHED}))
    story.settle()
    assert story.condition("Ready") == ("False", "DeploymentUnavailable")
    assert story.message("Ready") == "no pod of v1 answers: sha256"


def test_containers_without_a_message_of_their_own_leave_the_end_of_their_log():
    story = serving()
    story.answers().settle()
    for item in story.children.values():
        if item["kind"] in ("Job", "Deployment"):
            container = item["spec"]["template"]["spec"]["containers"][0]
            assert container["terminationMessagePolicy"] == "FallbackToLogsOnError"
