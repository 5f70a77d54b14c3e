"""The two bases of every model of the API, and the number type of its resources."""

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, GetJsonSchemaHandler, StringConstraints
from pydantic.alias_generators import to_camel
from pydantic_core import CoreSchema, core_schema

GROUP = "longtail.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"


class ApiModel(BaseModel):
    """A part of a resource or of a run config: camelCase outside, no unknown fields."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        use_attribute_docstrings=True,
        validate_default=True,
    )

    def to_json_dict(self) -> dict[str, Any]:
        """The model as the API server or a file holds it: camelCase, nulls left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class StoreObject(ApiModel):
    """An object in the store. Readers accept this `schemaVersion` and the one before it."""

    model_config = ConfigDict(extra="ignore")

    schema_version: int = 1

    def to_bytes(self) -> bytes:
        """Canonical bytes: the same object always serializes alike, so hashes can be compared."""
        return self.model_dump_json(by_alias=True, exclude_none=True).encode()


@dataclass(frozen=True)
class Number:
    """A decimal number that a resource holds as an integer or a decimal string (never a float).

    Bounds are strings, so that they print as written. `quantity` also allows the SI suffixes k, M and G.
    """

    gt: str | None = None
    ge: str | None = None
    lt: str | None = None
    le: str | None = None
    quantity: bool = False
    integer: bool = False

    SUFFIXES = {"k": 10**3, "M": 10**6, "G": 10**9}

    @property
    def pattern(self) -> str:
        digits = r"^[0-9]+" if self.integer else r"^[0-9]+(\.[0-9]+)?"
        return digits + (r"[kMG]?$" if self.quantity else "$")

    def parse(self, value: object) -> Decimal:
        if isinstance(value, bool) or not isinstance(value, int | str | Decimal | float):
            raise ValueError("must be an integer or a decimal string")
        text = str(value)
        factor = 1
        if self.quantity and text[-1:] in self.SUFFIXES:
            factor = self.SUFFIXES[text[-1]]
            text = text[:-1]
        try:
            number = Decimal(text) * factor
        except InvalidOperation:
            raise ValueError(f"{value!r} is not a decimal number") from None
        broken = (
            (self.gt is not None and number <= Decimal(self.gt), f"greater than {self.gt}"),
            (self.ge is not None and number < Decimal(self.ge), f"at least {self.ge}"),
            (self.lt is not None and number >= Decimal(self.lt), f"less than {self.lt}"),
            (self.le is not None and number > Decimal(self.le), f"at most {self.le}"),
        )
        for fails, words in broken:
            if fails:
                raise ValueError(f"must be {words}")
        return number

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        def render(value: Decimal) -> int | str:
            return int(value) if value == value.to_integral_value() else format(value.normalize(), "f")

        return core_schema.no_info_plain_validator_function(
            self.parse, serialization=core_schema.plain_serializer_function_ser_schema(render)
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """What crdgen turns into int-or-string with a pattern and CEL rules for the bounds."""
        bounds = {name: getattr(self, name) for name in ("gt", "ge", "lt", "le") if getattr(self, name) is not None}
        return {
            "x-kubernetes-int-or-string": True,
            "pattern": self.pattern,
            "maxLength": 24,
            "x-longtail-bounds": bounds,
        }


ObjectName = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", min_length=1, max_length=253)
]
"""The name of another Kubernetes object."""

ColumnName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", min_length=1, max_length=63)]
"""A column of a table: letters, digits and underscores."""

DataUri = Annotated[
    str, StringConstraints(pattern=r"^(s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/.*)?|file:///.+)$", max_length=1024)
]
"""A file or folder: s3://bucket/key or file:///path."""

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]

_CRON_FIELD = r"[0-9*/,\-]+"
_CRON_NAMED_FIELD = r"[0-9A-Za-z*/,\-]+"  # months and weekdays may be names
_CRON_FIELDS = " +".join([_CRON_FIELD] * 3 + [_CRON_NAMED_FIELD] * 2)
CRON_PATTERN = rf"^(@(yearly|annually|monthly|weekly|daily|hourly)|{_CRON_FIELDS})$"

Cron = Annotated[str, StringConstraints(pattern=CRON_PATTERN, max_length=100)]
"""A cron expression of five fields, or @daily and its like."""

Label = Annotated[str, Field(max_length=63)]
