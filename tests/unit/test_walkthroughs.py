"""docs/development.md, followed word for word in a copy of the repository: what it says to add works as it says."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("crds", "store", "operator", "trainer_image", "serving_image")
BLOCK = re.compile(r"^```(\w+)(?: file=(\S+))?\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def section(title: str) -> str:
    """The part of the page under this heading."""
    page = (ROOT / "docs" / "development.md").read_text()
    return page.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """All files of the repository that a contributor has."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tmp_path / name)
    return tmp_path


def follow(title: str, copy: Path) -> None:
    """Write each file, make each change, run each command, in the order of the page."""
    steps = list(BLOCK.finditer(section(title)))
    assert steps, f"the page has no section {title!r} with blocks"
    for language, name, content in (step.groups() for step in steps):
        if language == "sh":
            run(content, copy)
        elif language == "diff":
            changed(copy / name, content)
        else:
            (copy / name).write_text(content)


def changed(path: Path, diff: str) -> None:
    """Replace the lines that the diff has (kept and removed ones) by those it makes of them (kept and added ones)."""
    lines = diff.splitlines(keepends=True)
    before = "".join(line[1:] for line in lines if line[0] in " -")
    after = "".join(line[1:] for line in lines if line[0] in " +")
    text = path.read_text()
    assert text.count(before) == 1, f"{path.name} has not exactly one place like\n{before}"
    path.write_text(text.replace(before, after))


def run(commands: str, copy: Path) -> None:
    """As in a shell at the repository's root, with this environment's programs on the copy's packages."""
    tools = Path(sys.executable).parent
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands.replace(".venv/bin/", f"{tools}/")],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(str(copy / room) for room in (*ROOMS, "."))},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, f"{commands}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"


@pytest.mark.slow
@pytest.mark.parametrize("title", ["Add an operation", "Add a sampler", "Add a method"])
def test_the_page_can_be_followed_word_for_word(title: str, copy: Path):
    follow(title, copy)
