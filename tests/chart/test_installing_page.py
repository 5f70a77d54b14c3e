"""docs/installing.md: each command is run, and each manifest used, as it stands there."""

import os
import re
import shlex
import subprocess
from collections.abc import Generator
from pathlib import Path

import pytest
import yaml

from tests.chart.chart import CHART, ROOT, Refused, copied_with, helm, objects, only, rendered
from tests.devcluster import api_server
from tests.devcluster.binaries import binary

pytestmark = pytest.mark.api

PAGE = (ROOT / "docs" / "installing.md").read_text()
BLOCKS: list[str] = re.findall(r"^```sh\n(.*?)^```$", PAGE, flags=re.DOTALL | re.MULTILINE)
COMMANDS = [line for block in BLOCKS for line in block.splitlines()]
FILES = dict(re.findall(r"^```yaml file=(\S+)\n(.*?)^```$", PAGE, flags=re.DOTALL | re.MULTILINE))


@pytest.fixture(scope="module")
def kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    with api_server(tmp_path_factory.mktemp("apiserver")) as started:
        yield str(started)


def command(word: str) -> list[str]:
    """The one command of the page that has this word."""
    (found,) = [each for each in COMMANDS if word in each]
    return shlex.split(found)


def run(words: list[str], kubeconfig: str) -> None:
    if words[0] == "helm":
        helm(*words[1:], KUBECONFIG=kubeconfig)
    else:
        subprocess.run([binary("cluster"), *words], env=os.environ | {"KUBECONFIG": kubeconfig}, check=True)


def test_every_command_of_the_page_is_run_here():
    held = ["install longtail ", "--take-ownership", "create namespace", "install ads", "helm template", "kustomize ."]
    assert sorted(map(shlex.join, map(command, held))) == sorted(shlex.join(shlex.split(each)) for each in COMMANDS)


def test_releases_follow_one_another_and_stand_beside_each_other(kubeconfig: str):
    run(command("install longtail "), kubeconfig)
    run(command("create namespace"), kubeconfig)
    run(command("install ads"), kubeconfig)
    helm("uninstall", "longtail", "--namespace", "longtail-system", KUBECONFIG=kubeconfig)
    elsewhere = command("--take-ownership")
    with pytest.raises(Refused, match="ownership"):
        run(elsewhere[:-1], kubeconfig)
    run(elsewhere, kubeconfig)


def test_versions_names_and_labels_are_taken_by_the_api_server(kubeconfig: str, tmp_path: Path):
    chart = copied_with(tmp_path, version="0.1.0+5f78ced", appVersion="0.1.0+5f78ced")
    for release in ("b.c", "1e5", "a" * 53):
        options = ["--namespace", "odd", "--create-namespace", "--set", "crds.enabled=false"]
        options += ["--set", "operator.podAnnotations.a=yes,operator.env[0].name=A,operator.env[0].value=b"]
        helm("install", release, chart, *options, KUBECONFIG=kubeconfig)


def test_as_a_part_of_another_chart(tmp_path: Path):
    copied_with(tmp_path)
    parent = tmp_path / "platform"
    parent.mkdir()
    for name in ("Chart.yaml", "values.yaml"):
        (parent / name).write_text(FILES[name])
    helm("dependency", "update", parent)
    found = objects(rendered(chart=parent))
    assert only(found, "Role")["metadata"]["namespace"] == "models"


def test_with_kustomize(tmp_path: Path):
    words = command("helm template")
    assert words[-2:] == [">", "longtail.yaml"]
    (tmp_path / "longtail.yaml").write_text(helm(*words[1:-2]))
    (tmp_path / "kustomization.yaml").write_text(FILES["kustomization.yaml"])
    built = subprocess.run(
        [binary("cluster"), *command("kustomize .")], cwd=tmp_path, capture_output=True, text=True, check=True,
        env=os.environ | {"KUBECONFIG": "/dev/null"},
    )  # fmt: skip
    found = objects(built.stdout)
    assert len(found) == len(objects((tmp_path / "longtail.yaml").read_text()))
    assert only(found, "Deployment")["spec"]["template"]["metadata"]["labels"]["team"] == "ranking"


def test_with_flux_the_values_render_at_the_version_that_flux_makes(tmp_path: Path):
    release = yaml.safe_load(FILES["flux.yaml"])
    assert ROOT / release["spec"]["chart"]["spec"]["chart"] == CHART
    chart = copied_with(tmp_path, version="0.1.0+5f78ced0a1b2c3d4")
    found = objects(rendered(release["spec"]["values"], chart=chart))
    assert only(found, "Role")["metadata"]["namespace"] == "models"


def test_with_argo_cd_the_values_render(tmp_path: Path):
    source = yaml.safe_load(FILES["argo.yaml"])["spec"]["source"]
    assert ROOT / source["path"] == CHART
    found = objects(rendered(source["helm"]["valuesObject"]))
    assert only(found, "Role")["metadata"]["namespace"] == "models"
