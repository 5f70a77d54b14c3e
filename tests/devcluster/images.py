"""Images: the registry that everyone pulls from, and building into it without a container engine."""

import json
import os
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from http.client import HTTPResponse
from pathlib import Path

from tests.devcluster import layout
from tests.devcluster.errors import ClusterError
from tests.devcluster.locks import alone
from tests.devcluster.processes import Processes, listens

NAME = "registry"


def start_registry(state: layout.State, processes: Processes) -> None:
    """Serve the registry of the state folder on loopback, without passwords; deletion is allowed."""
    if processes.alive(NAME):
        return
    if registry_ready():
        raise ClusterError(
            f"another program listens on {layout.REGISTRY}; end it, or set KUBECONFIG to use its cluster"
        )
    content = {
        "version": "0.1",
        "log": {"level": "warn", "accesslog": {"disabled": True}},
        "storage": {
            "filesystem": {"rootdirectory": str(state.registry)},
            "cache": {"blobdescriptor": "inmemory"},
            "delete": {"enabled": True},
        },
        "http": {"addr": layout.REGISTRY},
    }
    state.registry.mkdir(parents=True, exist_ok=True)
    # What a push left that was broken off: no client comes back for it, and the registry would keep it for a week.
    for uploads in list(state.registry.rglob("_uploads")):
        shutil.rmtree(uploads)
    _configuration(state).write_text(json.dumps(content, indent=1))  # JSON is YAML, too.
    processes.start(NAME, ["docker-registry", "serve", _configuration(state)])


def _configuration(state: layout.State) -> Path:
    return state.node / "registry.json"


def registry_ready() -> bool:
    return listens(*_address())


def collect_garbage(state: layout.State, processes: Processes) -> None:
    """Free the disk of what was deleted. The registry is down for a second.

    While it collects, it would take for garbage what is pushed at that moment; and a registry that goes on running
    believes in layers that are gone (distribution's documentation asks for it to be stopped or read-only).
    """
    processes.stop(NAME)
    _run(["docker-registry", "garbage-collect", str(_configuration(state))])
    start_registry(state, processes)
    processes.wait(NAME, registry_ready)


def in_registry(reference: str) -> bool:
    """Does the local registry have this image (`127.0.0.1:5000/name:tag`)?"""
    repository, _, tag = reference.rpartition(":")
    return _digest(repository, tag) is not None


def tags(repository: str) -> dict[str, str]:
    """The digest of each tag of a repository of the local registry (`127.0.0.1:5000/name`)."""
    try:
        with _request("GET", repository, "tags/list") as response:
            names: list[str] = json.load(response)["tags"] or []
    except urllib.error.HTTPError as error:
        if error.code == 404:  # Nothing was ever pushed there.
            return {}
        raise
    return {name: digest for name in names if (digest := _digest(repository, name))}


def delete(repository: str, digest: str) -> None:
    """Delete a manifest, and with it every tag that leads to it; its layers go with `collect_garbage`."""
    with _request("DELETE", repository, f"manifests/{digest}"):
        pass


def _digest(repository: str, tag: str) -> str | None:
    try:
        with _request("HEAD", repository, f"manifests/{tag}") as response:
            return response.headers["Docker-Content-Digest"]
    except (OSError, urllib.error.URLError):
        return None


def _request(method: str, repository: str, path: str) -> HTTPResponse:
    name = repository.removeprefix(f"{layout.REGISTRY}/")
    accept = "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"
    url = f"http://{layout.REGISTRY}/v2/{name}/{path}"
    request = urllib.request.Request(url, method=method, headers={"Accept": accept})
    return urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=5)


def buildah(state: layout.State, *words: str | Path) -> list[str]:
    """A buildah command line that keeps its storage below the state folder."""
    storage = ["--root", state.buildah / "root", "--runroot", state.buildah / "run", "--storage-driver", "overlay"]
    return [str(word) for word in ("buildah", *storage, *words)]


def build_and_push(
    state: layout.State, reference: str, containerfile: Path, context: Path, options: Sequence[str] = ()
) -> None:
    """Build an image right into the registry; buildah keeps nothing of it. One build at a time.

    Its storage never holds the image as a whole, and the one layer that it makes waits for the push in packed form:
    at most 1.6 times the image's size is on disk besides what the registry gets, where a build, a commit and a push
    one after the other take three times.

    `options` go to `buildah build`. Raises `ClusterError` with the end of the output.
    """
    target = ["--disable-compression=false", "--tls-verify=false", "-t", f"docker://{reference}"]
    build = buildah(state, "build", "--isolation", "chroot", *options, *target, "-f", containerfile, context)
    temporary = state.buildah / "temporary"
    with alone(state.build_lock):
        temporary.mkdir(parents=True, exist_ok=True)
        try:
            _run(build, {"TMPDIR": str(temporary)})
        finally:
            # The base image, and what an earlier build left that was killed.
            for words in (("rm", "--all"), ("rmi", "--all", "--force")):
                subprocess.run(buildah(state, *words), capture_output=True, check=False)
            shutil.rmtree(temporary)


def build_scratch_image(
    state: layout.State, reference: str, files: dict[str, Path], entrypoint: Sequence[str], links: Sequence[str] = ()
) -> None:
    """Push an image of nothing but static programs: `files` maps absolute names in the image to files here.

    `links` are further names, in the image, of the first file.
    """
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "root")
        for name, source in files.items():
            target = root / name.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
        for link in links:
            place = root / link.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(next(iter(files)))
        containerfile = Path(folder, "Containerfile")
        containerfile.write_text(
            f"FROM scratch\nCOPY root/ /\nUSER 65532:65532\nENTRYPOINT {json.dumps(list(entrypoint))}\n"
        )
        build_and_push(state, reference, containerfile, Path(folder))


def _address() -> tuple[str, int]:
    host, port = layout.REGISTRY.split(":")
    return host, int(port)


def _run(command: list[str], environment: Mapping[str, str] | None = None) -> None:
    settings = os.environ | dict(environment or {})
    result = subprocess.run(command, env=settings, capture_output=True, text=True, check=False)
    if result.returncode:
        raise ClusterError(f"{' '.join(command)} failed:\n{(result.stdout + result.stderr)[-3000:]}")
