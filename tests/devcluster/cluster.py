"""Bringing the cluster up, and taking it down without a trace."""

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.devcluster import binaries, containerd, images, layout, monitoring, network, node, packages, store, traces
from tests.devcluster.apiserver import ControlPlane
from tests.devcluster.certificates import Authority
from tests.devcluster.errors import ClusterError
from tests.devcluster.kubernetes import Cluster
from tests.devcluster.locks import alone
from tests.devcluster.processes import Processes

ETCD, APISERVER, CONTROLLERS, SCHEDULER = "etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"
# In the order in which `down` ends them: what makes or restarts pods first, then the pods, then the rest.
_MAKERS_OF_PODS = (monitoring.NAME, monitoring.TARGETS, node.DNS, node.KUBELET, node.PROXY, SCHEDULER, CONTROLLERS)
_THE_REST = (APISERVER, ETCD, containerd.NAME, images.NAME)


@dataclass(frozen=True)
class Wanted:
    """What `up` brings besides Kubernetes itself."""

    prometheus: bool = True
    s3: bool = True


class Progress:
    """Says what happens, with the seconds since the start."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    def __call__(self, text: str) -> None:
        print(f"[{time.monotonic() - self._started:6.1f} s] {text}", flush=True)


def processes_of(state: layout.State) -> Processes:
    return Processes(state.records, state.logs)


def up(state: layout.State, wanted: Wanted, say: Callable[[str], None]) -> None:
    """Bring up what does not run yet. Raises `ClusterError` with the remedy; what runs then stays, and its logs."""
    if os.geteuid() != 0:
        raise ClusterError("the cluster needs root (network interfaces, control groups, mounts); run it with sudo")
    packages.install(say)
    binaries.build(["cluster", "coredns", "versitygw"], say)
    with alone(state.lock):
        _up(state, wanted, say)


def _up(state: layout.State, wanted: Wanted, say: Callable[[str], None]) -> None:
    processes = processes_of(state)
    if _runs(state, wanted):
        say("the cluster runs")
        return
    state.node.mkdir(parents=True, exist_ok=True)
    network.set_up(state)
    plane = control_plane(state)
    url, authority = plane.url, plane.authority
    authority.kubeconfig(state.kubeconfig, url, plane.administrator)
    processes.start(ETCD, plane.etcd_command())
    processes.start(APISERVER, [*plane.apiserver_command(), *_apiserver_extras(state, authority)])
    containerd.start(state, processes)
    images.start_registry(state, processes)
    processes.wait(images.NAME, images.registry_ready)
    say(f"registry on {layout.REGISTRY}")
    processes.wait(containerd.NAME, lambda: containerd.ready(state))
    containerd.import_sandbox_image(state)
    say("containerd ready")
    if wanted.s3:
        store.push_image(state)
    processes.wait(APISERVER, plane.ready, seconds=120)
    say(f"API server ready at {url}")
    _start_controllers(processes, authority, state, url)
    node.start_kubelet(state, processes, authority, url)
    node.start_proxy(state, processes, authority, url)
    cluster = Cluster(state.kubeconfig)
    cluster.apply(layout.SOURCES / "addons", layout.SOURCES / "crds")
    node.start_dns(state, processes, authority, url)
    if wanted.prometheus:
        monitoring.start(state, processes, authority, url)
    if wanted.s3:
        store.apply(cluster)
    processes.wait(node.DNS, node.dns_ready)
    if wanted.prometheus:
        processes.wait(monitoring.NAME, monitoring.ready)
        say(f"Prometheus ready at {monitoring.URL}")
    processes.wait(node.KUBELET, lambda: cluster.node_ready(layout.NODE_NAME), seconds=120)
    say(f"node {layout.NODE_NAME} ready")
    if wanted.s3:
        store.wait(cluster)
        say(f"S3 store ready at {store.INSIDE_URL}")
    # A pod of a namespace without its service account would be refused.
    processes.wait(CONTROLLERS, lambda: cluster.succeeds("get", "serviceaccount", "default", "-n", "default"))
    say("the cluster is up")


def control_plane(state: layout.State) -> ControlPlane:
    return ControlPlane(
        folder=state.node,
        authority=Authority(state.certificates),
        address=layout.NODE_ADDRESS,
        port=layout.API_PORT,
        etcd_port=layout.ETCD_PORT,
        etcd_peer_port=layout.ETCD_PEER_PORT,
    )


def _runs(state: layout.State, wanted: Wanted) -> bool:
    processes = processes_of(state)
    names = {*_MAKERS_OF_PODS, *_THE_REST} - (set() if wanted.prometheus else {monitoring.NAME, monitoring.TARGETS})
    if not all(processes.alive(name) for name in names) or not control_plane(state).ready():
        return False
    cluster = Cluster(state.kubeconfig)
    if not cluster.node_ready(layout.NODE_NAME):
        return False
    return not wanted.s3 or cluster.succeeds("get", "deployment", store.NAME, "-n", store.NAMESPACE)


def _apiserver_extras(state: layout.State, authority: Authority) -> list[str]:
    """What an API server needs that has a node: itself as a service, the way to the kubelet, a log of who did what."""
    to_kubelet = authority.client("kube-apiserver-kubelet-client", "system:masters")
    return [
        f"--advertise-address={layout.NODE_ADDRESS}",
        f"--kubelet-client-certificate={to_kubelet.certificate}",
        f"--kubelet-client-key={to_kubelet.key}",
        f"--kubelet-certificate-authority={authority.own.certificate}",
        f"--audit-policy-file={layout.SOURCES / 'audit-policy.yaml'}",
        f"--audit-log-path={state.audit_log}",
        "--audit-log-maxsize=200",
        "--audit-log-maxbackup=3",
    ]


def _start_controllers(processes: Processes, authority: Authority, state: layout.State, url: str) -> None:
    program = binaries.binary("cluster")
    for name, extras in (
        (
            CONTROLLERS,
            [
                "--use-service-account-credentials=true",
                f"--root-ca-file={authority.own.certificate}",
                f"--service-account-private-key-file={authority.signing_pair().key}",
            ],
        ),
        (SCHEDULER, []),
    ):
        kubeconfig = authority.kubeconfig(state.node / f"{name}.kubeconfig", url, authority.client(f"system:{name}"))
        # One of each: waiting for a lease would only make the start slower.
        common = [f"--kubeconfig={kubeconfig}", "--leader-elect=false", "--bind-address=127.0.0.1"]
        common.append(f"--cert-dir={state.certificates / name}")
        processes.start(name, [program, name, *common, *extras])


def down(state: layout.State, everything: bool, say: Callable[[str], None]) -> None:
    """End and remove all that `up` made; images stay for the next start, unless `everything`."""
    with alone(state.lock):
        processes = processes_of(state)
        for name in _MAKERS_OF_PODS:
            processes.stop(name)
        containerd.remove_containers(state, processes)
        say("pods removed")
        for name in _THE_REST:
            processes.stop(name)
        say("processes ended")
        traces.remove(state)
        network.take_down(state)
        shutil.rmtree(state.node, ignore_errors=True)
        if everything:
            traces.unmount(state.images)
            shutil.rmtree(state.images, ignore_errors=True)
    remaining = leftovers(state)
    if remaining:
        raise ClusterError("left behind:\n  " + "\n  ".join(remaining))
    say("the cluster is gone, and nothing of it is left")


def leftovers(state: layout.State) -> list[str]:
    """What a cluster left on the machine; empty after `down`. (While it runs, this lists its parts.)"""
    found = [f"process {record.name} ({record.pid})" for record in processes_of(state).all() if record.alive]
    found += [f"process containerd-shim ({record.pid})" for record in containerd.shims(state)]
    found += traces.found(state)
    found += network.leftovers()
    if state.node.exists():
        found.append(f"folder {state.node}")
    return found


def describe(state: layout.State) -> list[str]:
    """Lines that say what runs and how to reach it."""
    processes = processes_of(state)
    plane_ready = state.kubeconfig.exists() and control_plane(state).ready()
    lines: list[str] = []
    for name in (*_THE_REST, *reversed(_MAKERS_OF_PODS)):
        pids = [str(record.pid) for record in processes.all() if record.name == name and record.alive]
        lines.append(f"{name:24} {'pid ' + pids[0] if pids else 'not running'}")
    if not plane_ready:
        return [*lines, "", "API server not reachable; bring the cluster up: python -m tests.devcluster up"]
    cluster = Cluster(state.kubeconfig)
    lines += [
        "",
        f"node        {layout.NODE_NAME} {'Ready' if cluster.node_ready(layout.NODE_NAME) else 'NotReady'}",
        f"kubeconfig  {state.kubeconfig}",
        f"API server  {control_plane(state).url}",
        f"audit log   {state.audit_log}",
        f"registry    {layout.REGISTRY}",
    ]
    if processes.alive(monitoring.NAME):
        lines.append(f"Prometheus  {monitoring.URL}")
    if cluster.succeeds("get", "secret", store.NAME, "-n", store.NAMESPACE):
        outside = store.endpoint(cluster).url
        lines.append(f"S3          {outside} here, {store.INSIDE_URL} in pods")
        lines.append(f"            keys: kubectl get secret {store.NAME} -n {store.NAMESPACE} -o yaml")
    return lines


def api_answers(kubeconfig: Path) -> bool:
    """Is the cluster of a kubeconfig of any origin there?"""
    return Cluster(kubeconfig).succeeds("version", "--request-timeout=5s")
