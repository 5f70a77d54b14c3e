"""Where things lie: caches that outlive a cluster, and the state of the one cluster.

Both are outside the source tree. `down` removes what a cluster made of itself (`node`), and keeps what only
makes the next start fast (`images`); `down --all` removes that too. Built programs are never removed.
"""

import os
from dataclasses import dataclass
from pathlib import Path

NODE_NAME = "longtail-node"
# Private addresses that no machine's own network is likely to use; pods reach the API server by the node's.
NODE_ADDRESS = "10.222.0.1"
NODE_NETWORK = "10.222.0.0/24"
SERVICE_NETWORK = "10.223.0.0/16"
FIRST_SERVICE_ADDRESS = "10.223.0.1"
POD_NETWORK = "10.224.0.0/16"
CLUSTER_DOMAIN = "cluster.local"

API_PORT = 6443
ETCD_PORT = 12379
ETCD_PEER_PORT = 12380
REGISTRY = "127.0.0.1:5000"
PROMETHEUS_PORT = 19090
STORE_NODE_PORT = 30070

SOURCES = Path(__file__).resolve().parent
REPOSITORY = SOURCES.parent.parent


def cache() -> Path:
    """The folder of caches: LONGTAIL_CACHE, or `longtail` in the user's cache folder."""
    named = os.environ.get("LONGTAIL_CACHE")
    if named:
        return Path(named).expanduser().resolve()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").resolve() / "longtail"


def uv_cache() -> Path:
    """uv's folder of unpacked packages, of which the environment holds hard links."""
    named = os.environ.get("UV_CACHE_DIR")
    return Path(named) if named else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "uv"


@dataclass(frozen=True)
class State:
    """The folder of one cluster: everything it writes is below `root`."""

    root: Path

    @property
    def node(self) -> Path:
        """What `down` removes: certificates, etcd's data, the kubelet's folder, logs."""
        return self.root / "node"

    @property
    def images(self) -> Path:
        """What `down` keeps: the registry's blobs and containerd's unpacked images."""
        return self.root / "images"

    @property
    def lock(self) -> Path:
        """Held by an `up` or a `down`."""
        return self.root / "lock"

    @property
    def build_lock(self) -> Path:
        """Held while buildah works: whoever is done removes all that it stored."""
        return self.root / "build.lock"

    @property
    def release_lock(self) -> Path:
        """Held while Longtail's images are pruned, which stops the registry, and built."""
        return self.root / "release.lock"

    @property
    def records(self) -> Path:
        return self.node / "processes"

    @property
    def logs(self) -> Path:
        return self.node / "logs"

    @property
    def certificates(self) -> Path:
        return self.node / "certificates"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""
        return self.node / "admin.kubeconfig"

    @property
    def audit_log(self) -> Path:
        return self.logs / "audit.log"

    @property
    def containerd_root(self) -> Path:
        return self.images / "containerd"

    @property
    def registry(self) -> Path:
        return self.images / "registry"

    @property
    def buildah(self) -> Path:
        return self.images / "buildah"

    @property
    def containerd_run(self) -> Path:
        return self.node / "containerd"

    @property
    def containerd_socket(self) -> Path:
        return self.containerd_run / "containerd.sock"

    @property
    def kubelet(self) -> Path:
        return self.node / "kubelet"

    @property
    def pod_logs(self) -> Path:
        return self.node / "pod-logs"

    @property
    def tools(self) -> Path:
        """A folder to put on PATH: kubectl, helm and the others by their usual names."""
        return self.root / "bin"


def state() -> State:
    """The cluster's folder: LONGTAIL_STATE, or `cluster` in the folder of caches."""
    named = os.environ.get("LONGTAIL_STATE")
    return State(Path(named).expanduser().resolve() if named else cache() / "cluster")
