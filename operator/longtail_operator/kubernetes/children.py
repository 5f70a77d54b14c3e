"""The parts that all children of a resource have: metadata, pod security, the store's address and credentials."""

from collections.abc import Mapping
from typing import Any, cast

from longtail_api.base import API_VERSION
from longtail_api.labels import (
    HEAVY_MODEL_LABEL,
    MANAGED_BY,
    MANAGED_BY_LABEL,
    OWNER_ANNOTATION,
    ROLE_LABEL,
    SCENARIO_LABEL,
    SEARCH_LABEL,
)
from longtail_api.pod_template import PodTemplate
from longtail_api.run_config import StoreAddress
from longtail_api.shared_specs import Resources, Storage
from longtail_operator.kubernetes.identity import label_value
from longtail_operator.kubernetes.objects import HEAVY_MODEL, RESOURCES, SCENARIO, SEARCH, Json, key_of, uid_of

CONFIG_FOLDER = "/etc/longtail"
CONFIG_FILE = f"{CONFIG_FOLDER}/config.json"
CA_FILE = f"{CONFIG_FOLDER}/ca.crt"
USER_ID = 65532
TRAINER, SERVER, CHECKER = "trainer", "server", "checker"
OWN_CONTAINERS = frozenset({TRAINER, SERVER, CHECKER})
"""Names of the containers that do the work; any other one in a pod was put there by somebody else."""
_OWNER_LABELS = {SCENARIO: SCENARIO_LABEL, HEAVY_MODEL: HEAVY_MODEL_LABEL, SEARCH: SEARCH_LABEL}


def labels(owner: Json, role: str, more: Mapping[str, str] | None = None) -> dict[str, str]:
    return {
        MANAGED_BY_LABEL: MANAGED_BY,
        _OWNER_LABELS[owner["kind"]]: label_value(owner["metadata"]["name"]),
        ROLE_LABEL: role,
        **(more or {}),
    }


def owner_annotation(owner: Json) -> dict[str, str]:
    """For pods, whose owner reference names a Job or a ReplicaSet."""
    return {OWNER_ANNOTATION: f"{owner['kind']}/{owner['metadata']['name']}"}


def child(
    kind: str, name: str, owner: Json, role: str, body: Json,
    more_labels: Mapping[str, str] | None = None, annotations: Mapping[str, str] | None = None,
) -> Json:  # fmt: skip
    """A child of `owner`: removed with it, and put right when it is changed."""
    key = key_of(owner)
    metadata: Json = {
        "name": name,
        "namespace": key.namespace,
        "labels": labels(owner, role, more_labels),
        "annotations": {**owner_annotation(owner), **(annotations or {})},
        "ownerReferences": [
            {
                "apiVersion": API_VERSION,
                "kind": key.kind,
                "name": key.name,
                "uid": uid_of(owner),
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ],
    }
    return {"apiVersion": RESOURCES[kind].api_version, "kind": kind, "metadata": metadata, **body}


def store_address(storage: Storage) -> StoreAddress:
    return StoreAddress(
        uri=storage.uri,
        endpoint=storage.endpoint,
        region=storage.region,
        path_style=storage.path_style,
        ca_bundle_file=CA_FILE if storage.ca_bundle else None,
    )


def credentials_environment(secret: str | None) -> list[Json]:
    """The store's credentials from a Secret; none leaves it to the pod's own identity."""
    if secret is None:
        return []

    def variable(name: str, optional: bool) -> Json:
        reference: Json = {"name": secret, "key": name}
        return {"name": name, "valueFrom": {"secretKeyRef": {**reference, "optional": True} if optional else reference}}

    return [
        variable("AWS_ACCESS_KEY_ID", optional=False),
        variable("AWS_SECRET_ACCESS_KEY", optional=False),
        variable("AWS_SESSION_TOKEN", optional=True),
    ]


def container(
    name: str, image: str, pull_policy: str, arguments: list[str], resources: Resources, secret: str | None,
    more: Json | None = None, config_map: bool = True,
) -> Json:  # fmt: skip
    """A container under the restricted pod security standard, with a writable /tmp and nothing else writable."""
    mounts: list[Json] = [{"name": "tmp", "mountPath": "/tmp"}]
    if config_map:
        mounts.append({"name": "config", "mountPath": CONFIG_FOLDER, "readOnly": True})
    spec: Json = {
        "name": name,
        "image": image,
        "imagePullPolicy": pull_policy,
        "args": arguments,
        "env": [{"name": "HOME", "value": "/tmp"}, *credentials_environment(secret)],
        "volumeMounts": mounts,
        # A death that left no message still has the last lines of its log.
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        **(more or {}),
    }
    stated = resources.to_json_dict()
    quantities = {name: {key: str(value) for key, value in part.items()} for name, part in stated.items() if part}
    if quantities:
        spec["resources"] = quantities
    return spec


def pod_spec(work: Json, template: PodTemplate, secret: str | None, config_map: str | None) -> Json:
    """A pod of the restricted pod security standard around the container that does the work, with what its owner's
    podTemplate adds."""
    volumes: list[Json] = [{"name": "tmp", "emptyDir": {}}]
    if config_map is not None:
        volumes.append({"name": "config", "configMap": {"name": config_map}})
    given = template.to_json_dict()
    ids = {"runAsUser": USER_ID, "runAsGroup": USER_ID, "fsGroup": USER_ID}
    spec: Json = {
        "containers": [{**work, "volumeMounts": [*work["volumeMounts"], *_without_false(given["volumeMounts"])]}],
        "volumes": [*volumes, *_without_false(given["volumes"])],
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
            **given.get("securityContext", ids),
        },
        **{field: given[field] for field in _PASSED_ON if given.get(field)},
    }
    if secret is not None and template.service_account_name is None:
        # The pod's own identity is asked for nothing.
        spec["automountServiceAccountToken"] = False
    return spec


def _without_false(value: Any) -> Any:
    """The API server leaves out what is false, and a Deployment that seems to lack it would be put right for ever."""
    if isinstance(value, list):
        return [_without_false(one) for one in cast("list[Any]", value)]
    if isinstance(value, dict):
        return {name: _without_false(one) for name, one in cast("Json", value).items() if one is not False}
    return value


_PASSED_ON = (
    "nodeSelector", "tolerations", "affinity", "topologySpreadConstraints", "priorityClassName", "serviceAccountName",
    "imagePullSecrets",
)  # fmt: skip


def pod_metadata(
    owner: Json, template: PodTemplate, own_labels: Mapping[str, str], own_annotations: Mapping[str, str] | None = None
) -> Json:
    """Labels and annotations of a pod: what we know it by stands above what its podTemplate adds."""
    return {
        "labels": {**template.labels, **own_labels},
        "annotations": {**(own_annotations or {}), **template.annotations, **owner_annotation(owner)},
    }
