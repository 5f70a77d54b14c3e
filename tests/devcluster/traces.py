"""What pods leave on a machine, outside the cluster's folder and in it: mounts, control groups, links to their logs."""

import contextlib
import os
import subprocess
import time
from pathlib import Path

from tests.devcluster import layout

_CONTROL_GROUPS = Path("/sys/fs/cgroup")
_POD_LOG_LINKS = Path("/var/log/containers")
# Folders that the kubelet, the shims and the CNI plug-ins make wherever they are told to keep their files.
_FIXED_FOLDERS = tuple(
    Path(name)
    for name in (
        "/var/lib/kubelet/device-plugins",
        "/var/lib/kubelet",
        "/var/lib/cni/results",
        "/var/lib/cni",
        "/run/containerd/s",
        "/run/containerd",
        "/var/log/containers",
    )
)


def remove(state: layout.State) -> None:
    """Remove every trace; the pods' processes are to be gone."""
    for folder in _folders_with_mounts(state):
        unmount(folder)
    _remove_control_groups()
    for link in _pod_log_links(state):
        link.unlink()
    for folder in _FIXED_FOLDERS:
        with contextlib.suppress(OSError):  # Not there, or in use by another than us.
            folder.rmdir()


def found(state: layout.State) -> list[str]:
    """What `remove` has to do."""
    return [
        *(f"mount {path}" for folder in _folders_with_mounts(state) for path in _mounts(folder)),
        *(f"control group {path}" for path in _control_groups()),
        *(f"link {path}" for path in _pod_log_links(state)),
    ]


def unmount(folder: Path) -> None:
    """Unmount everything below a folder, so that removing it removes nothing elsewhere."""
    for point in _mounts(folder):
        subprocess.run(["umount", "--lazy", str(point)], capture_output=True, check=False)


def _folders_with_mounts(state: layout.State) -> tuple[Path, ...]:
    """Where pods are mounted. Not buildah's folder: a build may go on while no cluster runs."""
    return (state.node, state.containerd_root)


def _mounts(folder: Path) -> list[Path]:
    """Mount points in a folder, the deepest first."""
    lines = Path("/proc/mounts").read_text().splitlines()
    # The kernel writes a space in a path as \040.
    points = [Path(line.split()[1].encode().decode("unicode_escape")) for line in lines]
    return sorted((point for point in points if point.is_relative_to(folder)), reverse=True)


def _control_groups() -> list[Path]:
    """The kubelet's folders, of each hierarchy where there are several (control groups of version 1)."""
    return sorted({*_CONTROL_GROUPS.glob("kubepods"), *_CONTROL_GROUPS.glob("*/kubepods")})


def _remove_control_groups() -> None:
    deadline = time.monotonic() + 10
    for top in _control_groups():
        while top.exists() and time.monotonic() < deadline:
            for folder, _, _ in os.walk(top, topdown=False):
                try:
                    Path(folder).rmdir()
                except OSError:
                    time.sleep(0.05)  # Its last process is still on its way out.


def _pod_log_links(state: layout.State) -> list[Path]:
    if not _POD_LOG_LINKS.exists():
        return []
    links = [path for path in _POD_LOG_LINKS.iterdir() if path.is_symlink()]
    return [path for path in links if path.readlink().is_relative_to(state.pod_logs)]
