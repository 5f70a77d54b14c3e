"""The S3 client of every package, and how long it waits: operator, folding, trainer and server have no other."""

from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.loaders import Loader, create_loader

from longtail_store.credentials import Credentials

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

CONNECT_SECONDS = 5
"""For a connection."""
READ_SECONDS = 30
"""For the next bytes of an answer; a server that has taken gigabytes may need some before its first."""
ATTEMPTS = 4
"""At a request that was not answered, or by an error that may pass; pauses of at most 1, 2 and 4 s lie between."""
LONGEST_SECONDS = ATTEMPTS * (CONNECT_SECONDS + READ_SECONDS) + 2 ** (ATTEMPTS - 1) - 1
"""So long a request that nobody answers takes in all.

A put takes as long and `CONFLICT_SECONDS` at most, which is below half of the shortest retention of orphans: no
attempt's last write arrives after its checkpoint was removed.
"""


def s3_client(
    endpoint: str | None, region: str, path_style: bool, ca_bundle_file: str | None, credentials: Credentials | None
) -> "S3Client":
    """A client; without `credentials`, boto3 looks for some. Raises `ValueError`, `OSError` and boto3's own."""
    keys: dict[str, Any] = (
        {}
        if credentials is None
        else {
            "aws_access_key_id": credentials.access_key_id,
            "aws_secret_access_key": credentials.secret_access_key,
            "aws_session_token": credentials.session_token,
        }
    )
    config = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        max_pool_connections=32,
        s3={"addressing_style": "path" if path_style else "virtual"},
        # Content is verified by our own SHA-256; not every S3 server knows the newer checksum headers.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        user_agent_extra="longtail",
    )
    return _session().client(
        "s3", endpoint_url=endpoint, region_name=region, verify=ca_bundle_file, config=config, **keys
    )


@cache
def _descriptions() -> Loader:
    """botocore's descriptions of services, read once: each copy takes twelve mebibytes."""
    return create_loader()


def _session() -> boto3.session.Session:
    """A session of its own: one that is shared is not safe to make clients from in several threads."""
    core = botocore.session.get_session()
    core.register_component("data_loader", _descriptions())
    return boto3.session.Session(botocore_session=core)
