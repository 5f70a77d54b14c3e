"""etcd and the API server: as the heart of the cluster, or alone for tests of the API's own rules."""

import ssl
import subprocess
import time
import urllib.request
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.devcluster import layout
from tests.devcluster.binaries import binary
from tests.devcluster.certificates import Authority, Pair
from tests.devcluster.errors import ClusterError
from tests.devcluster.processes import end, free_port


@dataclass(frozen=True)
class ControlPlane:
    """Where etcd and the API server listen and keep their files."""

    folder: Path
    authority: Authority
    address: str
    port: int
    etcd_port: int
    etcd_peer_port: int

    @property
    def url(self) -> str:
        return f"https://{self.address}:{self.port}"

    @property
    def administrator(self) -> Pair:
        return self.authority.client("kubernetes-admin", "system:masters")

    def etcd_command(self) -> list[str]:
        client, peer = f"http://127.0.0.1:{self.etcd_port}", f"http://127.0.0.1:{self.etcd_peer_port}"
        return [
            str(binary("cluster")),
            "etcd",
            f"--data-dir={self.folder / 'etcd'}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            # Nothing here has to survive a power cut, and a test machine's disk may take 100 ms to sync.
            "--unsafe-no-fsync",
            "--log-level=warn",
        ]

    def apiserver_command(self) -> list[str]:
        serving = self.authority.server(
            "kube-apiserver",
            f"IP:{self.address}",
            "IP:127.0.0.1",
            f"IP:{layout.FIRST_SERVICE_ADDRESS}",
            "DNS:localhost",
            "DNS:kubernetes",
            "DNS:kubernetes.default",
            "DNS:kubernetes.default.svc",
            f"DNS:kubernetes.default.svc.{layout.CLUSTER_DOMAIN}",
        )
        tokens = self.authority.signing_pair()
        return [
            str(binary("cluster")),
            "kube-apiserver",
            f"--etcd-servers=http://127.0.0.1:{self.etcd_port}",
            f"--bind-address={self.address}",
            f"--secure-port={self.port}",
            f"--tls-cert-file={serving.certificate}",
            f"--tls-private-key-file={serving.key}",
            f"--client-ca-file={self.authority.own.certificate}",
            f"--cert-dir={self.folder / 'apiserver'}",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--allow-privileged=true",
            f"--service-cluster-ip-range={layout.SERVICE_NETWORK}",
            f"--service-account-issuer=https://kubernetes.default.svc.{layout.CLUSTER_DOMAIN}",
            f"--service-account-key-file={tokens.certificate}",
            f"--service-account-signing-key-file={tokens.key}",
            "--kubelet-preferred-address-types=InternalIP",
        ]

    def ready(self) -> bool:
        """Does the API server say that it can serve?"""
        try:
            with opener(self.authority.own.certificate, self.administrator).open(f"{self.url}/readyz", timeout=2):
                return True
        except OSError:
            return False


def opener(authority: Path, pair: Pair) -> urllib.request.OpenerDirector:
    """What opens URLs of a server that `authority` signed, as the user of `pair`."""
    trust = ssl.create_default_context(cafile=str(authority))
    trust.load_cert_chain(pair.certificate, pair.key)
    # A machine's proxy must not come between: the address is this machine's own.
    return urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trust))


@contextmanager
def api_server(directory: Path) -> Generator[Path]:
    """Run etcd and an API server, and nothing else, on free loopback ports; yields an administrator's kubeconfig.

    For tests of what the API accepts: definitions, defaults, validation, RBAC. No controller runs (no garbage
    collection, no service accounts) and no pod ever starts. `directory` holds data, certificates and logs, and
    should be empty. Ready in about 3 seconds, once the programs are built. Both processes are ended on exit.
    """
    directory.mkdir(parents=True, exist_ok=True)
    plane = ControlPlane(
        folder=directory,
        authority=Authority(directory / "certificates"),
        address="127.0.0.1",
        port=free_port(),
        etcd_port=free_port(),
        etcd_peer_port=free_port(),
    )
    kubeconfig = plane.authority.kubeconfig(directory / "kubeconfig", plane.url, plane.administrator)
    # Nobody is to reach this server through its own `kubernetes` service, which may not have a loopback address.
    alone = ["--endpoint-reconciler-type=none", "--advertise-address=192.0.2.1"]
    with ExitStack() as stack:
        for name, command in (
            ("etcd", plane.etcd_command()),
            ("kube-apiserver", [*plane.apiserver_command(), *alone]),
        ):
            log = stack.enter_context((directory / f"{name}.log").open("wb"))
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd=directory
            )
            stack.callback(end, process)
        _wait(plane, process, directory / "kube-apiserver.log")
        yield kubeconfig


def _wait(plane: ControlPlane, process: subprocess.Popen[bytes], log: Path, seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not plane.ready():
        if process.poll() is not None or time.monotonic() > deadline:
            words = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
            raise ClusterError(f"the API server did not get ready; the end of {log}:\n{words}")
        time.sleep(0.1)
