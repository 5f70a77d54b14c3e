"""Kubernetes objects as dicts: their kinds, their keys, and whose children they are."""

from dataclasses import dataclass
from typing import Any, NamedTuple, cast

from longtail_api.base import API_VERSION, GROUP
from longtail_api.labels import OWNER_ANNOTATION

Json = dict[str, Any]


class Key(NamedTuple):
    """Names one object for as long as the process lives."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.namespace}/{self.name}"


@dataclass(frozen=True)
class Resource:
    """A kind as the API server addresses it."""

    api_version: str
    plural: str

    def path(self, namespace: str | None, name: str | None = None) -> str:
        root = "/api/v1" if self.api_version == "v1" else f"/apis/{self.api_version}"
        middle = f"/namespaces/{namespace}" if namespace else ""
        return f"{root}{middle}/{self.plural}" + (f"/{name}" if name else "")


HEAVY_MODEL = "HeavyModel"
SCENARIO = "Scenario"
SEARCH = "LightModelSearch"

OWN_KINDS = (HEAVY_MODEL, SCENARIO, SEARCH)
CHILD_KINDS = ("Job", "ConfigMap", "Deployment", "Service", "PodDisruptionBudget", "HorizontalPodAutoscaler")
RESOURCES = {
    HEAVY_MODEL: Resource(API_VERSION, "heavymodels"),
    SCENARIO: Resource(API_VERSION, "scenarios"),
    SEARCH: Resource(API_VERSION, "lightmodelsearches"),
    "Job": Resource("batch/v1", "jobs"),
    "ConfigMap": Resource("v1", "configmaps"),
    "Deployment": Resource("apps/v1", "deployments"),
    "Service": Resource("v1", "services"),
    "PodDisruptionBudget": Resource("policy/v1", "poddisruptionbudgets"),
    "HorizontalPodAutoscaler": Resource("autoscaling/v2", "horizontalpodautoscalers"),
    "Pod": Resource("v1", "pods"),
    "Secret": Resource("v1", "secrets"),
    "Event": Resource("v1", "events"),
}
WATCHED_KINDS = (*OWN_KINDS, *CHILD_KINDS, "Pod")


def section(item: Json, *path: str) -> Json:
    """The mapping at `path`, empty where there is none."""
    here: Any = item
    for name in path:
        here = cast(Json, here).get(name) if isinstance(here, dict) else None
    return cast(Json, here) if isinstance(here, dict) else {}


def entries(item: Json, *path: str) -> list[Json]:
    """The list of mappings at `path`, empty where there is none."""
    return cast(list[Json], section(item, *path[:-1]).get(path[-1]) or [])


def key_of(item: Json) -> Key:
    metadata = section(item, "metadata")
    return Key(item["kind"], metadata.get("namespace", ""), metadata["name"])


def uid_of(item: Json) -> str:
    return str(section(item, "metadata").get("uid", ""))


def labels_of(item: Json) -> dict[str, str]:
    return cast(dict[str, str], section(item, "metadata", "labels"))


def annotations_of(item: Json) -> dict[str, str]:
    return cast(dict[str, str], section(item, "metadata", "annotations"))


def is_deleting(item: Json) -> bool:
    return section(item, "metadata").get("deletionTimestamp") is not None


def owner_reference(item: Json) -> Json | None:
    """The reference to the resource of ours that controls `item`."""
    for reference in cast(list[Json], section(item, "metadata").get("ownerReferences") or []):
        if reference.get("controller") and is_of_our_group(reference):
            return reference
    return None


def is_of_a_predecessor(item: Json, owner: Json) -> bool:
    """Was a child made for an earlier resource of its owner's name? One that was orphaned has no reference left, and
    was made before its owner; one that somebody took the reference from is as young as the rest."""
    reference = owner_reference(item)
    if reference is not None:
        return reference.get("uid") != uid_of(owner)
    made, began = (section(one, "metadata").get("creationTimestamp") for one in (item, owner))
    return made is not None and began is not None and str(made) < str(began)


def is_of_our_group(reference: Json) -> bool:
    """Does an owner reference name a resource of ours?"""
    return str(reference.get("apiVersion", "")).startswith(f"{GROUP}/")


def owner_key(item: Json) -> Key | None:
    """The resource that `item` is a child of: by its owner reference or, for a pod, by its annotation."""
    namespace = section(item, "metadata").get("namespace", "")
    reference = owner_reference(item)
    if reference is not None:
        return Key(str(reference["kind"]), namespace, str(reference["name"]))
    kind, _, name = annotations_of(item).get(OWNER_ANNOTATION, "").partition("/")
    return Key(kind, namespace, name) if kind in OWN_KINDS and name else None
