"""The two bases of every model of the API, and the kinds of values that several models hold."""

from typing import Annotated, Any, ClassVar, cast

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler, StringConstraints, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import CoreSchema

from longtail_api.addresses import Address
from longtail_api.rules import Rule
from longtail_api.values import Number, Text

__all__ = ["Number"]  # read from here by the rooms

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

    rules: ClassVar[tuple[Rule, ...]] = ()
    """What the API server checks across this model's fields, besides the rules of its base classes."""

    def to_json_dict(self) -> dict[str, Any]:
        """The model as the API server or a file holds it: camelCase, nulls left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)

    @classmethod
    def all_rules(cls) -> list[Rule]:
        """The rules of this model and of its bases, bases first."""
        return [rule for base in reversed(cls.__mro__) for rule in vars(base).get("rules", ())]

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        json_schema = handler.resolve_ref_schema(handler(schema))
        if rules := cls.all_rules():
            json_schema["x-kubernetes-validations"] = [rule.to_validation() for rule in rules]
        return json_schema


class StoreObject(ApiModel):
    """An object in the store. Readers accept this `schemaVersion` and the one before it, or all since an older one."""

    model_config = ConfigDict(extra="ignore")

    oldest_readable: ClassVar[int | None] = None
    """The oldest `schemaVersion` that is read; None: the one before the current."""

    schema_version: int = 1

    @classmethod
    def from_previous(cls, content: dict[str, Any]) -> dict[str, Any]:
        """JSON of an older schemaVersion that is read as JSON of this one; by default they differ in nothing."""
        return content

    @classmethod
    def readable(cls) -> range:
        """Every `schemaVersion` that is read, oldest first."""
        current: int = cls.model_fields["schema_version"].default
        return range(current - 1 if cls.oldest_readable is None else cls.oldest_readable, current + 1)

    @model_validator(mode="before")
    @classmethod
    def _of_either_version(cls, content: Any) -> Any:
        """What is read from an older object is written as a newer one, so the number rises with the content."""
        current: int = cls.model_fields["schema_version"].default
        if not isinstance(content, dict):
            return content
        known = cast("dict[str, Any]", content)
        if known.get("schemaVersion") not in cls.readable()[:-1]:
            return known
        return cls.from_previous(known) | {"schemaVersion": current}

    def to_bytes(self) -> bytes:
        """Canonical bytes: the same object always serializes alike, so hashes can be compared."""
        return self.model_dump_json(by_alias=True, exclude_none=True).encode()


ObjectName = Annotated[
    str, Text(r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", "a Kubernetes name: lower-case letters, digits, '-' and '.'", 253)
]
"""The name of another Kubernetes object."""

NamespaceName = Annotated[
    str, Text(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", "the name of a namespace: lower-case letters, digits and '-'", 63)
]

ColumnName = Annotated[
    str, Text(r"^[A-Za-z_][A-Za-z0-9_]*$", "a name of letters, digits and underscores that starts with no digit", 63)
]
"""A column of a table."""

DataUri = Annotated[str, Address()]
"""A file or folder: s3://bucket/key or file:///path."""

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$", max_length=64)]


def _cron_field(value: str) -> str:
    item = rf"(\*|{value}(-{value})?)(/[1-9][0-9]?)?"
    return rf"{item}(,{item})*"


_MONTHS = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
_CRON_FIELDS = " +".join(
    _cron_field(value)
    for value in (
        "[0-5]?[0-9]",
        "(2[0-3]|[01]?[0-9])",
        "(3[01]|[12][0-9]|0?[1-9])",
        f"(1[0-2]|0?[1-9]|(?i:{_MONTHS}))",
        "([0-7]|(?i:sun|mon|tue|wed|thu|fri|sat))",
    )
)
CRON_PATTERN = rf"^(@(yearly|annually|monthly|weekly|daily|hourly)|{_CRON_FIELDS})$"

Cron = Annotated[
    str,
    Text(
        CRON_PATTERN,
        "a cron expression of five fields (minute hour day month weekday) such as '0 3 * * *', or @daily and its like",
        100,
    ),
]
"""A cron expression of five fields, or @daily and its like."""

TimeZone = Annotated[
    str,
    Text(
        r"^[A-Za-z0-9_+/-]+$",
        "an IANA time zone such as UTC or Europe/Berlin",
        64,
        # Reading a clock in an unknown zone is an error, and the API server adds the message to it.
        cel="self != 'Local' && timestamp('2000-01-01T00:00:00Z').getHours(self) >= 0",
    ),
]
"""The name of a time zone."""

Label = Annotated[str, Field(max_length=63)]
