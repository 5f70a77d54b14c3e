"""JSON schema as pydantic writes it, in the words of a CustomResourceDefinition."""

from decimal import Decimal
from typing import Annotated, Any, ClassVar, Literal

import pytest
from pydantic import Field

from longtail_api.base import ApiModel, ColumnName
from longtail_api.rules import Rule, comparing, immutable
from longtail_api.structural_schema import Untranslatable, structural_schema
from longtail_api.values import Distinct, Number


def properties(model: type[ApiModel]) -> dict[str, Any]:
    return structural_schema(model)["properties"]


class Size(ApiModel):
    """A size. In pixels."""

    rules: ClassVar = (Rule("self.maxWidth > 0", "is nothing; raise it", "maxWidth"),)

    max_width: Annotated[int, Field(ge=1)] = 3


class TitledSize(Size):
    rules: ClassVar = (Rule("size(self.title) > 0", "is empty; give one", "title"),)

    title: Annotated[str, Field(max_length=5)] = "a"


def test_a_model_within_a_model_is_inlined_with_its_field_s_words_and_its_own_rules():
    class Picture(ApiModel):
        size: Size = Size()
        """How large it is."""
        thumbnail: Size
        """A size."""

    size = properties(Picture)["size"]
    assert size["description"] == "How large it is."
    assert size["default"] == {"maxWidth": 3}
    assert size["properties"]["maxWidth"]["minimum"] == 1
    assert size["x-kubernetes-validations"] == [
        {"rule": "self.maxWidth > 0", "message": "is nothing; raise it", "fieldPath": ".maxWidth"}
    ]
    assert properties(Picture)["thumbnail"]["description"] == "A size. In pixels."
    assert structural_schema(Picture)["required"] == ["thumbnail"]


def test_a_model_has_the_rules_of_its_bases_too():
    assert [rule["fieldPath"] for rule in structural_schema(TitledSize)["x-kubernetes-validations"]] == [
        ".maxWidth",
        ".title",
    ]


def test_what_may_be_none_may_be_left_out():
    class Picture(ApiModel):
        size: Size | None = None
        label: Annotated[str, Field(max_length=9)] | None = None

    assert "default" not in properties(Picture)["size"]
    assert properties(Picture)["size"]["type"] == "object"
    assert properties(Picture)["label"] == {"type": "string", "maxLength": 9}


def test_a_default_has_no_nulls_and_numbers_are_written_as_people_do():
    class Picture(ApiModel):
        scale: Annotated[Decimal, Number(gt="0")] = Decimal("5")
        label: Annotated[str, Field(max_length=9)] | None = None

    class Page(ApiModel):
        picture: Picture = Picture()

    assert properties(Page)["picture"]["default"] == {"scale": 5}
    assert properties(Page)["picture"]["properties"]["scale"]["default"] == 5


def test_constants_exclusive_bounds_and_tuples_are_written_as_openapi_does():
    class Odd(ApiModel):
        kind: Literal["Odd"] = "Odd"
        count: Annotated[int, Field(gt=0, lt=9)]
        pair: tuple[int, int]

    odd = properties(Odd)
    assert odd["kind"]["enum"] == ["Odd"]
    assert odd["count"] == {
        "type": "integer", "minimum": 0, "exclusiveMinimum": True, "maximum": 9, "exclusiveMaximum": True,
    }  # fmt: skip
    assert odd["pair"] == {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2}


def test_a_number_is_an_integer_or_a_string_with_its_bounds_as_one_rule():
    class Budget(ApiModel):
        share: Annotated[Decimal, Number(ge="0", lt="1")]

    share = properties(Budget)["share"]
    assert share["x-kubernetes-int-or-string"] is True
    assert "type" not in share
    (rule,) = share["x-kubernetes-validations"]
    assert rule["rule"] == (
        r"string(self).matches(r'^[0-9]+(\.[0-9]+)?$') && !quantity(string(self)).isLessThan(quantity('0')) "
        "&& quantity(string(self)).isLessThan(quantity('1'))"
    )
    assert rule["message"] == "must be a decimal number at least 0 and less than 1; write a fraction in quotes"


def test_an_integer_or_a_string_is_one_type():
    class Port(ApiModel):
        port: Annotated[str, Field(max_length=9)] | Annotated[int, Field(ge=1)]

    assert properties(Port)["port"] == {"x-kubernetes-int-or-string": True, "maxLength": 9, "minimum": 1}


def test_bounds_of_a_map_s_keys_become_a_rule():
    class Labels(ApiModel):
        labels: Annotated[dict[ColumnName, Annotated[str, Field(max_length=2)]], Field(max_length=4)] = {}

    labels = properties(Labels)["labels"]
    assert (labels["maxProperties"], labels["additionalProperties"]) == (4, {"type": "string", "maxLength": 2})
    (rule,) = labels["x-kubernetes-validations"]
    assert rule["rule"] == "self.all(key, key.size() <= 63 && key.matches(r'^[A-Za-z_][A-Za-z0-9_]*$'))"


def test_a_list_of_distinct_items_is_a_set():
    class Names(ApiModel):
        names: Annotated[list[ColumnName], Field(max_length=4), Distinct()] = []

    assert properties(Names)["names"]["x-kubernetes-list-type"] == "set"


def test_what_a_definition_cannot_say_is_an_error_that_names_the_field():
    class Loose(ApiModel):
        anything: Annotated[dict[str, Any], Field(max_length=4)]

    class Mixed(ApiModel):
        mixed: tuple[int, str]

    class Either(ApiModel):
        either: int | bool

    class Multiple(ApiModel):
        even: Annotated[int, Field(multiple_of=2)]

    for model, words in (
        (Loose, "Loose.anything: a map needs the type of its values"),
        (Mixed, "Mixed.mixed: the items of a list have one type"),
        (Either, "Either.either: a field has one type"),
        (Multiple, "Multiple.even: no translation for multipleOf"),
    ):
        with pytest.raises(Untranslatable, match=words):
            structural_schema(model)


def test_an_optional_immutable_field_can_neither_be_added_nor_removed():
    rule = immutable("endpoint", "make another", optional=True)
    assert rule.cel == (
        "has(self.endpoint) == has(oldSelf.endpoint) && (!has(self.endpoint) || self.endpoint == oldSelf.endpoint)"
    )
    assert rule.to_validation()["message"] == "is immutable; make another"


def test_a_field_may_stay_free_until_something_holds():
    rule = immutable("spec.size", "make another", once="has(oldSelf.status)")
    assert rule.cel == "!(has(oldSelf.status)) || (self.spec.size == oldSelf.spec.size)"


def test_a_comparison_leaves_what_is_no_number_to_its_own_rule():
    assert comparing("{low}.isLessThan({high})", "low", "nested.high") == (
        "!isQuantity(string(self.low)) || !isQuantity(string(self.nested.high)) "
        "|| quantity(string(self.low)).isLessThan(quantity(string(self.nested.high)))"
    )
