"""Types, bounds and defaults of a structural schema in words: for `kubectl explain` and for the docs."""

import json

from longtail_api.structural_schema import JsonSchema
from longtail_api.values import WORDS

_UNITS = {"Length": "characters", "Items": "items", "Properties": "entries"}


def bounds_in_words(schema: JsonSchema) -> str:
    """`1 to 3600`, `at most 63 characters`; empty where there is nothing to say."""
    if words := schema.get(WORDS):
        return str(words)
    if "enum" in schema or schema.get("format") == "date-time":
        return ""
    parts = [_range(schema.get("minimum"), schema.get("maximum"), "")]
    parts += [_range(schema.get(f"min{part}"), schema.get(f"max{part}"), f" {unit}") for part, unit in _UNITS.items()]
    return ", ".join(part for part in parts if part)


def _range(low: int | None, high: int | None, unit: str) -> str:
    if low is None and high is None:
        return ""
    if high is None:
        return f"at least {low}{unit}"
    if low is None:
        return f"at most {high}{unit}"
    return f"{low}{unit}" if low == high else f"{low} to {high}{unit}"


def default_in_words(schema: JsonSchema) -> str:
    """The default as a person writes it in YAML; empty where there is none, or only an empty one."""
    default = schema.get("default")
    if default in (None, {}, [], "") or "properties" in schema:  # inner fields have words of their own
        return ""
    return default if isinstance(default, str) else json.dumps(default)


def type_in_words(schema: JsonSchema) -> str:
    """`string`, `list of integer`, `map of string`."""
    if schema.get("x-kubernetes-int-or-string"):
        return "integer or string"
    if schema.get("type") == "array":
        return f"list of {type_in_words(schema['items'])}"
    if "additionalProperties" in schema:
        return f"map of {type_in_words(schema['additionalProperties'])}"
    if schema.get("format") == "date-time":
        return "time"
    return str(schema["type"])
