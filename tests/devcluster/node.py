"""The node's own programs: kubelet, kube-proxy and name resolution."""

import json

from tests.devcluster import layout
from tests.devcluster.binaries import binary
from tests.devcluster.certificates import Authority
from tests.devcluster.processes import Processes, listens

KUBELET = "kubelet"
PROXY = "kube-proxy"
DNS = "coredns"
_DNS_READY_PORT = 18181


def start_kubelet(state: layout.State, processes: Processes, authority: Authority, url: str) -> None:
    """Start the kubelet under a node's identity, with this cluster's containerd."""
    node_user = authority.client(f"system:node:{layout.NODE_NAME}", "system:nodes")
    kubeconfig = authority.kubeconfig(state.node / "kubelet.kubeconfig", url, node_user)
    serving = authority.server(KUBELET, f"IP:{layout.NODE_ADDRESS}", f"DNS:{layout.NODE_NAME}")
    enough = {
        "memory.available": "100Mi",
        "nodefs.available": "1%",
        "imagefs.available": "1%",
        "nodefs.inodesFree": "1%",
    }
    content = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": layout.NODE_ADDRESS,
        "tlsCertFile": str(serving.certificate),
        "tlsPrivateKeyFile": str(serving.key),
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(authority.own.certificate)},
        },
        "authorization": {"mode": "Webhook"},
        "containerRuntimeEndpoint": f"unix://{state.containerd_socket}",
        "cgroupDriver": "cgroupfs",
        "failCgroupV1": False,
        "failSwapOn": False,
        "enforceNodeAllocatable": ["pods"],
        # A test machine's disk may be nearly full, and an image that is collected would have to be pulled again.
        "evictionHard": enough,
        "imageGCHighThresholdPercent": 100,
        "clusterDNS": [layout.NODE_ADDRESS],
        "clusterDomain": layout.CLUSTER_DOMAIN,
        # The machine's own resolver has no business in a pod.
        "resolvConf": "",
        "maxPods": 250,
        "serializeImagePulls": False,
        # A lower score needs CAP_SYS_RESOURCE.
        "oomScoreAdj": 0,
        "podLogsDir": str(state.pod_logs),
        "volumePluginDir": str(state.node / "volume-plugins"),
        # Tests wait for what the kubelet notices.
        "syncFrequency": "10s",
        # Watching, the first pod of a namespace waits two seconds for its mounts.
        "configMapAndSecretChangeDetectionStrategy": "Get",
        "nodeStatusUpdateFrequency": "5s",
    }
    configuration = state.node / "kubelet.json"
    configuration.write_text(json.dumps(content, indent=1))
    command = [
        binary("cluster"),
        "kubelet",
        f"--config={configuration}",
        f"--kubeconfig={kubeconfig}",
        f"--hostname-override={layout.NODE_NAME}",
        f"--node-ip={layout.NODE_ADDRESS}",
        f"--root-dir={state.kubelet}",
        f"--cert-dir={state.certificates}",
    ]
    processes.start(KUBELET, command)


def start_proxy(state: layout.State, processes: Processes, authority: Authority, url: str) -> None:
    """Start kube-proxy; node ports are opened at the node's address alone."""
    pair = authority.client("system:kube-proxy")
    kubeconfig = authority.kubeconfig(state.node / "kube-proxy.kubeconfig", url, pair)
    command = [
        binary("cluster"),
        "kube-proxy",
        f"--kubeconfig={kubeconfig}",
        f"--hostname-override={layout.NODE_NAME}",
        "--proxy-mode=iptables",
        f"--cluster-cidr={layout.POD_NETWORK}",
        f"--nodeport-addresses={layout.NODE_NETWORK}",
        "--iptables-localhost-nodeports=false",
        "--iptables-min-sync-period=200ms",
        # The machine's connection tracking is left as it is: its limits are often read-only.
        "--conntrack-max-per-core=0",
        "--conntrack-tcp-timeout-established=0s",
        "--conntrack-tcp-timeout-close-wait=0s",
        "--metrics-bind-address=127.0.0.1:10249",
        f"--healthz-bind-address={layout.NODE_ADDRESS}:10256",
        "--oom-score-adj=0",
    ]
    processes.start(PROXY, command)


def start_dns(state: layout.State, processes: Processes, authority: Authority, url: str) -> None:
    """Resolve services' names at the node's address; any other name does not exist (nothing leaves the machine).

    A process beside the others and not a Deployment: it is there before the first pod, and needs no image.
    """
    kubeconfig = authority.kubeconfig(state.node / "coredns.kubeconfig", url, authority.client(DNS))
    corefile = state.node / "Corefile"
    corefile.write_text(
        f"""{layout.CLUSTER_DOMAIN} in-addr.arpa {{
  bind {layout.NODE_ADDRESS}
  errors
  ready 127.0.0.1:{_DNS_READY_PORT}
  kubernetes {layout.CLUSTER_DOMAIN} in-addr.arpa {{
    kubeconfig {kubeconfig} longtail
    pods insecure
    ttl 5
  }}
}}
. {{
  bind {layout.NODE_ADDRESS}
  template ANY ANY {{
    rcode NXDOMAIN
  }}
}}
"""
    )
    processes.start(DNS, [binary("coredns"), "-conf", corefile])


def dns_ready() -> bool:
    return listens(layout.NODE_ADDRESS, 53)
