"""Longtail's own three images, in the cluster's registry.

The Dockerfiles have two stages. `dependencies` (gigabytes for the trainer) is built by buildah when the packages change
that the lock file has for it. The code is one layer of a few hundred kilobytes that `crane append` puts on top
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
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.devcluster import layout, lockfile, pruning, store
from tests.devcluster.binaries import binary
from tests.devcluster.errors import ClusterError
from tests.devcluster.images import build_and_push, in_registry, registry_ready
from tests.devcluster.locks import alone
from tests.devcluster.processes import Processes

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
        """Reference of the dependency stage: changes with its packages in the lock file and with how they get in."""
        first_stage = self.dockerfile.read_text().partition("\nFROM dependencies")[0]
        digest = hashlib.sha256(first_stage.encode())
        digest.update((layout.REPOSITORY / "images" / "dependencies.sh").read_bytes())
        lock = tomllib.loads((layout.REPOSITORY / "uv.lock").read_text())
        digest.update(lockfile.digest(lock, "longtail", self.name).encode())
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
    """Build and push what the registry lacks; the references by name. The registry and the cluster must be running.

    Images of older generations that nothing in the cluster uses go first, so that there is room. Raises
    `ClusterError` where the registry does not answer or a build fails.
    """
    if not registry_ready():
        raise ClusterError(
            f"no registry answers on {layout.REGISTRY}; bring the cluster up: python -m tests.devcluster up"
        )
    with alone(state.release_lock):
        return _build_images(state, say)


def _build_images(state: layout.State, say: Callable[[str], None]) -> dict[str, str]:
    for gone in pruning.prune(state, Processes(state.records, state.logs), generation()):
        say(f"removed {gone}")
    references: dict[str, str] = {}
    for image in IMAGES:
        dependencies = image.dependencies()
        if not in_registry(dependencies):
            _build_dependencies(state, image, dependencies, say)
        code = image.code()
        reference = f"{PREFIX}/{image.name}:{_tag(dependencies)}-{hashlib.sha256(code).hexdigest()[:12]}"
        if not in_registry(reference):
            _append(dependencies, code, reference, say)
        references[image.name] = reference
    return references


def generation() -> dict[str, str]:
    """The beginning of the current tags of each repository: what `build_images` makes now begins with it."""
    current = {_repository(reference): _tag(reference) for reference in (_base_reference(), store.IMAGE)}
    for image in IMAGES:
        dependencies = image.dependencies()
        current[_repository(dependencies)] = _tag(dependencies)
        current[f"{PREFIX}/{image.name}"] = f"{_tag(dependencies)}-"
    return current


def _repository(reference: str) -> str:
    return reference.rpartition(":")[0]


def _tag(reference: str) -> str:
    return reference.rpartition(":")[2]


def _append(dependencies: str, code: bytes, reference: str, say: Callable[[str], None]) -> None:
    started = time.monotonic()
    with tempfile.NamedTemporaryFile(suffix=".tar") as layer:
        layer.write(code)
        layer.flush()
        _run([binary("crane", say), "append", "--insecure", "-b", dependencies, "-f", layer.name, "-t", reference])
    say(f"pushed {reference} ({len(code) // 1024} KiB of code) in {time.monotonic() - started:.1f} s")


def _build_dependencies(state: layout.State, image: Image, reference: str, say: Callable[[str], None]) -> None:
    """The Dockerfile's first stage. Pip settings and certificates of this machine are mounted: none stays in it."""
    started = time.monotonic()
    base = _base(state, say)
    say(f"building the dependencies of the {image.name} image (once per set of locked packages)")
    with tempfile.TemporaryDirectory() as folder:
        options = ["--target", "dependencies", "--build-arg", f"BASE_IMAGE={base}"]
        for source, target in _mounts(Path(folder)):
            options += ["-v", f"{source}:{target}"]
        build_and_push(state, reference, image.dockerfile, layout.REPOSITORY, options)
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
    uv_cache = layout.uv_cache()
    uv_cache.mkdir(parents=True, exist_ok=True)
    mounts: list[tuple[Path | str, str]] = [
        (pip_conf, "/etc/pip.conf"),
        (uv_toml, "/etc/uv/uv.toml"),
        (uv_cache, "/var/cache/uv"),
    ]
    if Path("/etc/ssl/certs/ca-certificates.crt").exists():
        mounts.append(("/etc/ssl/certs", "/etc/ssl/certs:ro"))
    return mounts


def _base_reference() -> str:
    return f"{PREFIX}/base:bookworm-{hashlib.sha256(' '.join(BASE_PACKAGES).encode()).hexdigest()[:8]}"


def _base(state: layout.State, say: Callable[[str], None]) -> str:
    """A base image with Python 3.11, made of this machine's own Debian packages; its reference."""
    reference = _base_reference()
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
