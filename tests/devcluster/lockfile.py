"""What of uv.lock an image is built from: the packages of one extra, and nothing that only developers install."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

Package = Mapping[str, Any]


def closure(lock: Mapping[str, Any], project: str, extra: str) -> list[Package]:
    """The locked packages that `project` with `extra` needs, directly or not, without the project itself; by name.

    `lock` is a parsed uv.lock. Markers are not looked at, so packages for other platforms are among them: one too
    many costs a needless build at worst, one too few would keep an image that is out of date. Raises `KeyError`
    where the project has no such extra.
    """
    by_name: dict[str, list[Package]] = {}
    for package in lock["package"]:
        by_name.setdefault(package["name"], []).append(package)
    [root] = by_name[project]
    waiting = [*root.get("dependencies", []), *root["optional-dependencies"][extra]]
    seen: set[tuple[str, str, str]] = set()
    found: dict[tuple[str, str], Package] = {}
    while waiting:
        wanted = waiting.pop()
        for package in by_name[wanted["name"]]:
            # A package that is locked at several versions is asked for by its version, too.
            if wanted.get("version", package.get("version")) != package.get("version"):
                continue
            version = package.get("version", "")
            found[package["name"], version] = package
            for part in ("", *wanted.get("extra", ())):
                if (package["name"], version, part) not in seen:
                    seen.add((package["name"], version, part))
                    optional = package.get("optional-dependencies", {})
                    waiting += optional.get(part, []) if part else package.get("dependencies", [])
    return [found[key] for key in sorted(found)]


def digest(lock: Mapping[str, Any], project: str, extra: str) -> str:
    """Hash of names, versions and files of an extra's packages: the same as long as the same is installed."""
    packages = [
        {
            "name": package["name"],
            "version": package.get("version"),
            "source": package["source"],
            "files": sorted(file.get("hash", "") for file in (package.get("sdist", {}), *package.get("wheels", ()))),
        }
        for package in closure(lock, project, extra)
    ]
    return hashlib.sha256(json.dumps(packages, sort_keys=True).encode()).hexdigest()
