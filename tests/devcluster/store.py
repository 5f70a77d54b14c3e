"""The S3 store inside the cluster: a Deployment of versitygw, as `up` leaves it."""

import base64
import secrets

from tests.devcluster import images, layout
from tests.devcluster.binaries import BINARIES, binary
from tests.devcluster.kubernetes import Cluster
from tests.devcluster.versitygw import Endpoint

NAMESPACE = "longtail-store"
NAME = "versitygw"
MANIFEST = layout.REPOSITORY / "manifests" / "install" / "versitygw.yaml"
INSIDE_URL = f"http://{NAME}.{NAMESPACE}.svc:7070"
_PATH = f"longtail/{NAME}:{BINARIES[NAME].version}"
IMAGE = f"{layout.REGISTRY}/{_PATH}"


def push_image(state: layout.State) -> None:
    """Have the gateway's image in the local registry."""
    if not images.in_registry(IMAGE):
        images.build_scratch_image(state, IMAGE, {"/versitygw": binary(NAME)}, ["/versitygw"])


def apply(cluster: Cluster, registry: str = layout.REGISTRY) -> None:
    """Put the store into the cluster, under keys made up at the first time; `wait` says when it serves."""
    if not cluster.succeeds("get", "namespace", NAMESPACE):
        cluster.kubectl("create", "namespace", NAMESPACE)
    if not cluster.succeeds("get", "secret", NAME, "-n", NAMESPACE):
        keys = {"AWS_ACCESS_KEY_ID": "longtail", "AWS_SECRET_ACCESS_KEY": secrets.token_hex(20)}
        literals = [f"--from-literal={name}={value}" for name, value in keys.items()]
        cluster.kubectl("create", "secret", "generic", NAME, "-n", NAMESPACE, *literals)
    cluster.apply_text(MANIFEST.read_text().replace(IMAGE, f"{registry}/{_PATH}"))


def wait(cluster: Cluster) -> None:
    cluster.kubectl("rollout", "status", f"deployment/{NAME}", "-n", NAMESPACE, "--timeout=120s")


def endpoint(cluster: Cluster) -> Endpoint:
    """The store as this machine reaches it, by its node port. Raises `ClusterError` where it is not in the cluster.

    Pods use `INSIDE_URL` with the same keys.
    """
    data = cluster.get("secret", NAME, "-n", NAMESPACE)["data"]
    access_key, secret_key = (
        base64.b64decode(data[key]).decode() for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    )
    nodes = cluster.get("nodes")["items"]
    addresses = [each["address"] for each in nodes[0]["status"]["addresses"] if each["type"] == "InternalIP"]
    return Endpoint(f"http://{addresses[0]}:{layout.STORE_NODE_PORT}", access_key, secret_key)
