"""The methods: one module each, with the configs of its steps. A new one is one module and one line in `METHODS`."""

from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from longtail_api.methods.alt import ALT
from longtail_api.methods.method import MethodApi, Refusal

METHODS: dict[str, MethodApi] = {method.name: method for method in (ALT,)}
"""By `HeavyModel.spec.method`."""


class _Registered:
    """A name in `METHODS`, which is looked into when a value is read, and when the CRD is written."""

    def parse(self, value: str) -> str:
        if value not in METHODS:
            raise ValueError(f"must be {' or '.join(METHODS)}")
        return value

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.parse, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(schema), "enum": list(METHODS)}


MethodName = Annotated[str, _Registered()]

__all__ = ["METHODS", "MethodApi", "MethodName", "Refusal"]
