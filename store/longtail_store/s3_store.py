"""An S3 bucket and prefix as a store, with conditional writes (`IfNoneMatch: *`)."""

import random
import secrets
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError

from longtail_store.errors import (
    AccessDenied,
    BucketMissing,
    InvalidAddress,
    ObjectMissing,
    StoreError,
    StoreUnreachable,
)
from longtail_store.store import Credentials, ObjectInfo, checked_key

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

# One call takes at most some 265 s (4 × 65 and back-off), and a put that meets 409s another 30: below half of the
# shortest retention of orphans (600 s), so that no attempt's last write arrives after its checkpoint was removed.
_CONFIG = Config(
    connect_timeout=5,
    read_timeout=60,
    retries={"mode": "standard", "total_max_attempts": 4},
    max_pool_connections=32,
    # Content is verified by our own SHA-256; not every S3 server knows the newer checksum headers.
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
    user_agent_extra="longtail",
)
_CONFLICT_SECONDS = 30.0
_CHUNK = 1 << 20
_CONTENT_TYPES = {".svg": "image/svg+xml", ".json": "application/json"}


class S3Store:
    """Objects below `prefix` of `bucket`."""

    def __init__(
        self,
        bucket: str,
        prefix: str,
        *,
        endpoint: str | None,
        region: str,
        path_style: bool,
        ca_bundle_file: str | None,
        credentials: Credentials | None,
    ) -> None:
        self.bucket = bucket
        self.prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        keys: dict[str, Any] = (
            {}
            if credentials is None
            else {
                "aws_access_key_id": credentials.access_key_id,
                "aws_secret_access_key": credentials.secret_access_key,
                "aws_session_token": credentials.session_token,
            }
        )
        try:
            # A session of its own: boto3's default session is not safe to make clients from in several threads.
            self._client: S3Client = boto3.session.Session().client(
                "s3",
                endpoint_url=endpoint,
                region_name=region,
                verify=ca_bundle_file,
                config=_CONFIG.merge(Config(s3={"addressing_style": "path" if path_style else "virtual"})),
                **keys,
            )
        except (ValueError, OSError, BotoCoreError) as error:
            raise InvalidAddress(f"s3://{bucket}/{prefix} at {endpoint}: {error}") from error

    def __repr__(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}"

    def get(self, key: str) -> bytes:
        with self._errors(key):
            return self._client.get_object(Bucket=self.bucket, Key=self._key(key))["Body"].read()

    def download(self, key: str, path: Path) -> None:
        draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        try:
            with self._errors(key):
                body = self._client.get_object(Bucket=self.bucket, Key=self._key(key))["Body"]
                with draft.open("wb") as file:
                    for chunk in body.iter_chunks(_CHUNK):
                        file.write(chunk)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)

    def put_if_absent(self, key: str, data: bytes | Path) -> bool:
        started = time.monotonic()
        pause = 0.05
        while True:
            try:
                self._put(key, data, IfNoneMatch="*")
                return True
            except ClientError as error:
                status = _status(error)
                if status == 412:
                    return False
                # 409: another conditional write of this key was under way. Who won shows on asking again.
                if status != 409:
                    raise self._translated(key, error) from error
                if time.monotonic() - started > _CONFLICT_SECONDS:
                    raise StoreUnreachable(
                        f"{self!r}: {key}: conflicting writes (409) for {_CONFLICT_SECONDS:.0f} s"
                    ) from error
            time.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(2 * pause, 2.0)

    def put_advisory(self, key: str, data: bytes | Path) -> None:
        with self._errors(key):
            self._put(key, data)

    def exists(self, key: str) -> bool:
        try:
            with self._errors(key):
                self._client.head_object(Bucket=self.bucket, Key=self._key(key))
        except ObjectMissing:
            return False
        return True

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        with self._errors(prefix):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=self.prefix + prefix
            )
            for page in pages:
                for found in page.get("Contents", []):
                    if "Key" in found and "Size" in found and "LastModified" in found:
                        yield ObjectInfo(
                            found["Key"].removeprefix(self.prefix),
                            found["Size"],
                            found["LastModified"].astimezone(UTC),
                        )

    def delete(self, key: str) -> None:
        with self._errors(key):
            self._client.delete_object(Bucket=self.bucket, Key=self._key(key))

    def now(self) -> datetime:
        with self._errors("now"):
            answer = self._client.list_objects_v2(Bucket=self.bucket, Prefix=self.prefix, MaxKeys=1)
        return parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"]).astimezone(UTC)

    def _key(self, key: str) -> str:
        return self.prefix + checked_key(key)

    def _put(self, key: str, data: bytes | Path, **condition: Any) -> None:
        """One PUT; botocore retries what may pass, rewinding the file. Errors other than 4xx are translated."""
        place = {"Bucket": self.bucket, "Key": self._key(key), "ContentType": content_type(key)}
        try:
            if isinstance(data, Path):
                with data.open("rb") as file:
                    self._client.put_object(**place, Body=file, **condition)
            else:
                self._client.put_object(**place, Body=data, **condition)
        except BotoCoreError as error:
            raise self._translated(key, error) from error

    @contextmanager
    def _errors(self, key: str) -> Generator[None]:
        try:
            yield
        except (ClientError, BotoCoreError) as error:
            raise self._translated(key, error) from error

    def _translated(self, key: str, error: ClientError | BotoCoreError) -> StoreError:
        if isinstance(error, NoCredentialsError | PartialCredentialsError):
            return AccessDenied(f"{self!r}: {error}; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
        if not isinstance(error, ClientError):
            return StoreUnreachable(f"{self!r}: {key}: {error}")
        code = error.response.get("Error", {}).get("Code", "")
        status = _status(error)
        if code == "NoSuchBucket":
            return BucketMissing(f"{self!r}: there is no bucket {self.bucket!r}; create it")
        if status == 404:
            return ObjectMissing(f"{self!r}: there is no {key}")
        if status in (401, 403):
            return AccessDenied(f"{self!r}: {key}: {code}; check the credentials and what they allow")
        return StoreUnreachable(f"{self!r}: {key}: {error}")


def content_type(key: str) -> str:
    """By the key's suffix: what a browser needs to show a picture or a report instead of saving it."""
    return _CONTENT_TYPES.get(PurePosixPath(key).suffix, "application/octet-stream")


def _status(error: ClientError) -> int:
    return error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
