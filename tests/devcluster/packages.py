"""What the machine's package manager provides: containerd, a registry, buildah, Prometheus and smaller programs."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.devcluster.errors import ClusterError

# A program or file that proves the package to be there, and the package (names of Debian 12).
PACKAGES = {
    "containerd": "containerd",
    "runc": "runc",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
    "iptables": "iptables",
    "conntrack": "conntrack",
    "ip": "iproute2",
    "socat": "socat",
    "buildah": "buildah",
    "docker-registry": "docker-registry",
    "prometheus": "prometheus",
    "debootstrap": "debootstrap",
    "gcc": "gcc",
    "openssl": "openssl",
    "/usr/include/stdlib.h": "libc6-dev",
}
# Packages that would start a service of their own at boot.
_SERVICES = ("containerd", "docker-registry", "prometheus")
_POLICY = Path("/usr/sbin/policy-rc.d")


def missing() -> list[str]:
    """Packages that are not installed."""
    absent = {package for proof, package in PACKAGES.items() if not _there(proof)}
    return sorted(absent)


def install(say: Callable[[str], None]) -> None:
    """Install what is missing, without letting it start services. Raises `ClusterError` with the command to run."""
    wanted = missing()
    if not wanted:
        return
    remedy = f"apt-get install --no-install-recommends {' '.join(wanted)}"
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise ClusterError(f"these packages are missing: {' '.join(wanted)}; as root: {remedy}")
    say(f"installing packages: {' '.join(wanted)}")
    # A policy of the machine's own already decides about services, and stays.
    own_policy = not _POLICY.exists()
    if own_policy:
        _POLICY.write_text("#!/bin/sh\nexit 101\n")
        _POLICY.chmod(0o755)
    try:
        _apt("update")
        _apt("install", "-y", "--no-install-recommends", *wanted)
    except subprocess.CalledProcessError as error:
        raise ClusterError(f"{remedy} failed:\n{error.stderr[-2000:]}") from error
    finally:
        if own_policy:
            _POLICY.unlink()
    for service in sorted(set(_SERVICES) & set(wanted)):
        subprocess.run(["update-rc.d", service, "disable"], capture_output=True, check=False)


def _there(proof: str) -> bool:
    return Path(proof).exists() if proof.startswith("/") else shutil.which(proof) is not None


def _apt(*words: str) -> None:
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "-q", *words], env=environment, capture_output=True, text=True, check=True)
