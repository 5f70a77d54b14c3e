"""The shape of what runs: Jobs, serving pods, the check."""

import json

import pytest

from longtail_operator.kubernetes.identity import candidate_name
from longtail_operator.kubernetes.objects import Json, Key
from tests.unit.operator_builders import Story, a_heavy_model, a_serving_scenario, initialized

PEM = "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n"


def prepared(**trainer: object) -> Story:
    story = Story(initialized(a_heavy_model(trainer=trainer, storage={
        "uri": "s3://store/shared", "endpoint": "http://store:7070", "caBundle": PEM,
        "credentialsSecretRef": {"name": "keys"},
    })))  # fmt: skip
    story.settle()
    return story


def pod_of(job: Json) -> Json:
    return job["spec"]["template"]["spec"]


def test_a_training_pod_is_restricted():
    pod = pod_of(prepared().job("prepare"))
    container = pod["containers"][0]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_permanent_exit_codes_fail_the_job_and_disruptions_are_not_counted():
    spec = prepared().job("prepare")["spec"]
    rules = spec["podFailurePolicy"]["rules"]
    assert [rule["action"] for rule in rules] == ["Ignore", "FailJob"]
    assert rules[1]["onExitCodes"]["values"] == [64, 65, 66]
    assert rules[1]["onExitCodes"]["containerName"] == pod_of({"spec": spec})["containers"][0]["name"]
    assert pod_of({"spec": spec})["restartPolicy"] == "Never"


def test_the_spec_of_the_trainer_reaches_the_pod():
    job = prepared(
        image="trainer:9", backoffLimit=7, deadlineSeconds=600, queueName="long",
        resources={"limits": {"nvidia.com/gpu": 1}, "requests": {"cpu": "500m"}},
    ).job("prepare")  # fmt: skip
    pod = pod_of(job)
    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "long"
    assert (job["spec"]["backoffLimit"], job["spec"]["activeDeadlineSeconds"]) == (7, 600)
    assert pod["containers"][0]["image"] == "trainer:9"
    assert pod["containers"][0]["resources"] == {"limits": {"nvidia.com/gpu": "1"}, "requests": {"cpu": "500m"}}


def test_a_scenario_overrides_resources():
    story = Story(trainer={"resources": {"limits": {"nvidia.com/gpu": 1}}})
    story.settle()
    pod = pod_of(story.job("prepare"))
    assert pod["containers"][0]["resources"] == {"limits": {"nvidia.com/gpu": "1"}}


def test_credentials_come_from_the_secret_and_are_in_no_config():
    story = prepared()
    environment = {entry["name"]: entry for entry in pod_of(story.job("prepare"))["containers"][0]["env"]}
    assert environment["AWS_SECRET_ACCESS_KEY"]["valueFrom"]["secretKeyRef"]["name"] == "keys"
    config = story.children[Key("ConfigMap", "shop", story.job("prepare")["metadata"]["name"])]
    assert "AWS" not in json.dumps(config)
    assert config["data"]["ca.crt"] == PEM
    assert config["immutable"] is True


def test_a_child_belongs_to_its_scenario():
    metadata = prepared().job("prepare")["metadata"]
    reference = metadata["ownerReferences"][0]
    assert (reference["kind"], reference["name"], reference["controller"]) == ("Scenario", "spring", True)
    assert metadata["labels"]["longtail.dev/role"] == "prepare"


def test_serving_pods_are_pinned_probed_and_restricted():
    story = a_serving_scenario().serves()
    deployment = story.children[Key("Deployment", "shop", "spring-v1")]
    container = pod_of(deployment)["containers"][0]
    assert {"--version=v1", f"--sha256={'a' * 64}", "--model-name=spring"} <= set(container["args"])
    assert container["readinessProbe"]["httpGet"]["path"] == "/v2/health/ready"
    assert container["livenessProbe"]["httpGet"]["path"] == "/v2/health/live"
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    selector = deployment["spec"]["selector"]["matchLabels"]
    assert selector.items() <= deployment["spec"]["template"]["metadata"]["labels"].items()


def test_the_check_asks_for_what_the_spec_promises():
    story = a_serving_scenario(
        serving={"slo": {"p99Milliseconds": "7.5", "maxErrorRate": "0.01"}, "maxRegression": "0.05",
                 "rollout": {"checkSeconds": 3, "checkConcurrency": 4}}
    ).trained().answers()  # fmt: skip
    story.settle()
    flags = pod_of(story.job("check"))["containers"][0]["args"]
    candidate = candidate_name("spring", "0123-4567-89")
    assert candidate in story.names("Service")
    assert {
        f"--candidate-url=http://{candidate}.shop.svc:8080", "--candidate=v1", "--p99-milliseconds=7.5",
        "--max-error-rate=0.01", "--max-regression=0.05", "--seconds=3", "--concurrency=4", "--labels=click=binary",
        "--requests-key=data/shop.spring.01234567/d1/requests.jsonl",
    } <= set(flags)  # fmt: skip
    assert not [flag for flag in flags if flag.startswith("--stable")]


@pytest.mark.parametrize("kind", ["Job", "ConfigMap", "Deployment", "Service", "PodDisruptionBudget"])
def test_every_child_says_who_made_it(kind: str):
    story = a_serving_scenario().serves()
    story.annotate("again").settle()
    found = [child for child in story.children.values() if child["kind"] == kind]
    assert found
    assert all(child["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "longtail" for child in found)
