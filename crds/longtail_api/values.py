"""The numbers and strings of a resource: each carries its bounds in words, as Python and as CEL.

The words are what a person reads in an error, in `kubectl explain` and in the docs. They stand in for a bare
`pattern`, whose error would be a regular expression.
"""

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

WORDS = "x-longtail-words"
"""JSON-schema key: what a value has to be, in words. Not part of the CRD."""

SUFFIXES = {
    "m": Decimal("0.001"),
    "k": Decimal(10**3), "M": Decimal(10**6), "G": Decimal(10**9), "T": Decimal(10**12),
    "Ki": Decimal(2**10), "Mi": Decimal(2**20), "Gi": Decimal(2**30), "Ti": Decimal(2**40),
}  # fmt: skip
QUANTITY_PATTERN = rf"^[0-9]+(\.[0-9]+)?({'|'.join(SUFFIXES)})?$"


def quantity_value(text: str) -> Decimal:
    """The number that a Kubernetes quantity such as `500m` or `4Gi` means. Raises ValueError where it is none."""
    if not re.fullmatch(QUANTITY_PATTERN, text):
        raise ValueError(f"{text!r} is not a quantity such as 500m, 2 or 4Gi")
    digits = text.rstrip("mkMGTi")
    return Decimal(digits) * SUFFIXES.get(text[len(digits) :], Decimal(1))


@dataclass(frozen=True)
class Number:
    """A decimal number that a resource holds as an integer or a decimal string (never a float).

    Bounds are quantities, and print as written. `quantity` also allows the SI suffixes k, M and G.
    """

    gt: str | None = None
    ge: str | None = None
    lt: str | None = None
    le: str | None = None
    quantity: bool = False
    integer: bool = False
    unit: str | None = None
    """Plural of what is counted: milliseconds."""

    @property
    def pattern(self) -> str:
        digits = r"^[0-9]+" if self.integer else r"^[0-9]+(\.[0-9]+)?"
        return digits + (r"[kMG]?$" if self.quantity else "$")

    @property
    def words(self) -> str:
        """What the value has to be: `a decimal number greater than 0 and at most 1`."""
        noun = "a whole number" if self.integer else "a decimal number"
        if self.unit:
            noun += f" of {self.unit}"
        bounds = (("greater than", self.gt), ("at least", self.ge), ("less than", self.lt), ("at most", self.le))
        limits = " and ".join(f"{words} {bound}" for words, bound in bounds if bound is not None)
        suffix = ", with k, M or G for thousands, millions or billions" if self.quantity else ""
        unit = ", without a unit" if self.unit and not self.quantity else ""
        quotes = "" if self.integer else "; write a fraction in quotes"
        return f"{noun} {limits}{suffix}{unit}{quotes}"

    def parse(self, value: object) -> Decimal:
        """A float is taken, too: a file may hold one, the API server refuses it by its type."""
        if isinstance(value, bool) or not isinstance(value, int | str | Decimal | float):
            raise ValueError(f"must be {self.words}")
        text = value if isinstance(value, str) else format(Decimal(str(value)), "f")
        if not re.fullmatch(self.pattern, text):
            raise ValueError(f"must be {self.words}")
        number = quantity_value(text)
        within = (
            (self.gt is None or number > quantity_value(self.gt))
            and (self.ge is None or number >= quantity_value(self.ge))
            and (self.lt is None or number < quantity_value(self.lt))
            and (self.le is None or number <= quantity_value(self.le))
        )
        if not within:
            raise ValueError(f"must be {self.words}")
        return number

    @property
    def cel(self) -> str:
        """The same as `parse` for the API server, which sees an integer or a string."""
        number = "quantity(string(self))"
        parts = [f"string(self).matches(r'{self.pattern}')"]
        if self.gt is not None:
            parts.append(f"{number}.isGreaterThan(quantity('{self.gt}'))")
        if self.ge is not None:
            parts.append(f"!{number}.isLessThan(quantity('{self.ge}'))")
        if self.lt is not None:
            parts.append(f"{number}.isLessThan(quantity('{self.lt}'))")
        if self.le is not None:
            parts.append(f"!{number}.isGreaterThan(quantity('{self.le}'))")
        return " && ".join(parts)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        def render(value: Decimal) -> int | str:
            return int(value) if value == value.to_integral_value() else format(value.normalize(), "f")

        return core_schema.no_info_plain_validator_function(
            self.parse, serialization=core_schema.plain_serializer_function_ser_schema(render)
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {
            "x-kubernetes-int-or-string": True,
            "maxLength": 24,
            "x-kubernetes-validations": [{"rule": self.cel, "message": f"must be {self.words}"}],
            WORDS: self.words,
        }


@dataclass(frozen=True)
class Text:
    """A string that matches `pattern`, a regular expression that Python and RE2 read alike."""

    pattern: str
    words: str
    """What the value has to be: `a column name: letters, digits and underscores`."""
    max_length: int
    cel: str | None = None
    """Further condition that only the API server can check, or else the pattern alone."""
    integers: bool = False
    """Whether an integer may stand for its digits."""

    def parse(self, value: object) -> str:
        if self.integers and isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str) or len(value) > self.max_length or not re.fullmatch(self.pattern, value):
            raise ValueError(f"must be {self.words} (at most {self.max_length} characters)")
        return value

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self.parse, serialization=core_schema.to_string_ser_schema()
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        value = "string(self)" if self.integers else "self"
        rule = f"{value}.matches(r'{self.pattern}')" + (f" && {self.cel}" if self.cel else "")
        return {
            **({"x-kubernetes-int-or-string": True} if self.integers else {"type": "string"}),
            "maxLength": self.max_length,
            "x-kubernetes-validations": [{"rule": rule, "message": f"must be {self.words}"}],
            WORDS: self.words,
        }


@dataclass(frozen=True)
class Opaque:
    """A mapping of Kubernetes' own that is passed on as it is: its rules are the API server's, when a pod is made."""

    max_properties: int

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "object", "x-kubernetes-preserve-unknown-fields": True, "maxProperties": self.max_properties}


@dataclass(frozen=True)
class Distinct:
    """A list whose items differ; the API server says which one is there twice."""

    def parse(self, values: list[Any]) -> list[Any]:
        twice = next((value for number, value in enumerate(values) if value in values[:number]), None)
        if twice is not None:
            raise ValueError(f"{twice!r} is there twice; remove one")
        return values

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.parse, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(schema), "x-kubernetes-list-type": "set"}
