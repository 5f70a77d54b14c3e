"""The Kubernetes objects of serving: a Deployment per light version, the Services, the disruption budget, the check."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from longtail_api.conditions import Reason
from longtail_api.labels import (
    MANAGED_BY,
    MANAGED_BY_LABEL,
    REPLICAS_ANNOTATION,
    ROLE_LABEL,
    SCENARIO_LABEL,
    VERSION_LABEL,
)
from longtail_api.scenario import Serving
from longtail_api.shared_specs import Storage
from longtail_operator.kubernetes.apply import covers
from longtail_operator.kubernetes.children import (
    CA_FILE,
    SERVER,
    child,
    container,
    labels,
    pod_metadata,
    pod_spec,
)
from longtail_operator.kubernetes.held_up import held_up
from longtail_operator.kubernetes.identity import candidate_name, child_base, identity, label_value
from longtail_operator.kubernetes.jobs import conditions_of
from longtail_operator.kubernetes.objects import Json, annotations_of, entries, section, uid_of
from longtail_operator.kubernetes.pods import is_over, last_words
from longtail_operator.kubernetes.trouble import Trouble
from longtail_operator.settings import Settings

SERVING = "serving"
PORT = 8080
SHA256_ANNOTATION = "longtail.dev/sha256"
FORM_ANNOTATION = "longtail.dev/form"
"""On a Deployment: hash of what its pods are made of (image, resources, podTemplate), but for their number."""
BUSY_PERCENT = 80
"""Share of the requested CPU above which there should be more pods."""


@dataclass(frozen=True)
class Revision:
    """A light version in one form: what one Deployment serves."""

    version: str
    sha256: str
    name: str
    """The version label of its pods: the version or, where that serves already in another form, with a hash of it."""


@dataclass(frozen=True)
class ServingPlace:
    """Where and how the light models of one Scenario are served: everything but the version."""

    owner: Json
    store_key: str
    settings: Settings
    storage: Storage
    secret: str | None
    serving: Serving

    @property
    def name(self) -> str:
        return str(self.owner["metadata"]["name"])

    @property
    def namespace(self) -> str:
        return str(self.owner["metadata"]["namespace"])

    @property
    def service_name(self) -> str:
        return child_base(self.name)

    @property
    def candidate_service_name(self) -> str:
        """No other Scenario's Service has it: see `identity.child_base`."""
        return candidate_name(self.name, uid_of(self.owner))

    def deployment_name(self, revision: str) -> str:
        return f"{child_base(self.name)}-{revision}"

    def address(self, service: str) -> str:
        return f"http://{service}.{self.namespace}.svc:{PORT}"

    @property
    def url(self) -> str:
        """The model's endpoint; `/infer` after it answers predictions."""
        return f"{self.address(self.service_name)}/v2/models/{self.name}"

    def selector(self, revision: str) -> dict[str, str]:
        return {
            MANAGED_BY_LABEL: MANAGED_BY,
            SCENARIO_LABEL: label_value(self.name),
            ROLE_LABEL: SERVING,
            VERSION_LABEL: revision,
        }

    def store_flags(self) -> list[str]:
        flags = [f"--store-uri={self.storage.uri}", f"--store-region={self.storage.region}"]
        flags.append(f"--store-path-style={'true' if self.storage.path_style else 'false'}")
        if self.storage.endpoint:
            flags.append(f"--store-endpoint={self.storage.endpoint}")
        if self.storage.ca_bundle:
            flags.append(f"--store-ca-bundle={CA_FILE}")
        return flags

    @property
    def trust_name(self) -> str | None:
        """ConfigMap of the store's certificates, where it needs any."""
        return f"{child_base(self.name)}-trust" if self.storage.ca_bundle else None


def deployment(place: ServingPlace, revision: Revision, replicas: int = 0) -> Json:
    """One light version, pinned by its hash. Its pods are ready once the model is verified and warmed up.

    replicas: with how many pods it begins, where these are more than minReplicas.
    """
    probe = {"path": "/v2/health/ready", "port": "http"}
    server = container(
        SERVER,
        place.settings.serving_image,
        place.settings.image_pull_policy,
        [
            "serve",
            *place.store_flags(),
            f"--scenario={place.store_key}",
            f"--version={revision.version}",
            f"--sha256={revision.sha256}",
            f"--model-name={place.name}",
            f"--port={PORT}",
        ],
        place.serving.resources,
        place.secret,
        more={
            "ports": [{"name": "http", "containerPort": PORT, "protocol": "TCP"}],
            "startupProbe": {"httpGet": probe, "periodSeconds": 1, "failureThreshold": 300},
            "readinessProbe": {"httpGet": probe, "periodSeconds": 5, "failureThreshold": 2},
            "livenessProbe": {
                "httpGet": {"path": "/v2/health/live", "port": "http"},
                "periodSeconds": 10,
                "failureThreshold": 3,
            },
            # Endpoints forget a pod a moment after it was told to end; until then it still gets requests.
            "lifecycle": {"preStop": {"sleep": {"seconds": 5}}},
        },
        config_map=place.trust_name is not None,
    )
    pod = pod_spec(server, place.serving.pod_template, place.secret, place.trust_name)
    pod["terminationGracePeriodSeconds"] = 30
    scrape = {"prometheus.io/scrape": "true", "prometheus.io/port": str(PORT), "prometheus.io/path": "/metrics"}
    metadata = pod_metadata(place.owner, place.serving.pod_template, labels(place.owner, SERVING), scrape)
    form = identity(pod=pod, metadata=metadata)
    metadata["labels"][VERSION_LABEL] = revision.name
    spec: Json = {
        "replicas": max(place.serving.min_replicas, replicas),
        "revisionHistoryLimit": 2,
        "progressDeadlineSeconds": 600,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
        "selector": {"matchLabels": place.selector(revision.name)},
        "template": {"metadata": metadata, "spec": pod},
    }
    return child(
        "Deployment", place.deployment_name(revision.name), place.owner, SERVING, {"spec": spec},
        {VERSION_LABEL: revision.version},
        {
            SHA256_ANNOTATION: revision.sha256,
            FORM_ANNOTATION: form,
            REPLICAS_ANNOTATION: str(place.serving.min_replicas),
        },
    )  # fmt: skip


def form_of(item: Json) -> str:
    """Hash of what the pods of a Deployment are made of; empty where an earlier operator made it."""
    return annotations_of(item).get(FORM_ANNOTATION, "")


def is_of_form(found: Json, wanted: Json) -> bool:
    """Are the pods of a Deployment made as those of `wanted` are?"""
    if form_of(found):
        return form_of(found) == form_of(wanted)
    return covers(section(found, "spec", "template"), section(wanted, "spec", "template"))


def as_it_is(found: Json, wanted: Json) -> Json:
    """`wanted` with the pods that a Deployment of this name has."""
    annotations = {name: value for name, value in annotations_of(wanted).items() if name != FORM_ANNOTATION}
    if form_of(found):
        annotations[FORM_ANNOTATION] = form_of(found)
    spec = {**wanted["spec"], "template": section(found, "spec", "template")}
    return {**wanted, "metadata": {**wanted["metadata"], "annotations": annotations}, "spec": spec}


def image_of(item: Json) -> str:
    """The serving image of a Deployment's pods."""
    return str(_server(item).get("image"))


def _server(item: Json) -> Json:
    containers = entries(item, "spec", "template", "spec", "containers")
    return next((one for one in containers if one.get("name") == SERVER), cast(Json, {}))


def what_differs(found: Json, wanted: Json) -> str:
    """In what the pods of `wanted` are others than those of a Deployment."""
    differing: list[str] = []
    if image_of(found) != image_of(wanted):
        differing.append(f"image {image_of(wanted)} in place of {image_of(found)}")
    there, asked = (section(_server(item), "resources") for item in (found, wanted))
    if not (covers(there, asked) and covers(asked, there)):
        differing.append("other serving.resources")
    return " and ".join(differing) or "another pod (serving.podTemplate, the store, or what the operator itself adds)"


def service(place: ServingPlace, name: str, revision: Revision) -> Json:
    """Sends what arrives at `name` to the pods of one revision."""
    spec: Json = {
        "type": "ClusterIP",
        "selector": place.selector(revision.name),
        "ports": [{"name": "http", "port": PORT, "targetPort": "http", "protocol": "TCP"}],
    }
    return child("Service", name, place.owner, SERVING, {"spec": spec}, {VERSION_LABEL: revision.version})


def disruption_budget(place: ServingPlace, revision: Revision) -> Json:
    """A drained node takes one pod at a time."""
    spec: Json = {"maxUnavailable": 1, "selector": {"matchLabels": place.selector(revision.name)}}
    return child("PodDisruptionBudget", place.service_name, place.owner, SERVING, {"spec": spec})


def autoscaler(place: ServingPlace, revision: Revision) -> Json | None:
    """Adds pods of what serves while they are busy; None where there is one number of pods."""
    serving = place.serving
    if serving.max_replicas == serving.min_replicas:
        return None
    busy: Json = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": BUSY_PERCENT}}
    spec: Json = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": place.deployment_name(revision.name)},
        "minReplicas": serving.min_replicas,
        "maxReplicas": serving.max_replicas,
        "metrics": [{"type": "Resource", "resource": busy}],
    }
    return child("HorizontalPodAutoscaler", place.service_name, place.owner, SERVING, {"spec": spec})


def trust(place: ServingPlace) -> Json | None:
    """The store's certificates for the servers."""
    if place.trust_name is None:
        return None
    return child("ConfigMap", place.trust_name, place.owner, SERVING, {"data": {"ca.crt": place.storage.ca_bundle}})


def replicas_of(item: Json | None) -> int:
    """How many pods a Deployment is asked for, by whomever."""
    return int(section(item or {}, "spec").get("replicas", 1))


def is_available(item: Json | None) -> bool:
    """Do all replicas of the newest revision of a Deployment answer? It has at least one."""
    if item is None:
        return False
    status, replicas = section(item, "status"), max(replicas_of(item), 1)
    return (
        int(status.get("observedGeneration") or 0) >= int(section(item, "metadata").get("generation") or 0)
        and int(status.get("updatedReplicas") or 0) >= replicas
        and int(status.get("availableReplicas") or 0) >= replicas
    )


def not_answering(
    item: Json | None, pods: list[Json], now: datetime, heard: Mapping[str, Trouble] | None = None
) -> Trouble | None:
    """Why a Deployment's pods do not answer; None where nothing is known to be wrong. heard: see `held_up`."""
    failure = conditions_of(item).get("ReplicaFailure") if item is not None else None
    if item is not None and failure is not None:
        words = failure.get("message") or "no word of why"
        said = f"Deployment {item['metadata']['name']} can't make its pods ({failure.get('reason')}): {words}"
        return Trouble(Reason.REFUSED, said)
    if item is not None and replicas_of(item) == 0:
        name = item["metadata"]["name"]
        said = f"Deployment {name} was scaled to no pod; kubectl scale deployment {name} --replicas=1, or more"
        return Trouble(Reason.DEPLOYMENT_UNAVAILABLE, said)
    return held_up(pods, now, heard) or last_words([pod for pod in pods if not is_over(pod)])


def answers(item: Json | None) -> bool:
    """Does at least one pod of a Deployment answer?"""
    return item is not None and int(section(item, "status").get("availableReplicas") or 0) >= 1
