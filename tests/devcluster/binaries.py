"""Programs built from Go sources, once, into the cache.

Each lies in a folder named after the hash of what it is built from, so that a changed version or source is
another program and never a stale one. Go's own caches (gigabytes) are in the same place, and removed after building.
"""

import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.devcluster import layout
from tests.devcluster.errors import ClusterError
from tests.devcluster.locks import alone

KUBERNETES_VERSION = "v1.34.4"
_VERSION_VARIABLES = "k8s.io/component-base/version"
_SMALL = "-s -w"


@dataclass(frozen=True)
class Binary:
    """A program and where its source is: a package at a version, or a folder of this tree."""

    name: str
    package: str = ""
    version: str = ""
    folder: Path | None = None
    linker_flags: str = _SMALL

    @property
    def key(self) -> str:
        """Hash of everything that the built program depends on, save the Go release."""
        digest = hashlib.sha256(f"{self.package}@{self.version} {self.linker_flags}".encode())
        if self.folder:
            for name in ("go.mod", "go.sum", "main.go"):
                digest.update((self.folder / name).read_bytes())
        return digest.hexdigest()[:16]

    @property
    def path(self) -> Path:
        return layout.cache() / "binaries" / f"{self.name}-{self.key}" / self.name


BINARIES = {
    binary.name: binary
    for binary in (
        Binary(
            "cluster",
            version=KUBERNETES_VERSION,
            folder=layout.SOURCES / "cluster",
            linker_flags=f"{_SMALL} -X {_VERSION_VARIABLES}.gitVersion={KUBERNETES_VERSION}"
            f" -X {_VERSION_VARIABLES}.gitMajor=1 -X {_VERSION_VARIABLES}.gitMinor=34",
        ),
        Binary("versitygw", "github.com/versity/versitygw/cmd/versitygw", "v1.8.0"),
        Binary("helm", "helm.sh/helm/v4/cmd/helm", "v4.3.1"),
        Binary("coredns", "github.com/coredns/coredns", "v1.15.0"),
        Binary("crane", "github.com/google/go-containerregistry/cmd/crane", "v0.22.1"),
        Binary("kubeconform", "github.com/yannh/kubeconform/cmd/kubeconform", "v0.8.0"),
    )
}


def binary(name: str, say: Callable[[str], None] = print) -> Path:
    """Path of a built program; builds it first where the cache has none."""
    return build([name], say)[name]


def build(names: Iterable[str], say: Callable[[str], None] = print) -> dict[str, Path]:
    """Paths of the named programs, after building those that the cache lacks (one at a time: each uses every core).

    Raises `ClusterError` where Go is missing or a build fails.
    """
    wanted = [BINARIES[name] for name in names]
    if any(not each.path.exists() for each in wanted):
        with alone(layout.cache() / "build.lock"):
            missing = [each for each in wanted if not each.path.exists()]
            for each in missing:
                say(f"building {each.name} {each.version} (once; minutes)")
                started = time.monotonic()
                _build(each)
                say(f"built {each.name} in {time.monotonic() - started:.0f} s: {each.path}")
            if missing:
                _prune_go_caches()
    return {each.name: each.path for each in wanted}


def _build(wanted: Binary) -> None:
    go = shutil.which("go")
    if not go:
        raise ClusterError(
            f"building {wanted.name} needs Go 1.25 or later; install it (https://go.dev/dl) and put it on PATH"
        )
    unfinished = wanted.path.parent.with_name(wanted.path.parent.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    flags = ["-trimpath", "-ldflags", wanted.linker_flags]
    if wanted.folder:
        command = [go, "build", *flags, "-o", str(unfinished / wanted.name), "."]
    else:
        command = [go, "install", *flags, f"{wanted.package}@{wanted.version}"]
    # Static programs: they also run in an image that has nothing but them.
    environment = _go_environment() | {"CGO_ENABLED": "0", "GOBIN": str(unfinished)}
    result = subprocess.run(
        command, cwd=wanted.folder or unfinished, env=environment, capture_output=True, text=True, check=False
    )
    if result.returncode:
        raise ClusterError(f"building {wanted.name} failed:\n{result.stderr[-3000:]}")
    shutil.rmtree(wanted.path.parent, ignore_errors=True)
    unfinished.rename(wanted.path.parent)


def _go_environment() -> dict[str, str]:
    return os.environ | {
        "GOCACHE": str(layout.cache() / "go-build"),
        "GOMODCACHE": str(layout.cache() / "go-mod"),
    }


def _prune_go_caches() -> None:
    subprocess.run(["go", "clean", "-cache", "-modcache"], env=_go_environment(), check=False, capture_output=True)
