"""What of a HeavyModel's store is in use, as the cluster's objects say."""

from dataclasses import dataclass

from longtail_api.labels import VERSION_LABEL
from longtail_api.store_layout import AGNOSTIC, data_prefix, model_prefix, run_prefix, scenario_key
from longtail_operator.kubernetes.objects import (
    Json,
    Key,
    entries,
    is_deleting,
    key_of,
    labels_of,
    section,
    uid_of,
)
from longtail_operator.kubernetes.snapshot import Snapshot, named_folders
from longtail_operator.stores.run_numbers import data_version, light_version


@dataclass(frozen=True)
class Usage:
    """What nothing may remove, and whose runs are known well enough for anything of them to be removed at all."""

    versions: frozenset[int]
    """Versions of the agnostic model that the Scenarios' current runs started from. A finished run counts: a person may
    still search from it."""
    owners: frozenset[str]
    """Whose folders may be looked through. Not those of who is gone, is being deleted, or has lost its status."""
    folders: frozenset[str]
    """Folders that are in use: `data/<scenario>/<version>`, `runs/<owner>/<run>`, `models/<scenario>/<version>`."""


def usage_of(snapshot: Snapshot, heavy_model: Key) -> Usage:
    """What serves or is to serve, is pinned, belongs to a current run, or stands in what a step was told to do."""
    raw = snapshot.get(heavy_model) or {}
    uri = str(section(raw, "spec", "storage").get("uri", ""))
    versions: set[int] = set()
    owners = {AGNOSTIC}
    folders = folders_told(snapshot, heavy_model) | _drawn(raw, uri)
    for group in entries(raw, "status", "groups"):
        folders.add(run_prefix(AGNOSTIC, int(group["run"])))
    for scenario in snapshot.scenarios(heavy_model):
        key = key_of(scenario)
        owner = scenario_key(key.namespace, key.name, uid_of(scenario))
        run = section(scenario, "status", "run")
        folders |= _of_scenario(scenario, owner) | _drawn(scenario, uri) | folders_told(snapshot, key)
        for deployment in snapshot.children(key):
            if deployment["kind"] == "Deployment":
                folders.add(model_prefix(owner, labels_of(deployment).get(VERSION_LABEL, "")))
        for search in snapshot.searches(key):
            folders |= folders_told(snapshot, key_of(search))
            folders.add(_folder(str(section(search, "status").get("resultKey") or "")))
        if isinstance(run.get("baseVersion"), int):
            versions.add(run["baseVersion"])
        if isinstance(run.get("number"), int) and not is_deleting(scenario):
            owners.add(owner)
    return Usage(frozenset(versions), frozenset(owners), frozenset(folders))


def _of_scenario(scenario: Json, owner: str) -> set[str]:
    """What spec and status of a Scenario name."""
    status, serving = section(scenario, "status"), section(scenario, "status", "serving")
    run, lineage = section(status, "run"), section(status, "lineage")
    data = [run.get("dataVersion"), section(status, "data").get("version"), lineage.get("dataVersion")]
    light = [serving.get("stable"), serving.get("candidate"), lineage.get("lightVersion")]
    light.append(section(scenario, "spec", "serving").get("pinnedVersion"))
    folders = {_folder(str(step.get("resultKey") or "")) for step in entries(run, "steps")}
    if isinstance(number := run.get("number"), int):
        folders.add(run_prefix(owner, number))
        data.append(data_version(number))
        light.append(light_version(number))
    folders |= {data_prefix(owner, version) for version in data if version}
    return folders | {model_prefix(owner, version) for version in light if version}


def folders_told(snapshot: Snapshot, owner: Key) -> set[str]:
    """What the configs name that the steps of `owner` have been given."""
    return {folder for child in snapshot.children(owner) for folder in named_folders(child)}


def _drawn(item: Json, uri: str) -> set[str]:
    """Where the pictures lie that a status shows."""
    pictures = entries(item, "status", "pictures")
    return {_folder(str(picture.get("uri", "")).removeprefix(uri.rstrip("/") + "/")) for picture in pictures}


def _folder(key: str) -> str:
    return "/".join(key.split("/")[:3])
