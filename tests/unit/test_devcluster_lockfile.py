"""An image is built again when its own packages change, and only then."""

import re
import tomllib
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from tests.devcluster import lockfile, release

ROOT = Path(__file__).resolve().parents[2]


def package(name: str, version: str = "1", **rest: Any) -> dict[str, Any]:
    wheels = [{"url": f"https://example.org/{name}-{version}.whl", "hash": f"sha256:{name}-{version}"}]
    return {"name": name, "version": version, "source": {"registry": "r"}, "wheels": wheels, **rest}


def needs(*names: str) -> list[dict[str, Any]]:
    return [{"name": name} for name in names]


def a_lock() -> dict[str, Any]:
    project = {
        "name": "project",
        "version": "0",
        "source": {"editable": "."},
        "dependencies": needs("shared"),
        "optional-dependencies": {
            "serving": [{"name": "server", "extra": ["fast"]}],
            "dev": needs("linter", "server"),
        },
    }
    return {
        "package": [
            project,
            package("linter", dependencies=needs("parser")),
            package("parser"),
            package("loop"),
            package("server", dependencies=needs("parts"), **{"optional-dependencies": {"fast": needs("loop")}}),
            package("parts", dependencies=needs("server")),
            package("shared"),
        ]
    }


def names(lock: dict[str, Any], extra: str) -> list[str]:
    return [each["name"] for each in lockfile.closure(lock, "project", extra)]


def test_the_closure_holds_what_an_extra_needs_in_turn():
    assert names(a_lock(), "serving") == ["loop", "parts", "server", "shared"]


def test_an_extra_of_a_package_counts_where_it_is_asked_for():
    assert names(a_lock(), "dev") == ["linter", "parser", "parts", "server", "shared"]


def test_of_a_package_locked_twice_the_version_that_is_named_counts():
    lock = a_lock()
    lock["package"] += [package("twice", "1"), package("twice", "2")]
    lock["package"][0]["optional-dependencies"]["serving"] = [{"name": "twice", "version": "2"}]
    found = lockfile.closure(lock, "project", "serving")
    assert [(each["name"], each["version"]) for each in found] == [("shared", "1"), ("twice", "2")]


def test_an_unknown_extra_is_an_error():
    with pytest.raises(KeyError, match="serve"):
        lockfile.closure(a_lock(), "project", "serve")


def changed(name: str, **fields: Any) -> dict[str, Any]:
    lock = deepcopy(a_lock())
    next(each for each in lock["package"] if each["name"] == name).update(fields)
    return lock


@pytest.mark.parametrize(
    ("lock", "same"),
    [
        (changed("linter", version="2"), True),
        (changed("parser", wheels=[]), True),
        (changed("shared", version="2"), False),
        (changed("loop", wheels=[{"url": "https://example.org/loop.whl", "hash": "sha256:other"}]), False),
        (changed("parts", sdist={"url": "https://example.org/parts.tar.gz", "hash": "sha256:s"}), False),
    ],
    ids=["a developers' tool", "what only that tool needs", "a shared package", "another wheel", "another source"],
)
def test_the_digest_changes_with_the_extra_alone(lock: dict[str, Any], same: bool):
    assert (lockfile.digest(lock, "project", "serving") == lockfile.digest(a_lock(), "project", "serving")) is same


def test_each_image_gets_its_own_packages_and_no_developers_tool():
    lock = tomllib.loads((ROOT / "uv.lock").read_text())
    packages = {
        each.name: {p["name"] for p in lockfile.closure(lock, "longtail", each.name)} for each in release.IMAGES
    }
    assert "torch" in packages["trainer"]
    assert "torch" not in packages["serving"] | packages["operator"]
    assert not {"pytest", "ruff", "pyright"} & set.union(*packages.values())


def test_images_and_environment_are_made_by_the_same_uv():
    pins = {re.findall(r"uv==(\S+)", (ROOT / name).read_text())[0] for name in PINS}
    assert len(pins) == 1


PINS = ("tests/install_uv.sh", "images/dependencies.sh")
