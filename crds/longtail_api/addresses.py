"""Where stores and tables are: addresses, parsed once and by this type alone.

An s3:// address is taken letter by letter, so what another reader would take for a query, a fragment, an escape or a
step up is refused rather than guessed at. In a file:// address `%20` and its like are escapes (RFC 8089).
"""

import re
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import unquote

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from longtail_api.values import WORDS, Text

MAX_LENGTH = 1024

SHAPE = r"^(s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/.*)?|file:///.+)$"
SHAPE_WORDS = (
    "s3://bucket/key, with a bucket of lower-case letters, digits, '.' and '-', no user and no port, or file:///path"
)


@dataclass(frozen=True)
class Flaw:
    """What no address may hold: whatever `pattern` is found in. Python and RE2 read it alike."""

    pattern: str
    words: str
    """What the address must do instead."""


FLAWS = (
    Flaw(
        r"[?#\\]",
        "have no '?', '#' or backslash, which many readers take for the end of a path or a step in it; "
        "name the bucket and the folder alone",
    ),
    Flaw(r"[\x00-\x1f\x7f]|\s$", "have no control character and no space at its end; write it anew"),
    Flaw(
        r"^(s3:/|file://)(/.*)?/(/|\.{1,2}(/|$))",
        "have no '//', '/./' or '/../' in its path; write each folder once, by its name",
    ),
    Flaw(r"^s3://.*%", "have no '%': it is taken letter by letter, so write a space as a space, 'é' as 'é'"),
    Flaw(
        r"^file:.*%([^0-9A-Fa-f]|$|[0-9A-Fa-f]([^0-9A-Fa-f]|$)|[01]|2[EeFf]|7[Ff])",
        "have after each '%' two digits of a character that is no '.', '/' or control code; write '%' itself as %25",
    ),
    Flaw(
        r"^s3://([^/]*(\.\.|\.-|-\.)|[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+(/|$))",
        "name a bucket, which has no '..', '.-' or '-.' and is no IP address; a server's address goes into endpoint",
    ),
)


@dataclass(frozen=True)
class StoreUri:
    """A place in a bucket, or in the file system."""

    bucket: str
    """Empty for a place in the file system."""
    path: str
    """Of s3://: the key or prefix, as written. Of file://: the full path, without escapes."""

    @classmethod
    def parse(cls, value: object) -> Self:
        """Raises `ValueError` that says what the address must be like."""
        if not isinstance(value, str) or len(value) > MAX_LENGTH:
            raise ValueError(f"must be {SHAPE_WORDS} (at most {MAX_LENGTH} characters)")
        for flaw in FLAWS:
            if re.search(flaw.pattern, value):
                raise ValueError(f"must {flaw.words}")
        if not re.fullmatch(SHAPE, value):
            raise ValueError(f"must be {SHAPE_WORDS}")
        if value.startswith("file://"):
            try:
                return cls("", unquote(value.removeprefix("file://"), errors="strict"))
            except UnicodeDecodeError:
                raise ValueError("must have only escapes of UTF-8 after '%'") from None
        bucket, _, path = value.removeprefix("s3://").partition("/")
        return cls(bucket, path)

    @property
    def is_s3(self) -> bool:
        return bool(self.bucket)

    @property
    def prefix(self) -> str:
        """What the keys of all objects below this place begin with: empty, or with a slash at its end."""
        return f"{self.path.rstrip('/')}/" if self.path else ""


@dataclass(frozen=True)
class Address:
    """Makes a string field hold what `StoreUri.parse` takes: in Python by that, at the API server by the same rules."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        def checked(value: object) -> str:
            StoreUri.parse(value)
            return str(value)

        return core_schema.no_info_plain_validator_function(checked, serialization=core_schema.to_string_ser_schema())

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        flaws = [{"rule": f"!self.matches(r'{flaw.pattern}')", "message": f"must {flaw.words}"} for flaw in FLAWS]
        shape = {"rule": f"self.matches(r'{SHAPE}')", "message": f"must be {SHAPE_WORDS}"}
        return {
            "type": "string",
            "maxLength": MAX_LENGTH,
            "x-kubernetes-validations": [shape, *flaws],
            WORDS: SHAPE_WORDS,
        }


_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?"
_PORT = r"[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]"

ENDPOINT = Text(
    rf"^https?://({_LABEL}(\.{_LABEL})*|\[[0-9A-Fa-f:.]+\])(:({_PORT}))?/?$",
    "http:// or https:// with a host and, where needed, a port: no path, no query, no user",
    512,
)
"""URL of an S3 server. A name outside ASCII is written as punycode (xn--…), an IPv6 address in brackets."""

REGION = Text(
    rf"^{_LABEL}$", "a region: letters, digits and '-', such as eu-central-1, or auto where the server knows none", 63
)
