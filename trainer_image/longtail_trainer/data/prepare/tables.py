"""Opening the user's tables: Parquet at file:// or s3://, one file or a folder, with or without Hive partitions."""

import os
import re
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

import polars as pl

from longtail_api.data_schema import SCENARIO
from longtail_api.run_config import StoreAddress
from longtail_trainer.running.errors import ConfigInvalid, DataInvalid, Retryable

_MISSING = ("no such file", "not found", "nosuchkey", "nosuchbucket", "expanded paths were empty", "404")
_DENIED = (
    "403",
    "401",
    "accessdenied",
    "forbidden",
    "invalidaccesskeyid",
    "signaturedoesnotmatch",
    "permission denied",
)
_UNREACHABLE = ("generic s3 error", "error sending request", "connection", "timed out", "503", "500")
_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<code>(\w+)</code>")
_UNNAMED_PARTITION = re.compile(r"not present in the given Hive schema: \"(\w+)\"")
_MOST_PARTITION_LEVELS = 16


@dataclass(frozen=True)
class Table:
    """One of the user's tables, not read yet."""

    name: str
    """`samples`, `profile` or `behaviors/<sequence>`, as messages call it."""
    uri: str
    rows: pl.LazyFrame
    schema: pl.Schema

    def column(self, name: str) -> str:
        """How messages name a column of this table."""
        return f"{self.name} ({self.uri}): column {name!r}"


def open_table(name: str, uri: str, address: StoreAddress) -> Table:
    """The table at `uri`. Raises `DataInvalid` where there is none, `ConfigInvalid` where it may not be read."""
    with reading(name, uri):
        try:
            return _opened(name, uri, uri, address)
        except FileNotFoundError:
            if not uri.startswith("s3://") or uri.endswith("/"):
                raise
            return _opened(name, uri, f"{uri}/", address)  # polars takes no S3 name for a folder that doesn't say so


def _opened(name: str, uri: str, location: str, address: StoreAddress) -> Table:
    partitions: dict[str, pl.DataType] = {}
    for _ in range(_MOST_PARTITION_LEVELS):
        rows = _scan(location, address, partitions)
        try:
            return Table(name, uri, rows, rows.collect_schema())
        except pl.exceptions.SchemaFieldNotFoundError as error:
            # polars wants all partition columns named or none; none would read `scenario=007` as the number 7.
            unnamed = _UNNAMED_PARTITION.search(str(error))
            if unnamed is None:
                raise
            partitions = {**partitions, unnamed[1]: pl.String()}
    raise DataInvalid(f"{name} ({uri}): more than {_MOST_PARTITION_LEVELS} levels of Hive partitions; use fewer")


def _scan(uri: str, address: StoreAddress, partitions: dict[str, pl.DataType]) -> pl.LazyFrame:
    parts = urlsplit(uri)
    local = parts.scheme == "file"
    if not local and address.ca_bundle_file:
        os.environ["SSL_CERT_FILE"] = address.ca_bundle_file  # polars' TLS takes its authorities from nowhere else
    in_environment = local or "AWS_ACCESS_KEY_ID" in os.environ
    return pl.scan_parquet(
        unquote(parts.path) if local else uri,
        hive_schema={SCENARIO: pl.String(), **partitions},
        hidden_file_prefix=["_", "."],
        extra_columns="ignore",
        glob=True,
        storage_options=None if local else storage_options(address),
        # Without a key pair, boto3's chain finds credentials (pod identity), as it does for the store.
        credential_provider=None if in_environment else "auto",
    )


def storage_options(address: StoreAddress) -> dict[str, str]:
    """polars' options for S3 at this address, with the environment's credentials where it has some."""
    options = {
        "aws_region": address.region,
        "aws_virtual_hosted_style_request": str(not address.path_style).lower(),
    }
    if address.endpoint:
        options["aws_endpoint_url"] = address.endpoint
        options["aws_allow_http"] = str(address.endpoint.startswith("http://")).lower()
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        value = os.environ.get(variable)
        if value:
            options[variable.lower()] = value
    return options


def _signs(text: str) -> str:
    """What an error's text says, in small letters. Where a server answered, its status and code alone say it: the rest
    of an answer has random identifiers, in which any number may stand."""
    lower = text.lower()
    status = _STATUS.search(lower)
    return lower if status is None else " ".join([status[1], *_CODE.findall(lower)])


@contextmanager
def reading(name: str, uri: str) -> Generator[None]:
    """Turn what polars raises while it reads this table into an error for the one who must act."""
    try:
        yield
    except (pl.exceptions.PolarsError, OSError) as error:
        text = str(error)
        short = text.partition("\n")[0][:300]
        where = f"{name} ({uri})"
        lower = _signs(text)
        if "certificate" in lower:
            raise ConfigInvalid(
                f"{where}: the server's certificate is not trusted; give its authority in storage.caBundle",
                reason="CertificateNotTrusted",
            ) from error
        if any(sign in lower for sign in _DENIED):
            raise ConfigInvalid(
                f"{where}: access denied ({short}); give the credentials leave to read it", reason="AccessDenied"
            ) from error
        if isinstance(error, FileNotFoundError) or any(sign in lower for sign in _MISSING):
            raise DataInvalid(
                f"{where}: no Parquet file there ({short}); write the table or correct the URI"
            ) from error
        if isinstance(error, OSError) or any(sign in lower for sign in _UNREACHABLE):
            raise Retryable(f"{where}: can't be read now ({short})", reason="TableUnreachable") from error
        raise DataInvalid(f"{where}: can't be read as a Parquet table ({short}); write it anew") from error
