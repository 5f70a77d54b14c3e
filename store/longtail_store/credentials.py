"""Credentials, from a Secret's entries or from the environment: the same three names, the same rule for both."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from longtail_store.errors import CredentialsInvalid, CredentialsMissing

ACCESS_KEY_ID, SECRET_ACCESS_KEY, SESSION_TOKEN = NAMES = (
    "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"
)  # fmt: skip
"""The entries that count. Whatever else a Secret holds is not looked at."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_IN_A_HEADER = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True)
class Credentials:
    """A key pair. Without one, boto3's chain finds them (environment, pod identity)."""

    access_key_id: str
    secret_access_key: str
    session_token: str | None = None

    def __repr__(self) -> str:
        return "Credentials(...)"


def credentials_of(entries: Mapping[str, bytes], where: str) -> Credentials:
    """The key pair in `entries`, without white space at the ends, as `echo key | base64` leaves it there.

    `where` names the Secret, or the environment, in messages; no value ever does. Raises `CredentialsMissing`, and
    `CredentialsInvalid` where an entry is no text, or has control characters inside.
    """
    values = {name: _text(entries[name], name, where) for name in NAMES if name in entries}
    for name in (ACCESS_KEY_ID, SECRET_ACCESS_KEY):
        if not values.get(name):
            raise CredentialsMissing(f"{where} has no {name}; add it")
    for name in (ACCESS_KEY_ID, SESSION_TOKEN):
        # These two go into a header as they are; of the secret only signatures do.
        if values.get(name) and not _IN_A_HEADER.fullmatch(values[name]):
            raise CredentialsInvalid(
                f"{where}: {name} has other than visible ASCII characters inside; write it anew, without breaks"
            )
    return Credentials(values[ACCESS_KEY_ID], values[SECRET_ACCESS_KEY], values.get(SESSION_TOKEN) or None)


def credentials_in_environment(environment: Mapping[str, str] | None = None) -> Credentials | None:
    """The key pair of this process' environment; None where it has neither half, so that boto3's chain goes on.

    Raises what `credentials_of` raises.
    """
    found = os.environ if environment is None else environment
    entries = {name: found[name].encode(errors="surrogateescape") for name in NAMES if found.get(name, "").strip()}
    if ACCESS_KEY_ID not in entries and SECRET_ACCESS_KEY not in entries:
        return None
    return credentials_of(entries, "the environment")


def _text(value: bytes, name: str, where: str) -> str:
    try:
        text = value.decode().strip()
    except UnicodeDecodeError:
        raise CredentialsInvalid(f"{where}: {name} is no text (UTF-8); write the key itself there") from None
    if _CONTROL.search(text):
        raise CredentialsInvalid(f"{where}: {name} has a control character or a line break inside; write it anew")
    return text
