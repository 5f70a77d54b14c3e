"""What kubectl makes of the definitions, and what the operator may write into a status."""

import os
import subprocess
from datetime import UTC, datetime

import pytest

from longtail_api.conditions import Condition
from longtail_api.scenario import ScenarioStatus
from tests.api.strict_client import Api, Refused
from tests.devcluster.binaries import binary

pytestmark = pytest.mark.api

SCENARIO = {
    "apiVersion": "longtail.dev/v1alpha1",
    "kind": "Scenario",
    "metadata": {"name": "with-status"},
    "spec": {"heavyModelRef": {"name": "ads"}},
}


@pytest.fixture
def scenario(api: Api):
    present = api.create(SCENARIO, dry_run=False)
    yield present
    api.delete(SCENARIO)


def kubectl(kubeconfig, *words: str) -> str:
    environment = os.environ | {"KUBECONFIG": str(kubeconfig)}
    command = [str(binary("cluster")), "kubectl", *words]
    result = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=60)
    assert result.returncode == 0, result.stderr
    return result.stdout


def ready(**changes) -> Condition:
    values = {"type": "Ready", "status": "True", "reason": "Serving", "last_transition_time": datetime.now(UTC)}
    return Condition.model_validate(values | changes)


def test_kubectl_explains_a_field_with_its_meaning_bounds_and_default(connection, kubeconfig):
    budget = " ".join(kubectl(kubeconfig, "explain", "scenario.spec.budget").split())
    assert "What one prediction may cost." in budget
    assert "behavior sequences at their maxLength and batch 1, such as 250k" in budget
    assert "A decimal number of FLOPs greater than 0" in budget
    rollout = " ".join(kubectl(kubeconfig, "explain", "scn.spec.serving.rollout").split())
    assert "How long the candidate is checked under load. 1 to 3600. Default: 10." in rollout


def test_kubectl_get_longtail_lists_the_three_kinds(connection, kubeconfig):
    listed = kubectl(kubeconfig, "api-resources", "--categories=longtail", "--namespaced=true", "--output=name")
    assert sorted(listed.split()) == [
        "heavymodels.longtail.dev",
        "lightmodelsearches.longtail.dev",
        "scenarios.longtail.dev",
    ]


def test_a_status_as_the_models_write_it_is_accepted(api: Api, scenario):
    status = ScenarioStatus(conditions=[ready(), ready(type="Trained", reason="Succeeded")]).to_json_dict()
    assert ScenarioStatus.model_validate(api.put_status(scenario, status)["status"]).conditions[0].reason == "Serving"


def test_a_status_has_one_condition_of_a_type(api: Api, scenario):
    twice = [ready().to_json_dict(), ready(status="False").to_json_dict()]
    with pytest.raises(Refused, match=r'status\.conditions\[1\]: Duplicate value: .*"Ready"'):
        api.put_status(scenario, {"conditions": twice})


def test_a_write_of_the_status_leaves_the_spec_alone(api: Api, scenario):
    changed = scenario | {"spec": scenario["spec"] | {"suspend": True}}
    assert api.put_status(changed, {"observedGeneration": 1})["spec"]["suspend"] is False


def test_kubectl_get_shows_conditions_by_type(api: Api, kubeconfig, scenario):
    listed = kubectl(kubeconfig, "get", "scn", "with-status", "--namespace", scenario["metadata"]["namespace"])
    assert listed.split()[:4] == ["NAME", "READY", "REASON", "MODEL"]
