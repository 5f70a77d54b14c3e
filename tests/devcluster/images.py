"""Images: the registry that everyone pulls from, and building into it without a container engine."""

import json
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from tests.devcluster import layout
from tests.devcluster.errors import ClusterError
from tests.devcluster.processes import Processes, listens

NAME = "registry"


def start_registry(state: layout.State, processes: Processes) -> None:
    """Serve the registry of the state folder on loopback, without passwords; deletion is allowed."""
    if not processes.alive(NAME) and registry_ready():
        raise ClusterError(
            f"another program listens on {layout.REGISTRY}; end it, or set KUBECONFIG to use its cluster"
        )
    configuration = state.node / "registry.json"
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
    configuration.write_text(json.dumps(content, indent=1))  # JSON is YAML, too.
    processes.start(NAME, ["docker-registry", "serve", configuration])


def registry_ready() -> bool:
    return listens(*_address())


def in_registry(reference: str) -> bool:
    """Does the local registry have this image (`127.0.0.1:5000/name:tag`)?"""
    name, _, tag = reference.removeprefix(f"{layout.REGISTRY}/").rpartition(":")
    accept = "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"
    request = urllib.request.Request(
        f"http://{layout.REGISTRY}/v2/{name}/manifests/{tag}", method="HEAD", headers={"Accept": accept}
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=5) as response:
            return response.status == 200
    except (OSError, urllib.error.URLError):
        return False


def buildah(state: layout.State, *words: str | Path) -> list[str]:
    """A buildah command line that keeps its storage below the state folder."""
    storage = ["--root", state.buildah / "root", "--runroot", state.buildah / "run", "--storage-driver", "overlay"]
    return [str(word) for word in ("buildah", *storage, *words)]


def build_and_push(
    state: layout.State, reference: str, containerfile: Path, context: Path, options: Sequence[str] = ()
) -> None:
    """Build an image, push it to the registry, and remove buildah's own copy.

    `options` go to `buildah build`. Raises `ClusterError` with the end of the output.
    """
    build = buildah(state, "build", "--isolation", "chroot", *options, "-t", reference, "-f", containerfile, context)
    _run(build)
    _run(buildah(state, "push", "--tls-verify=false", reference))
    _run(buildah(state, "rmi", reference))


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


def _run(command: list[str]) -> None:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise ClusterError(f"{' '.join(command)} failed:\n{(result.stdout + result.stderr)[-3000:]}")
