"""Longtail's own three images, in the cluster's registry.

The Dockerfiles have two stages. `dependencies` (gigabytes for the trainer) is built by buildah once per lock file,
pushed, and its local copy removed. The code is one layer of a few hundred kilobytes that `crane append` puts on top
inside the registry, so that a change of code takes a second and no second copy of the dependencies.
"""

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.devcluster import layout
from tests.devcluster.binaries import binary
from tests.devcluster.errors import ClusterError
from tests.devcluster.images import build_and_push, buildah, in_registry

PREFIX = f"{layout.REGISTRY}/longtail"
BASE_PACKAGES = ("ca-certificates", "python3", "python3-venv")


@dataclass(frozen=True)
class Image:
    """One of the images: its short name and the folder of its Dockerfile."""

    name: str
    folder: str

    @property
    def dockerfile(self) -> Path:
        return layout.REPOSITORY / self.folder / "Dockerfile"

    def dependencies(self) -> str:
        """Reference of the dependency stage: changes with the lock file and the Dockerfile's first stage."""
        first_stage = self.dockerfile.read_text().partition("\nFROM dependencies")[0]
        digest = hashlib.sha256(first_stage.encode())
        digest.update((layout.REPOSITORY / "uv.lock").read_bytes())
        return f"{PREFIX}/{self.name}-dependencies:{digest.hexdigest()[:12]}"

    def code(self) -> bytes:
        """The second stage's COPY lines as a tar file, alike for alike sources (no times, no owners)."""
        second_stage = self.dockerfile.read_text().partition("\nFROM dependencies")[2]
        copies = [line.split()[1:] for line in second_stage.splitlines() if line.startswith("COPY ")]
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            for source, target in copies:
                for path in sorted((layout.REPOSITORY / source).rglob("*")):
                    if path.is_file() and "__pycache__" not in path.parts:
                        name = f"{target.lstrip('/')}/{path.relative_to(layout.REPOSITORY / source)}"
                        entry = tarfile.TarInfo(name)
                        entry.size = path.stat().st_size
                        entry.mode = 0o644
                        with path.open("rb") as content:
                            tar.addfile(entry, content)
        return buffer.getvalue()


IMAGES = (Image("operator", "operator"), Image("serving", "serving_image"), Image("trainer", "trainer_image"))


def build_images(state: layout.State, say: Callable[[str], None] = print) -> dict[str, str]:
    """Build and push what the registry lacks; the references by name. The registry must be running."""
    references: dict[str, str] = {}
    for image in IMAGES:
        dependencies = image.dependencies()
        if not in_registry(dependencies):
            _build_dependencies(state, image, dependencies, say)
        code = image.code()
        reference = f"{PREFIX}/{image.name}:{hashlib.sha256(dependencies.encode() + code).hexdigest()[:12]}"
        if not in_registry(reference):
            _append(dependencies, code, reference, say)
        references[image.name] = reference
    return references


def _append(dependencies: str, code: bytes, reference: str, say: Callable[[str], None]) -> None:
    started = time.monotonic()
    layer = layout.cache() / "code-layer.tar"
    layer.write_bytes(code)
    try:
        _run([binary("crane", say), "append", "--insecure", "-b", dependencies, "-f", layer, "-t", reference])
    finally:
        layer.unlink()
    say(f"pushed {reference} ({len(code) // 1024} KiB of code) in {time.monotonic() - started:.1f} s")


def _build_dependencies(state: layout.State, image: Image, reference: str, say: Callable[[str], None]) -> None:
    """buildah's first stage. This machine's pip settings and certificates are mounted, so none stays in the image."""
    started = time.monotonic()
    base = _base(state, say)
    say(f"building the dependencies of the {image.name} image (once per lock file)")
    with tempfile.TemporaryDirectory() as folder:
        options = [
            "--isolation",
            "chroot",
            "--tls-verify=false",
            "--target",
            "dependencies",
            "--build-arg",
            f"BASE_IMAGE={base}",
        ]
        for source, target in _mounts(Path(folder)):
            options += ["-v", f"{source}:{target}"]
        _run(buildah(state, "build", *options, "-t", reference, "-f", image.dockerfile, layout.REPOSITORY))
    _run(buildah(state, "push", "--tls-verify=false", reference))
    _run(buildah(state, "rmi", "--force", reference))
    say(f"built {reference} in {time.monotonic() - started:.0f} s")


def _mounts(folder: Path) -> list[tuple[Path | str, str]]:
    """What the build sees of this machine: package indexes, certificates, and uv's cache of downloads."""
    pip_settings: dict[str, str | None] = {
        "index-url": None,
        "extra-index-url": None,
        "cert": None,
        "timeout": None,
        "trusted-host": None,
    }
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    ).stdout
    for line in listed.splitlines():
        name, _, value = line.partition("=")
        key = name.rpartition(".")[2]
        if key in pip_settings:
            pip_settings[key] = value.strip("'\"")
    for key in pip_settings:
        pip_settings[key] = os.environ.get(f"PIP_{key.upper().replace('-', '_')}", pip_settings[key])
    index = os.environ.get("UV_DEFAULT_INDEX") or os.environ.get("UV_INDEX_URL") or pip_settings["index-url"]
    pip_conf, uv_toml = folder / "pip.conf", folder / "uv.toml"
    pip_conf.write_text("[global]\n" + "".join(f"{k} = {v}\n" for k, v in pip_settings.items() if v))
    uv_toml.write_text(
        'cache-dir = "/var/cache/uv"\n'
        + (f"index-url = {json.dumps(index)}\n" if index else "")
        + "native-tls = true\n"
    )
    uv_cache = Path(os.environ.get("UV_CACHE_DIR") or Path.home() / ".cache" / "uv")
    uv_cache.mkdir(parents=True, exist_ok=True)
    mounts: list[tuple[Path | str, str]] = [
        (pip_conf, "/etc/pip.conf"),
        (uv_toml, "/etc/uv/uv.toml"),
        (uv_cache, "/var/cache/uv"),
    ]
    if Path("/etc/ssl/certs/ca-certificates.crt").exists():
        mounts.append(("/etc/ssl/certs", "/etc/ssl/certs:ro"))
    return mounts


def _base(state: layout.State, say: Callable[[str], None]) -> str:
    """A base image with Python 3.11, made of this machine's own Debian packages; its reference."""
    reference = f"{PREFIX}/base:bookworm-{hashlib.sha256(' '.join(BASE_PACKAGES).encode()).hexdigest()[:8]}"
    if in_registry(reference):
        return reference
    started = time.monotonic()
    say("building the base image (debootstrap, about a minute)")
    with tempfile.TemporaryDirectory(dir=state.images) as folder:
        root = Path(folder, "root")
        packages = ",".join(BASE_PACKAGES)
        _run(["debootstrap", "--variant=minbase", f"--include={packages}", "bookworm", root, _mirror()])
        for waste in ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale"):
            shutil.rmtree(root / waste, ignore_errors=True)
        # The address of this machine's package mirror is its own affair.
        (root / "etc/apt/sources.list").unlink(missing_ok=True)
        containerfile = Path(folder, "Containerfile")
        containerfile.write_text("FROM scratch\nCOPY root/ /\n")
        build_and_push(state, reference, containerfile, Path(folder))
    say(f"built {reference} in {time.monotonic() - started:.0f} s")
    return reference


def _mirror() -> str:
    """The package mirror that this machine's apt uses."""
    policy = subprocess.run(["apt-cache", "policy"], capture_output=True, text=True, check=True).stdout
    for word in policy.split():
        if word.startswith(("http://", "https://")) and "security" not in word:
            return word
    raise ClusterError("apt knows no package source; run apt-get update, and see /etc/apt/sources.list")


def _run(command: Sequence[str | Path]) -> None:
    words = [str(word) for word in command]
    result = subprocess.run(words, capture_output=True, text=True, check=False)
    if result.returncode:
        raise ClusterError(f"{' '.join(words[:12])} … failed:\n{(result.stdout + result.stderr)[-3000:]}")
