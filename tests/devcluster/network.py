"""The node's own address, the pods' bridge, and what is to be undone of both.

The node gets an address on a bridge without ports (some kernels have no `dummy` driver), so that pods can reach the API
server and nothing depends on the networks that the machine happens to be in.
"""

import json
import re
import subprocess
from pathlib import Path

from tests.devcluster import layout
from tests.devcluster.errors import ClusterError

NODE_INTERFACE = "longtail0"
POD_BRIDGE = "ltbr0"
CNI_NAME = "longtail"
_CNI_RESULTS = Path("/var/lib/cni/results")
_TABLES = ("mangle", "nat", "filter", "raw")
# Chains that kube-proxy, the kubelet and the CNI plug-ins make.
_OURS = re.compile(r"(^|\s):?(KUBE|CNI)-")
# What we, the kubelet and kube-proxy set; `down` puts the former values back.
_SETTINGS = {
    "net/ipv4/ip_forward": "1",
    "net/bridge/bridge-nf-call-iptables": "1",
    "vm/overcommit_memory": None,
    "vm/panic_on_oom": None,
    "kernel/panic": None,
    "kernel/panic_on_oops": None,
    "kernel/keys/root_maxkeys": None,
    "kernel/keys/root_maxbytes": None,
    "net/ipv4/conf/all/route_localnet": None,
}


def set_up(state: layout.State) -> None:
    """Make the node's interface and the settings that forwarding needs; harmless when done already."""
    former = state.node / "former-settings.json"
    if not former.exists():
        former.write_text(json.dumps({name: value for name in _SETTINGS if (value := _setting(name)) is not None}))
    if not _exists(NODE_INTERFACE):
        _ip("link", "add", NODE_INTERFACE, "type", "bridge")
        _ip("address", "add", f"{layout.NODE_ADDRESS}/32", "dev", NODE_INTERFACE)
    _ip("link", "set", NODE_INTERFACE, "up")
    for name, value in _SETTINGS.items():
        if value is not None and _setting(name) not in (None, value):
            _set(name, value)


def write_cni_configuration(folder: Path, data: Path) -> None:
    """Pods on one bridge, addresses from a folder of ours, host ports by iptables. No way out of the machine."""
    folder.mkdir(parents=True, exist_ok=True)
    addresses = {
        "type": "host-local",
        "dataDir": str(data),
        "ranges": [[{"subnet": layout.POD_NETWORK}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    bridge = {"type": "bridge", "bridge": POD_BRIDGE, "isGateway": True, "hairpinMode": True, "ipam": addresses}
    portmap = {"type": "portmap", "capabilities": {"portMappings": True}}
    content = {"cniVersion": "1.0.0", "name": CNI_NAME, "plugins": [bridge, portmap]}
    (folder / "10-longtail.conflist").write_text(json.dumps(content, indent=1))


def take_down(state: layout.State) -> None:
    """Remove interfaces, chains, cached results, and restore the settings that were changed."""
    for name in [*_ports(POD_BRIDGE), POD_BRIDGE, NODE_INTERFACE]:
        _remove_interface(name)
    for program in ("iptables", "ip6tables"):
        for table in _TABLES:
            _remove_chains(program, table)
    for path in _cni_results():
        path.unlink(missing_ok=True)
    former = state.node / "former-settings.json"
    if former.exists():
        for name, value in json.loads(former.read_text()).items():
            if _setting(name) != value:
                _set(name, value)


def leftovers() -> list[str]:
    """What `take_down` would remove."""
    found = [f"interface {name}" for name in (NODE_INTERFACE, POD_BRIDGE, *_ports(POD_BRIDGE)) if _exists(name)]
    for program in ("iptables", "ip6tables"):
        for table in _TABLES:
            rules = [line for line in _rules(program, table) if _OURS.search(line)]
            if rules:
                found.append(f"{program} table {table}: {len(rules)} chains and rules, such as {rules[0]}")
    return found + [f"file {path}" for path in _cni_results()]


def _remove_chains(program: str, table: str) -> None:
    rules = _rules(program, table)
    kept = [line for line in rules if not _OURS.search(line)]
    if kept != rules:
        # Without --noflush the table is replaced at once: what is not ours comes back as it was.
        text = "\n".join(kept) + "\n"
        subprocess.run([f"{program}-restore", "--counters"], input=text, text=True, capture_output=True, check=False)


def _rules(program: str, table: str) -> list[str]:
    command = [f"{program}-save", "--counters", "-t", table]
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return []
    return [line for line in result.stdout.splitlines() if not line.startswith("#")]


def _cni_results() -> list[Path]:
    return sorted(_CNI_RESULTS.glob(f"{CNI_NAME}-*"))


def _remove_interface(name: str) -> None:
    """One that is not there is removed: a pod's goes with its network namespace, at a moment of the kernel's own."""
    try:
        if _exists(name):
            _ip("link", "delete", name)
    except ClusterError:
        if _exists(name):
            raise


def _exists(interface: str) -> bool:
    return Path("/sys/class/net", interface).exists()


def _ports(bridge: str) -> list[str]:
    folder = Path("/sys/class/net", bridge, "brif")
    return sorted(port.name for port in folder.iterdir()) if folder.exists() else []


def _ip(*words: str) -> None:
    result = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if result.returncode:
        raise ClusterError(f"ip {' '.join(words)}: {result.stderr.strip()} (the launcher needs root and CAP_NET_ADMIN)")


def _setting(name: str) -> str | None:
    path = Path("/proc/sys", name)
    return path.read_text().strip() if path.exists() else None


def _set(name: str, value: str) -> None:
    try:
        Path("/proc/sys", name).write_text(value)
    except OSError as error:
        raise ClusterError(f"cannot set {name.replace('/', '.')} to {value}: {error}; run as root") from error
