"""The chart, rendered by helm."""

import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import yaml

from tests.devcluster.binaries import binary

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "helm" / "longtail"
Json = dict[str, Any]


class Refused(Exception):
    """helm's own words."""


def helm(*arguments: str | Path, cwd: Path = ROOT, **variables: str) -> str:
    """What helm prints; raises `Refused` with its words where it fails."""
    with tempfile.TemporaryDirectory(prefix="longtail-helm-") as home:
        own = {f"HELM_{kind}_HOME": f"{home}/{kind}" for kind in ("CACHE", "CONFIG", "DATA")}
        done = subprocess.run(
            [binary("helm"), *map(str, arguments)],
            cwd=cwd, env=os.environ | own | variables, capture_output=True, text=True, check=False,
        )  # fmt: skip
    if done.returncode:
        raise Refused(done.stdout + done.stderr)
    return done.stdout


def rendered(values: Json | None = None, *, release: str = "longtail", chart: Path = CHART, crds: bool = False) -> str:
    """The objects as text, without the definitions unless asked for."""
    given = {} if crds or chart.name == "platform" else {"crds": {"enabled": False}}
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(given | (values or {}), file)  # in YAML some of these strings would be numbers to helm
        file.flush()
        return helm("template", release, chart, "--namespace", "longtail-system", "--values", file.name)


def objects(text: str) -> list[Json]:
    return [one for one in yaml.load_all(text, UniqueKeys) if one]


def only(found: list[Json], kind: str) -> Json:
    (one,) = [each for each in found if each["kind"] == kind]
    return one


def deployment(values: Json | None = None, **options: Any) -> Json:
    return only(objects(rendered(values, **options)), "Deployment")


def pod(values: Json | None = None, **options: Any) -> Json:
    return deployment(values, **options)["spec"]["template"]["spec"]


class UniqueKeys(yaml.SafeLoader):
    """Refuses what YAML forbids and PyYAML lets through: a key twice in one mapping."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        assert len(keys) == len(set(keys)), f"a key twice among {keys}"
        return super().construct_mapping(node, deep)


def copied_with(folder: Path, **lines: str) -> Path:
    """A copy of the chart, with these lines of Chart.yaml changed."""
    copy = folder / "longtail"
    shutil.copytree(CHART, copy)
    text = (copy / "Chart.yaml").read_text()
    for name, value in lines.items():
        text, changed = re.subn(rf"^{name}: .*$", f"{name}: {value}", text, flags=re.MULTILINE)
        assert changed == 1
    (copy / "Chart.yaml").write_text(text)
    return copy


def parent_of(chart: Path, values: Json, **dependency: str) -> Path:
    """A chart called platform that has `chart` as its one dependency."""
    parent = chart.parent / "platform"
    (parent / "charts").mkdir(parents=True)
    shutil.copytree(chart, parent / "charts" / "longtail")
    needs = {"name": "longtail", "version": "0.1.0", **dependency}
    about = {"apiVersion": "v2", "name": "platform", "version": "1.0.0", "dependencies": [needs]}
    (parent / "Chart.yaml").write_text(yaml.safe_dump(about))
    (parent / "values.yaml").write_text(yaml.safe_dump(values))
    return parent
