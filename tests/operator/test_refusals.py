"""What the API server refuses, and what others write, as a real API server has it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from longtail_operator.kubernetes.kube import MERGE
from longtail_operator.kubernetes.objects import Json, section
from tests.operator.place import Place
from tests.operator.test_main_job import SERVING, play

pytestmark = pytest.mark.api
ADMISSION = "/apis/admissionregistration.k8s.io/v1"
WORDS = "every Job needs the label cost-center"


@asynccontextmanager
async def there(place: Place, plural: str, item: Json) -> AsyncIterator[None]:
    """An object of the cluster, as long as the block runs."""
    item = {"apiVersion": "admissionregistration.k8s.io/v1", **item}
    await place.api.request("POST", f"{ADMISSION}/{plural}", {}, item)
    try:
        yield
    finally:
        await place.api.request("DELETE", f"{ADMISSION}/{plural}/{item['metadata']['name']}", {})


@asynccontextmanager
async def a_policy(place: Place) -> AsyncIterator[None]:
    """Every Job of the namespace needs a label that the operator does not know."""
    name = place.namespace
    policy = {
        "kind": "ValidatingAdmissionPolicy", "metadata": {"name": name},
        "spec": {
            "matchConstraints": {
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}},
                "resourceRules": [
                    {"apiGroups": ["batch"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["jobs"]}
                ],
            },
            "validations": [{"expression": "'cost-center' in object.metadata.labels", "message": WORDS}],
        },
    }  # fmt: skip
    binding = {
        "kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": name},
        "spec": {"policyName": name, "validationActions": ["Deny"]},
    }  # fmt: skip
    probe = {
        "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "probe", "namespace": name, "labels": {"a": "b"}},
        "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}},
    }  # fmt: skip

    async def holds() -> bool:
        try:
            await place.api.request("POST", f"/apis/batch/v1/namespaces/{name}/jobs", {"dryRun": "All"}, probe)
        except Exception as error:
            return WORDS in str(error)
        return False

    async with (
        there(place, "validatingadmissionpolicies", policy),
        there(place, "validatingadmissionpolicybindings", binding),
    ):
        await place.eventually(holds, "the policy holds")
        yield


async def events(place: Place) -> list[str]:
    found = await place.api.list("Event", place.namespace)
    return [f"{event['type']} {event['reason']}: {event['message']}" for event in found]


def test_a_policy_that_refuses_a_job_stands_in_the_condition_until_it_is_mended(place: Place) -> None:
    async def story(place: Place) -> None:
        async with a_policy(place):
            place.start_operator()
            await place.heavy_model()
            await place.scenario("pooled", {"pool": "yes"})
            message = await place.becomes("Scenario", "pooled", "DataPrepared", "False", "Refused")
            assert WORDS in message
            assert WORDS in await place.becomes("Scenario", "pooled", "Ready", "False", "Refused")

            async def told() -> bool:
                return any(one.startswith("Warning Refused") and WORDS in one for one in await events(place))

            await place.eventually(told, "an event tells it, too")
        await place.becomes("Scenario", "pooled", "Ready", "True", "Contributing")

    play(place, story)


def test_a_webhook_that_does_not_answer_is_named(place: Place) -> None:
    async def story(place: Place) -> None:
        webhook = {
            "kind": "ValidatingWebhookConfiguration", "metadata": {"name": place.namespace},
            "webhooks": [
                {
                    "name": "guard.example.com", "sideEffects": "None", "admissionReviewVersions": ["v1"],
                    "clientConfig": {"url": "https://127.0.0.1:9/"}, "timeoutSeconds": 1,
                    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": place.namespace}},
                    "rules": [
                        {"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE"],
                         "resources": ["deployments"]}
                    ],
                }
            ],
        }  # fmt: skip
        async with there(place, "validatingwebhookconfigurations", webhook):
            place.start_operator()
            await place.heavy_model()
            await place.scenario("pooled", {"pool": "yes"})
            await place.scenario("spring", **SERVING)
            message = await place.becomes("Scenario", "spring", "RolledOut", "False", "Refused")
            assert 'failed calling webhook "guard.example.com"' in message
            await place.becomes("Scenario", "pooled", "Ready", "True", "Contributing")

    play(place, story)


def test_a_job_that_may_have_no_pod_says_what_its_event_says(place: Place) -> None:
    quota = 'pods "x" is forbidden: exceeded quota: team, requested: pods=1, used: pods=0, limited: pods=0'

    async def story(place: Place) -> None:
        place.node.no_pods = quota
        place.start_operator()
        await place.heavy_model()
        await place.scenario("pooled", {"pool": "yes"})
        assert quota in await place.becomes("Scenario", "pooled", "Ready", "False", "Refused")
        place.node.no_pods = None
        await place.becomes("Scenario", "pooled", "DataPrepared", "True")

    play(place, story)


async def selects(place: Place, name: str) -> bool:
    """Whether a Scenario's Service is there, and selects the pods of that Scenario."""
    selector = section(await place.get("Service", name), "spec", "selector")
    return selector.get("longtail.dev/scenario") == name


def test_two_scenarios_of_which_one_is_named_as_the_others_candidate_both_roll_out(place: Place) -> None:
    async def story(place: Place) -> None:
        place.start_operator()
        await place.heavy_model()
        await place.scenario("pooled", {"pool": "yes"})
        await place.scenario("ads-candidate", **SERVING)
        await place.becomes("Scenario", "ads-candidate", "Ready", "True", "Serving")
        await place.scenario("ads", **SERVING)
        await place.becomes("Scenario", "ads", "Ready", "True", "Serving")
        for name in ("ads", "ads-candidate"):
            # The status is written before what it tells of.
            await place.eventually(lambda name=name: selects(place, name), f"Service {name} selects its own pods")
        checks = [job for job in await place.api.list("Job", place.namespace) if "-check-" in job["metadata"]["name"]]
        asked = [
            argument
            for job in checks
            for argument in job["spec"]["template"]["spec"]["containers"][0]["args"]
            if argument.startswith("--candidate-url=")
        ]
        assert len(set(asked)) == 2
        assert not any(f"//ads-candidate.{place.namespace}." in argument for argument in asked)

    play(place, story)


SCENARIOS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/scenarios.longtail.dev"


async def write_status(place: Place, name: str, status: Json) -> None:
    path = f"/apis/longtail.dev/v1alpha1/namespaces/{place.namespace}/scenarios/{name}/status"
    await place.api.request("PATCH", path, {"fieldManager": "somebody-else"}, {"status": status}, MERGE)


def test_a_newer_definition_and_what_others_write_to_a_status_stop_nothing(place: Place) -> None:
    async def story(place: Place) -> None:
        before = await place.api.request("GET", SCENARIOS, {})
        newer = {"type": "string"}
        at = "/spec/versions/0/schema/openAPIV3Schema/properties/status/properties/fieldOfTomorrow"
        add: object = [{"op": "add", "path": at, "value": newer}]
        await place.api.request("PATCH", SCENARIOS, {}, add, "application/json-patch+json")
        assert before["kind"] == "CustomResourceDefinition"
        place.start_operator()
        await place.scenario("pooled", {"pool": "yes"})
        await place.becomes("Scenario", "pooled", "Ready", "False", "HeavyModelNotFound")
        ready = section(await place.get("Scenario", "pooled"), "status")["conditions"]
        approved = {**ready[0], "type": "Approved", "status": "True", "reason": "ByHand", "message": ""}

        async def stays() -> bool:
            await write_status(place, "pooled", {"fieldOfTomorrow": "x", "conditions": [approved, *ready]})
            return section(await place.get("Scenario", "pooled"), "status").get("fieldOfTomorrow") == "x"

        await place.eventually(stays, "the newer definition is served")
        await place.heavy_model()
        await place.becomes("HeavyModel", "shared", "Ready", "True")
        await place.becomes("Scenario", "pooled", "Ready", "True", "Contributing")
        status = section(await place.get("Scenario", "pooled"), "status")
        assert status["fieldOfTomorrow"] == "x"
        assert "Approved" in [condition["type"] for condition in status["conditions"]]
        assert section(await place.get("HeavyModel", "shared"), "status")["scenarios"] == 1
        remove: object = [{"op": "remove", "path": at}]
        await place.api.request("PATCH", SCENARIOS, {}, remove, "application/json-patch+json")

    play(place, story)
