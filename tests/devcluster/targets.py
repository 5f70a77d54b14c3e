"""Keeps Prometheus' list of pods to scrape: `python -m tests.devcluster.targets CERTIFICATES URL FILE`.

Debian's Prometheus is built without its Kubernetes discovery, but reads targets from a file that may change.
"""

import argparse
import json
import time
import urllib.request
from pathlib import Path
from typing import Any

from tests.devcluster.apiserver import opener
from tests.devcluster.certificates import Authority

_ANNOTATION = "prometheus.io"
_SECONDS_BETWEEN = 2.0


def targets(pods: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The running pods annotated `prometheus.io/scrape: "true"`, in the form of Prometheus' file discovery.

    `prometheus.io/port` says where; without it, each port that a container declares is a target. `/path` and `/scheme`
    override `/metrics` and `http`. Labels `longtail.dev/…` and `app.kubernetes.io/…` come along.
    """
    found: list[dict[str, Any]] = []
    for pod in pods:
        metadata, status = pod["metadata"], pod.get("status", {})
        annotations = metadata.get("annotations", {})
        if annotations.get(f"{_ANNOTATION}/scrape") != "true" or status.get("phase") != "Running":
            continue
        declared = [str(port["containerPort"]) for each in pod["spec"]["containers"] for port in each.get("ports", [])]
        ports = [annotations[f"{_ANNOTATION}/port"]] if f"{_ANNOTATION}/port" in annotations else declared
        labels = {
            "namespace": metadata["namespace"],
            "pod": metadata["name"],
            "__metrics_path__": annotations.get(f"{_ANNOTATION}/path", "/metrics"),
            "__scheme__": annotations.get(f"{_ANNOTATION}/scheme", "http"),
        }
        for name, value in metadata.get("labels", {}).items():
            if name.startswith(("longtail.dev/", "app.kubernetes.io/")):
                labels["".join(letter if letter.isalnum() else "_" for letter in name)] = value
        found.append({"targets": [f"{status['podIP']}:{port}" for port in ports], "labels": labels})
    return sorted(found, key=lambda target: (target["labels"]["namespace"], target["labels"]["pod"]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("certificates", type=Path)
    parser.add_argument("url")
    parser.add_argument("file", type=Path)
    arguments = parser.parse_args()
    authority = Authority(arguments.certificates)
    client = opener(authority.own.certificate, authority.client("prometheus"))
    while True:
        try:
            _refresh(client, arguments.url, arguments.file)
        except OSError as error:
            print(f"pods not listed, trying again: {error}", flush=True)
        time.sleep(_SECONDS_BETWEEN)


def _refresh(client: urllib.request.OpenerDirector, url: str, file: Path) -> None:
    with client.open(f"{url}/api/v1/pods?fieldSelector=status.phase%3DRunning", timeout=10) as response:
        text = json.dumps(targets(json.load(response)["items"]), indent=1)
    if not file.exists() or file.read_text() != text:
        unfinished = file.with_suffix(".unfinished")
        unfinished.write_text(text)
        unfinished.rename(file)


if __name__ == "__main__":
    main()
