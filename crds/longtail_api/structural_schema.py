"""From pydantic's JSON schema to the structural schema that a CustomResourceDefinition takes.

`$ref` is inlined; `anyOf` with null means optional; `const`, numeric `exclusiveMinimum`, tuples and `propertyNames`
are written as the API server knows them. What has no translation is an error, never left out in silence.
"""

from typing import Any, cast

from pydantic import BaseModel

from longtail_api.values import WORDS

JsonSchema = dict[str, Any]

_KEPT = (
    "type", "format", "enum", "default", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum",
    "minLength", "maxLength", "pattern", "minItems", "maxItems", "minProperties", "maxProperties", "required",
    "x-kubernetes-int-or-string", "x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-validations",
    "x-kubernetes-preserve-unknown-fields",
    WORDS,
)  # fmt: skip
_TRANSLATED = {
    "$defs", "$ref", "title", "description", "anyOf", "const", "prefixItems",
    "properties", "items", "additionalProperties", "propertyNames",
}  # fmt: skip


class Untranslatable(Exception):
    """A model uses something of JSON schema that a CustomResourceDefinition can't say."""


def structural_schema(model: type[BaseModel]) -> JsonSchema:
    """The structural schema of `model`, with its descriptions, defaults, bounds and rules."""
    return translate(model.model_json_schema(by_alias=True), path=model.__name__)


def translate(schema: JsonSchema, path: str = "", definitions: JsonSchema | None = None) -> JsonSchema:
    """`schema` as a structural schema; `path` is what an error names. Raises `Untranslatable`."""
    if definitions is None:
        definitions = cast("JsonSchema", schema.get("$defs", {}))
    schema = _without_reference(_without_null(schema, path), definitions)
    unknown = schema.keys() - _TRANSLATED - set(_KEPT)
    if unknown:
        raise Untranslatable(f"{path}: no translation for {', '.join(sorted(unknown))}")
    result: JsonSchema = {}
    if description := schema.get("description"):
        result["description"] = " ".join(description.split())
    result |= {key: schema[key] for key in _KEPT if key in schema}
    if "const" in schema:
        result["enum"] = [schema["const"]]
    if "anyOf" in schema:
        result |= _integer_or_string(schema["anyOf"], path)
    _translate_default(result)
    _translate_bounds(result)
    _translate_items(schema, result, path, definitions)
    _translate_properties(schema, result, path, definitions)
    return result


def _without_null(schema: JsonSchema, path: str) -> JsonSchema:
    """`X | None` as X: what is optional is left out of a resource, never null."""
    choices = [choice for choice in schema.get("anyOf", ()) if choice.get("type") != "null"]
    if not choices:
        return schema
    if len(choices) > 1:
        return schema | {"anyOf": choices}
    rest = {key: value for key, value in schema.items() if key != "anyOf"}
    return _merge(choices[0], rest)


def _without_reference(schema: JsonSchema, definitions: JsonSchema) -> JsonSchema:
    if "$ref" not in schema:
        return schema
    name = schema["$ref"].rpartition("/")[2]
    rest = {key: value for key, value in schema.items() if key != "$ref"}
    return _merge(definitions[name], rest)


def _merge(inner: JsonSchema, outer: JsonSchema) -> JsonSchema:
    """A type with what its field adds: rules of both hold, and the field's words, unless the type's say more."""
    merged = inner | outer
    if inner.get("description", "").startswith(outer.get("description", "")):
        merged["description"] = inner.get("description", "")
    rules = [*inner.get("x-kubernetes-validations", ()), *outer.get("x-kubernetes-validations", ())]
    if rules:
        merged["x-kubernetes-validations"] = rules
    return merged


def _integer_or_string(choices: list[JsonSchema], path: str) -> JsonSchema:
    if {choice.get("type") for choice in choices} != {"integer", "string"}:
        raise Untranslatable(f"{path}: a field has one type, or is an integer or a string; this one is {choices}")
    bounds = {key: choice[key] for choice in choices for key in ("maxLength", "minimum", "maximum") if key in choice}
    return {"x-kubernetes-int-or-string": True, **bounds}


def _translate_default(result: JsonSchema) -> None:
    if "default" not in result:
        return
    result["default"] = _without_nulls(result["default"])
    if result["default"] is None:
        del result["default"]
    elif result.get("x-kubernetes-int-or-string") and str(result["default"]).isdecimal():
        result["default"] = int(result["default"])


def _without_nulls(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    entries = cast("JsonSchema", value)
    return {key: _without_nulls(inner) for key, inner in entries.items() if inner is not None}


def _translate_bounds(result: JsonSchema) -> None:
    """OpenAPI 3.0: `exclusiveMinimum` is a flag beside `minimum`, not a bound of its own."""
    for exclusive, inclusive in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if exclusive in result:
            result[inclusive] = result[exclusive]
            result[exclusive] = True


def _translate_items(schema: JsonSchema, result: JsonSchema, path: str, definitions: JsonSchema) -> None:
    if "prefixItems" in schema:
        items = [translate(item, f"{path}[]", definitions) for item in schema["prefixItems"]]
        if any(item != items[0] for item in items):
            raise Untranslatable(f"{path}: the items of a list have one type, these differ")
        result |= {"items": items[0], "minItems": len(items), "maxItems": len(items)}
    elif "items" in schema:
        result["items"] = translate(schema["items"], f"{path}[]", definitions)


def _translate_properties(schema: JsonSchema, result: JsonSchema, path: str, definitions: JsonSchema) -> None:
    if "properties" in schema:
        properties = cast("dict[str, JsonSchema]", schema["properties"])
        result["properties"] = {
            name: translate(value, f"{path}.{name}", definitions) for name, value in properties.items()
        }
        if schema.get("additionalProperties") is True:
            result["x-kubernetes-preserve-unknown-fields"] = True
    elif schema.get("type") == "object" and "x-kubernetes-preserve-unknown-fields" not in schema:
        values = schema.get("additionalProperties")
        if not isinstance(values, dict):
            raise Untranslatable(f"{path}: a map needs the type of its values")
        result["additionalProperties"] = translate(cast("JsonSchema", values), f"{path}[*]", definitions)
        if rule := _key_rule(schema.get("propertyNames", {})):
            result["x-kubernetes-validations"] = [*result.get("x-kubernetes-validations", ()), rule]


def _key_rule(names: JsonSchema) -> JsonSchema | None:
    """The bounds of a map's keys as CEL: a structural schema has no `propertyNames`."""
    conditions: list[str] = []
    words: list[str] = []
    if "maxLength" in names:
        conditions.append(f"key.size() <= {names['maxLength']}")
        words.append(f"at most {names['maxLength']} characters")
    for rule in names.get("x-kubernetes-validations", ()):
        conditions.append(rule["rule"].replace("self", "key"))
        words.append(names[WORDS])
    if not conditions:
        return None
    return {"rule": f"self.all(key, {' && '.join(conditions)})", "message": f"each key must be {', '.join(words)}"}
