"""The container runtime: a containerd of our own beside any that the machine runs, and the image of pods' sandboxes."""

import io
import json
import os
import subprocess
import tarfile
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from tests.devcluster import layout, network
from tests.devcluster.errors import ClusterError
from tests.devcluster.processes import Processes, Record, end_recorded, start_time

NAME = "containerd"
SANDBOX_IMAGE = "longtail.local/pause:1"
_NAMESPACE = "k8s.io"


def start(state: layout.State, processes: Processes) -> None:
    """Start containerd; `ready` says when it serves."""
    run = state.containerd_run
    run.mkdir(parents=True, exist_ok=True)
    network.write_cni_configuration(run / "cni", state.node / "cni-addresses")
    mirror = run / "certs.d" / layout.REGISTRY
    mirror.mkdir(parents=True, exist_ok=True)
    (mirror / "hosts.toml").write_text(f'server = "http://{layout.REGISTRY}"\n')
    configuration = run / "config.toml"
    configuration.write_text(_configuration(state))
    processes.start(NAME, ["containerd", "--config", configuration])


def ready(state: layout.State) -> bool:
    return state.containerd_socket.exists() and _ctr(state, "version").returncode == 0


def import_sandbox_image(state: layout.State) -> None:
    """Make the image of a pod's sandbox known, building it first where no earlier start has."""
    archive = state.images / "pause.tar"
    if not archive.exists():
        _build_sandbox_image(archive)
    result = _ctr(state, "images", "import", "--no-unpack", str(archive))
    if result.returncode:
        raise ClusterError(f"importing the sandbox image failed: {result.stderr[-1000:]}")


def images(state: layout.State) -> dict[str, str]:
    """The digest of every image by each of its names: as pulled, by digest, and by its own hash."""
    result = _ctr(state, "images", "list")
    if result.returncode:
        raise ClusterError(f"containerd's images cannot be listed: {result.stderr[-1000:]}")
    rows = [line.split() for line in result.stdout.splitlines()[1:]]
    return {name: digest for name, _, digest, *_ in rows}


def remove_images(state: layout.State, names: Sequence[str]) -> None:
    """Remove images by their names; their layers are gone from the disk where no other image or container has them."""
    result = _ctr(state, "images", "remove", "--sync", *names)
    if result.returncode:
        raise ClusterError(f"containerd's images cannot be removed: {result.stderr[-1000:]}")


def remove_containers(state: layout.State, processes: Processes) -> None:
    """Kill and remove every container, with its shim; images stay. To be called when the kubelet is gone."""
    if processes.alive(NAME):
        tasks = _ctr(state, "tasks", "list", "--quiet").stdout.split()
        if tasks:
            _ctr(state, "tasks", "delete", "--force", *tasks)
        containers = _ctr(state, "containers", "list", "--quiet").stdout.split()
        if containers:
            _ctr(state, "containers", "delete", *containers)
    for record in shims(state):
        for child in _children(record.pid):
            end_recorded(child, 0)
        end_recorded(record, 2)


def shims(state: layout.State) -> list[Record]:
    """The processes that hold our containers: known by our socket's path among their arguments."""
    found: list[Record] = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if "containerd-shim" in words[0] and str(state.containerd_socket) in words:
            started = start_time(int(folder.name))
            if started is not None:
                found.append(Record("containerd-shim", int(folder.name), started, words))
    return found


def _children(pid: int) -> list[Record]:
    found: list[Record] = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in path.read_text().split():
            started = start_time(int(child))
            if started is not None:
                found.append(Record("container", int(child), started, []))
    return found


def _ctr(state: layout.State, *words: str) -> subprocess.CompletedProcess[str]:
    command = ["ctr", "--address", str(state.containerd_socket), "--namespace", _NAMESPACE, *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _configuration(state: layout.State) -> str:
    run = state.containerd_run
    return f"""version = 2
root = "{state.containerd_root}"
state = "{run / "state"}"
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs",
]

[grpc]
  address = "{state.containerd_socket}"

[plugins."io.containerd.internal.v1.opt"]
  path = "{run / "opt"}"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{SANDBOX_IMAGE}"
  # Without CAP_SYS_RESOURCE a container may not get a lower score than its parent: every sandbox would die.
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  max_concurrent_downloads = 6
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    # The registry has the layers; keeping them packed as well would double the disk they take.
    discard_unpacked_layers = true
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
        Root = "{run / "runc"}"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{run / "cni"}"
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "{run / "certs.d"}"
"""


def _build_sandbox_image(archive: Path) -> None:
    """One static program in one layer, in the form of `docker save`."""
    archive.parent.mkdir(parents=True, exist_ok=True)
    program = archive.with_suffix(".program")
    source = layout.SOURCES / "pause" / "pause.c"
    command = ["gcc", "-Os", "-static", "-s", "-o", str(program), str(source)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise ClusterError(
            f"compiling the sandbox program failed (apt-get install gcc libc6-dev): {result.stderr[-1000:]}"
        )
    layer = _tar({"pause": program.read_bytes()})
    configuration = json.dumps(
        {
            "architecture": {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine),
            "os": "linux",
            "config": {"Entrypoint": ["/pause"], "User": "65535:65535"},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{sha256(layer).hexdigest()}"]},
        }
    ).encode()
    manifest = [{"Config": "config.json", "RepoTags": [SANDBOX_IMAGE], "Layers": ["layer.tar"]}]
    files = {"config.json": configuration, "layer.tar": layer, "manifest.json": json.dumps(manifest).encode()}
    archive.write_bytes(_tar(files))
    program.unlink()


def _tar(files: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o755
            archive.addfile(entry, io.BytesIO(data))
    return content.getvalue()
