"""Names that sound like a fault decide nothing about why a step does not get on."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from longtail_operator.kubernetes.held_up import held_up
from longtail_operator.kubernetes.objects import Json
from tests.unit.operator_builders import NOON

NAMES = ("secret-403", "image-registry", "nosuchbucket", "certificate-verify-failed", "connection-refused-500")


def waiting(reason: str, message: str) -> Callable[[str], Json]:
    return lambda name: {
        "phase": "Pending",
        "containerStatuses": [
            {"name": name, "state": {"waiting": {"reason": reason, "message": message.format(name=name)}}}
        ],
    }


def not_scheduled(name: str) -> Json:
    words = f"0/3 nodes are available: 3 node(s) had untolerated taint {{{name}: }}"
    return {
        "phase": "Pending",
        "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": words}],
    }


FAULTS: dict[str, tuple[Callable[[str], Json], str]] = {
    "no such secret": (waiting("CreateContainerConfigError", 'secret "{name}" not found'), "CredentialsMissing"),
    "no such key": (
        waiting("CreateContainerConfigError", "couldn't find key AWS_ACCESS_KEY_ID in Secret shop/{name}"),
        "CredentialsMissing",
    ),
    "no such config": (
        waiting("CreateContainerConfigError", 'configmap "{name}" not found'), "CreateContainerConfigError",
    ),
    "no such key of a config": (
        waiting("CreateContainerConfigError", "couldn't find key secret in ConfigMap shop/{name}"),
        "CreateContainerConfigError",
    ),
    "no image": (waiting("ErrImagePull", "{name}: not found"), "ImageNotPulled"),
    "no start": (waiting("RunContainerError", 'exec: "{name}": no such file'), "RunContainerError"),
    "no node": (not_scheduled, "Unschedulable"),
    "evicted": (
        lambda name: {"phase": "Running", "reason": "Evicted", "message": f"The node was low on {name}."}, "Evicted",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("fault", FAULTS)
def test_the_reason_is_the_faults_whatever_things_are_called(fault: str, name: str):
    status, reason = FAULTS[fault]
    pod: Json = {
        "kind": "Pod",
        "metadata": {"name": name, "namespace": name, "uid": "p", "creationTimestamp": "2026-06-01T12:00:00Z"},
        "spec": {"nodeName": name} if fault != "no node" else {},
        "status": status(name),
    }
    told = held_up([pod], NOON + timedelta(seconds=1))
    assert told is not None
    assert told.reason == reason
    assert name in told.message
