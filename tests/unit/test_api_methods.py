"""The methods in the API: what names them, and what they refuse, by a method that is made up."""

from typing import Any

import pytest
from pydantic import ValidationError

from longtail_api.crdgen import crd
from longtail_api.heavy_model import HeavyModelSpec
from longtail_api.kinds import KINDS
from longtail_api.methods import METHODS, MethodApi, Refusal
from longtail_api.refusals import refusal_rules
from longtail_api.structural_schema import Untranslatable, structural_schema

SPEC: dict[str, Any] = {
    "schema": {"labels": [{"name": "click"}], "context": {"numeric": ["price"]}},
    "storage": {"uri": "s3://store/shared"},
}
SOLO = MethodApi(
    "Solo",
    {},
    refuses=(
        Refusal("metaUpdate", "it shares nothing; remove it"),
        Refusal("initialization.search", "remove it"),
        Refusal("encoder", "leave it at LSTM"),
    ),
)


@pytest.fixture
def solo(monkeypatch: pytest.MonkeyPatch) -> MethodApi:
    monkeypatch.setitem(METHODS, SOLO.name, SOLO)
    return SOLO


def a_spec(**more: Any) -> HeavyModelSpec:
    return HeavyModelSpec.model_validate({**SPEC, **more})


def definition() -> dict[str, Any]:
    return crd(KINDS[0])["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]


def test_the_registered_methods_are_those_that_a_heavy_model_may_have(solo: MethodApi):
    assert definition()["properties"]["method"]["enum"] == list(METHODS) == ["ALT", "Solo"]
    assert a_spec(method="Solo").method == "Solo"


def test_a_method_that_is_not_registered_is_refused_with_the_names_of_those_that_are():
    assert definition()["properties"]["method"]["enum"] == ["ALT"]
    with pytest.raises(ValidationError, match="must be ALT"):
        a_spec(method="Solo")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"metaUpdate": {"clipNorm": 2}}, "metaUpdate means nothing to method Solo; it shares nothing; remove it"),
        ({"initialization": {"search": {}}}, "initialization.search means nothing to method Solo"),
        ({"encoder": "Transformer"}, "encoder means nothing to method Solo; leave it at LSTM"),
    ],
)
def test_a_field_that_means_nothing_to_the_method_is_refused(solo: MethodApi, given: dict[str, Any], words: str):
    assert a_spec(**given).method == "ALT"
    with pytest.raises(ValidationError, match=words):
        a_spec(method="Solo", **given)


def test_the_api_server_refuses_the_same_fields(solo: MethodApi):
    rules = [rule for rule in definition()["x-kubernetes-validations"] if "'Solo'" in rule["rule"]]
    assert [rule["fieldPath"] for rule in rules] == [".metaUpdate", ".initialization.search", ".encoder"]
    assert rules[0]["message"] == "means nothing to method Solo; it shares nothing; remove it"
    assert rules[0]["rule"].startswith("self.method != 'Solo' || (self.metaUpdate.mode == \"Async\" && ")
    assert "string(self.metaUpdate.clipNorm) == '1'" in rules[0]["rule"]
    assert rules[1]["rule"] == "self.method != 'Solo' || !has(self.initialization.search)"
    assert rules[2]["rule"] == "self.method != 'Solo' || self.encoder == \"LSTM\""


def test_a_required_field_can_not_be_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(METHODS, "Solo", MethodApi("Solo", {}, refuses=(Refusal("storage", "remove it"),)))
    with pytest.raises(Untranslatable, match="required"):
        refusal_rules(structural_schema(HeavyModelSpec))
