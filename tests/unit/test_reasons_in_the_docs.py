"""Whoever reads a reason in a condition, an event or a termination message finds it in the docs, with what to do."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from longtail_api.conditions import Reason

REPOSITORY = Path(__file__).parents[2]
ROOMS = (
    "operator/longtail_operator",
    "store/longtail_store",
    "trainer_image/longtail_trainer",
    "serving_image/longtail_serving",
)
SAID_BY = frozenset({"Trouble", "Note", "in_words", "JobState"})
"""What takes a reason by place: (reason, message), or (kind, reason, message)."""
NO_REASON = frozenset({"Warning", "Normal"})
"""The kinds of an event."""
NEVER_SAID = frozenset({"StoreRefused", "InvalidKey", "Outdated"})
"""A root of errors, a bug, and what is read again: no person meets them as a reason."""
STATES = frozenset(
    {"Absent", "Awaiting", "AwaitingWords", "Held", "Deleting", "Failed", "Lost", "Running", "Succeeded", "Suspended"}
)
"""States of a Job, which a JobState is made of beside its reason."""


def _rows() -> set[str]:
    """Every name in the first column of a table."""
    text = "".join((REPOSITORY / "docs" / name).read_text() for name in ("operations.md", "stores.md"))
    columns = [line.split("|")[1] for line in text.splitlines() if line.startswith("|")]
    return {name for column in columns for name in re.findall(r"`([A-Z]\w+)`", column)}


def _written(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == "reason":
            yield from _texts(node.value)
        elif isinstance(node, ast.Call) and _name(node.func) in SAID_BY:
            for argument in node.args[:2]:
                yield from _texts(argument)
        elif isinstance(node, ast.AnnAssign | ast.Assign):
            targets = [node.target] if isinstance(node, ast.AnnAssign) else node.targets
            if any(_name(target) == "default_reason" for target in targets) and node.value is not None:
                yield from _texts(node.value)
        elif isinstance(node, ast.ClassDef) and any(_name(base).startswith("Store") for base in node.bases):
            # The name of a store's error is the reason that it gives.
            yield node.name


def _texts(node: ast.expr) -> Iterator[str]:
    if (
        isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and re.fullmatch(r"[A-Z][A-Za-z0-9]+", node.value)
    ):
        yield node.value


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _reasons() -> set[str]:
    found = {str(reason) for reason in Reason}
    for room in ROOMS:
        for file in (REPOSITORY / room).rglob("*.py"):
            found |= set(_written(ast.parse(file.read_text())))
    return found - NO_REASON - NEVER_SAID - (STATES - {str(reason) for reason in Reason})


def test_every_reason_stands_in_a_table_of_the_docs():
    assert sorted(_reasons() - _rows()) == []


def test_no_reason_of_ours_is_one_that_nothing_gives():
    sources = "".join(
        file.read_text()
        for room in (*ROOMS, "crds/longtail_api")
        for file in (REPOSITORY / room).rglob("*.py")
        if file.name != "conditions.py" or "longtail_api" not in file.parts
    )
    unused = [
        reason.name for reason in Reason if f"Reason.{reason.name}" not in sources and f'"{reason}"' not in sources
    ]
    # The name of a store's error is the reason that it gives.
    assert [name for name in unused if f"class {Reason[name]}(" not in sources] == []
