"""The generated definitions: bounded everywhere, and never behind the models."""

from collections.abc import Iterator
from pathlib import Path
from shutil import copytree

import pytest

from longtail_api import crdgen
from longtail_api.kinds import KINDS
from longtail_api.light_model_search import LightModelSearchSpec


def walk(schema: dict, path: str) -> Iterator[tuple[str, dict]]:
    yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from walk(inner, f"{path}.{name}")
    for key, suffix in (("items", "[]"), ("additionalProperties", "[*]")):
        if key in schema:
            yield from walk(schema[key], path + suffix)


FIELDS = [
    (path, field)
    for kind in KINDS
    for path, field in walk(crdgen.crd(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"], kind.name)
    if not path.endswith(".metadata")
]


def bounded(field: dict) -> bool:
    if field.get("x-kubernetes-int-or-string"):
        return "maxLength" in field
    match field["type"]:
        case "string":
            return "maxLength" in field or "enum" in field or field.get("format") == "date-time"
        case "array":
            return "maxItems" in field
        case "object":
            return "properties" in field or "maxProperties" in field
        case kind:
            return kind in ("integer", "boolean")


def test_every_string_list_and_map_is_bounded():
    assert len(FIELDS) > 300
    assert [path for path, field in FIELDS if not bounded(field)] == []


def test_nothing_unknown_is_kept_but_parts_of_a_pod_that_are_passed_on_as_they_are():
    kept = {path for path, field in FIELDS if "x-kubernetes-preserve-unknown-fields" in field}
    templates = ("HeavyModel.spec.trainer", "Scenario.spec.trainer", "Scenario.spec.serving")
    parts = ("affinity", "topologySpreadConstraints[]", "volumes[]", "securityContext")
    assert kept == {f"{template}.podTemplate.{part}" for template in templates for part in parts}


def test_every_named_field_says_what_it_is():
    undescribed = [
        path
        for kind in KINDS
        for path, field in walk(crdgen.root_schema(kind), kind.name)
        if not path.endswith(("]", ".metadata", ".metadata.name")) and not field.get("description")
    ]
    assert undescribed == []


def test_every_number_that_may_have_a_fraction_says_to_put_it_in_quotes():
    words = {
        path: field.get("description", "") + field["x-kubernetes-validations"][0]["message"]
        for path, field in FIELDS
        if field.get("x-kubernetes-int-or-string") and ".spec." in path
    }
    assert len(words) > 30
    assert [path for path, said in words.items() if "in quotes" not in said and "whole number" not in said] == []


def test_no_float_is_in_a_resource():
    assert [path for path, field in FIELDS if field.get("type") == "number"] == []


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_printer_columns_select_conditions_by_type(kind):
    assert any(column.path == '.status.conditions[?(@.type=="Ready")].status' for column in kind.columns)
    for column in kind.columns:
        assert "conditions[0]" not in column.path


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_conditions_are_a_map_by_type(kind):
    status = crdgen.root_schema(kind)["properties"]["status"]
    conditions = status["properties"]["conditions"]
    assert (conditions["x-kubernetes-list-type"], conditions["x-kubernetes-list-map-keys"]) == ("map", ["type"])


def test_everything_of_a_search_but_suspend_is_immutable():
    fixed = {rule.field for rule in LightModelSearchSpec.rules if "oldSelf" in rule.cel}
    fields = {field.alias for field in LightModelSearchSpec.model_fields.values()}
    assert fixed == fields - {"suspend"}


def test_yaml_and_docs_are_what_the_models_say(capsys):
    assert crdgen.main(["--check"]) == 0, capsys.readouterr().out


def test_generating_twice_makes_the_same_bytes():
    assert crdgen.generated_files() == crdgen.generated_files()


def test_a_check_shows_what_was_changed_by_hand_and_a_run_puts_it_right(tmp_path: Path, capsys):
    copytree(crdgen.ROOT / "manifests" / "examples", tmp_path / "manifests" / "examples")
    assert crdgen.main(["--root", str(tmp_path)]) == 0
    file = tmp_path / "crds" / "scenarios.yaml"
    file.write_text(file.read_text().replace("- scn\n", "- sc\n"))
    (tmp_path / "docs" / "api.md").unlink()

    assert crdgen.main(["--root", str(tmp_path), "--check"]) == 1
    shown = capsys.readouterr()
    assert "--- crds/scenarios.yaml" in shown.out
    assert "+## Scenario (`scn`)" in shown.out
    assert "run `python -m longtail_api.crdgen`" in shown.err

    assert crdgen.main(["--root", str(tmp_path)]) == 0
    assert crdgen.main(["--root", str(tmp_path), "--check"]) == 0
