"""The shape of the repository: what would break for a reader or a build if it changed unnoticed."""

import importlib.util
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("crds", "store", "operator", "trainer_image", "serving_image")


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_is_no_package_itself(room: str):
    """A package called `operator` would shadow the standard library's."""
    assert not (ROOT / room / "__init__.py").exists()


def test_the_standard_operator_module_is_found():
    origin = importlib.util.find_spec("operator")
    assert origin is not None
    assert str(origin.origin).startswith(str(Path(sys.base_prefix))) or origin.origin in ("frozen", "built-in")


@pytest.mark.parametrize("room", ["operator", "trainer_image", "serving_image"])
def test_an_image_holds_its_own_room_and_what_all_share(room: str):
    text = (ROOT / room / "Dockerfile").read_text()
    copies = re.findall(r"^COPY (\S+/longtail_\w+) ", text, flags=re.MULTILINE)
    own = next(path.name for path in (ROOT / room).iterdir() if path.name.startswith("longtail_"))
    assert copies == ["crds/longtail_api", "store/longtail_store", f"{room}/{own}"]
    assert "USER 65532" in text


def test_the_images_differ_in_the_name_of_their_extra_alone():
    def first_stage(room: str, extra: str) -> str:
        text = (ROOT / room / "Dockerfile").read_text().partition("\nFROM dependencies\n")[0]
        return text.replace(f"{room}/Dockerfile", "DOCKERFILE").replace(extra, "EXTRA")

    stages = {
        first_stage("operator", "operator"),
        first_stage("trainer_image", "trainer"),
        first_stage("serving_image", "serving"),
    }
    assert len(stages) == 1


@pytest.mark.parametrize(
    "name", ["README.md", *sorted(str(p.relative_to(ROOT)) for p in (ROOT / "docs").rglob("*.md"))]
)
def test_links_between_documents_lead_somewhere(name: str):
    page = ROOT / name
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), f"{name} links to {target}, which is not there"


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))


@pytest.mark.parametrize(
    "name", ["README.md", *sorted(str(p.relative_to(ROOT)) for p in (ROOT / "docs").rglob("*.md"))]
)
def test_every_make_command_in_a_document_exists(name: str):
    blocks = re.findall(r"```(?:sh|bash|console)\n(.*?)```", (ROOT / name).read_text(), flags=re.DOTALL)
    named = {word for block in blocks for word in re.findall(r"^\s*\$? ?make ([a-z-]+)", block, flags=re.MULTILINE)}
    assert named <= make_targets()


EXERCISED = {
    "make demo": "tests/cluster/test_demo.py",
    "make test": ".ci/run",
    "helm install longtail helm/longtail --namespace longtail-system --create-namespace": "tests/demo/installation.py",
    "kubectl apply -f manifests/examples": "tests/cluster/test_main_job.py",
    "kubectl get longtail": "tests/api/test_definitions.py",
}


def test_every_command_of_the_readme_is_run_somewhere():
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)
    commands = {line.partition("  #")[0].strip() for block in blocks for line in block.splitlines() if line.strip()}
    assert commands == set(EXERCISED)
    for place in EXERCISED.values():
        assert (ROOT / place).exists()
