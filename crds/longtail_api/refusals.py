"""Fields that a method has no use for: refused by the API server and by the models, in the same words."""

import json
from typing import Any, cast

from pydantic import BaseModel

from longtail_api.methods import METHODS, MethodApi
from longtail_api.structural_schema import JsonSchema, Untranslatable


def refused(spec: BaseModel, method: MethodApi) -> str | None:
    """The first field that is given although the method refuses it, and what to do; None where there is none."""
    for refusal in method.refuses:
        if _is_given(spec, refusal.field.split(".")):
            return f"{refusal.field} {refusal.words(method.name)}"
    return None


def _is_given(part: BaseModel, path: list[str]) -> bool:
    name, info = next((name, info) for name, info in type(part).model_fields.items() if info.alias == path[0])
    value: object = getattr(part, name)
    if len(path) > 1:
        return isinstance(value, BaseModel) and _is_given(value, path[1:])
    return value != info.get_default(call_default_factory=True)


def refusal_rules(spec: JsonSchema) -> list[dict[str, str]]:
    """The same as `x-kubernetes-validations` of a HeavyModel's spec, given its structural schema."""
    return [
        {
            "rule": f"self.method != '{method.name}' || {_is_default(spec, refusal.field.split('.'), 'self')}",
            "message": refusal.words(method.name),
            "fieldPath": f".{refusal.field}",
        }
        for method in METHODS.values()
        for refusal in method.refuses
    ]


def _is_default(schema: JsonSchema, path: list[str], owner: str) -> str:
    """CEL: whether the field at `path` below `owner` is what it is where nobody gives it."""
    field = cast("JsonSchema", schema["properties"][path[0]])
    name = f"{owner}.{path[0]}"
    if "default" not in field:
        if path[0] in schema.get("required", ()):
            raise Untranslatable(f"{name}: a required field can't be refused")
        absent = f"!has({name})"
        return absent if len(path) == 1 else f"({absent} || {_is_default(field, path[1:], name)})"
    if len(path) > 1:
        return _is_default(field, path[1:], name)
    return _holds(field, name)


def _holds(field: JsonSchema, name: str) -> str:
    """CEL: whether a field that always has a value has its default."""
    default: Any = field["default"]
    if "properties" in field:
        parts = [_is_default(field, [inner], name) for inner in field["properties"]]
        return f"({' && '.join(parts)})"
    if default in ([], {}):
        return f"size({name}) == 0"
    if field.get("x-kubernetes-int-or-string"):
        return f"string({name}) == '{default}'"
    return f"{name} == {json.dumps(default)}"
