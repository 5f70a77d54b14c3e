"""An S3 bucket and prefix as a store, with conditional writes (`IfNoneMatch: *`)."""

import random
import secrets
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    IncompleteReadError,
    ReadTimeoutError,
    ResponseStreamingError,
)
from botocore.parsers import ResponseParserError

from longtail_store.credentials import Credentials
from longtail_store.errors import (
    BucketMissing,
    InvalidAddress,
    ObjectMissing,
    RequestRefused,
    StoreError,
    StoreUnreachable,
)
from longtail_store.s3_answers import Answer, Meaning, is_listing, is_page, meaning
from longtail_store.s3_client import s3_client
from longtail_store.s3_failures import NoS3Answer, failure
from longtail_store.store import ObjectInfo, checked_key

if TYPE_CHECKING:
    from types_boto3_s3.type_defs import GetObjectOutputTypeDef, ObjectIdentifierTypeDef

CONFLICT_SECONDS = 30.0
"""So long a put meets the conflicting writes of others before it gives up."""
_READS = 3
"""Attempts at an object whose body breaks off, which botocore does not try again. Nothing is written meanwhile."""
_BROKEN_OFF = (ResponseStreamingError, IncompleteReadError, ReadTimeoutError)
_CHUNK = 1 << 20
_DELETED_AT_ONCE = 1000
"""What a DeleteObjects request takes at most (Amazon S3 API reference)."""
_CONTENT_TYPES = {".svg": "image/svg+xml", ".json": "application/json"}

Read = TypeVar("Read")


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
        self._at = f" at {endpoint}" if endpoint else ""
        self._virtual_host = not path_style
        self.prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        try:
            self._client = s3_client(endpoint, region, path_style, ca_bundle_file, credentials)
        except (ValueError, OSError, BotoCoreError) as error:
            raise InvalidAddress(
                f"{self!r}{self._at}: no client can be made for endpoint, region {region!r} and certificates "
                f"({type(error).__name__}); correct them"
            ) from None
        events = self._client.meta.events
        events.register("before-call.s3.HeadBucket", _asked_only_once)
        events.register("response-received.s3", _refuse_what_is_not_s3)

    def __repr__(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}"

    def get(self, key: str) -> bytes:
        return self._read(key, lambda answer: answer["Body"].read())

    def download(self, key: str, path: Path) -> None:
        draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")

        def write(answer: "GetObjectOutputTypeDef") -> None:
            with draft.open("wb") as file:
                for chunk in answer["Body"].iter_chunks(_CHUNK):
                    file.write(chunk)

        try:
            self._read(key, write)
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
                told = self._translated(key, error, conditional=True)
                # 409: another conditional write of this key was under way. Who won shows on asking again.
                if status != 409 or not isinstance(told, StoreUnreachable):
                    raise told from None
                if time.monotonic() - started > CONFLICT_SECONDS:
                    raise StoreUnreachable(
                        f"{self!r}: {key}: conflicting writes (409) for {CONFLICT_SECONDS:.0f} s"
                    ) from None
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
                if "IsTruncated" not in page:
                    raise NoS3Answer
                for found in page.get("Contents", []):
                    if "Key" in found and "Size" in found and "LastModified" in found:
                        yield ObjectInfo(
                            found["Key"].removeprefix(self.prefix),
                            found["Size"],
                            found["LastModified"].astimezone(UTC),
                        )

    def delete(self, *keys: str) -> None:
        for start in range(0, len(keys), _DELETED_AT_ONCE):
            for key in self._left_over(keys[start : start + _DELETED_AT_ONCE]):
                with self._errors(key):
                    self._client.delete_object(Bucket=self.bucket, Key=self._key(key))

    def size(self, key: str) -> int:
        """Bytes of an object, under whatever key. Raises `ObjectMissing`."""
        with self._errors(key):
            return self._client.head_object(Bucket=self.bucket, Key=self.prefix + key)["ContentLength"]

    def read_range(self, key: str, start: int, stop: int) -> bytes:
        """Bytes [start, stop) of an object, under whatever key; asked for again where the answer breaks off."""

        def taken(answer: "GetObjectOutputTypeDef") -> bytes:
            content = answer["Body"].read()
            # A server that knows no ranges answers 200, with the whole object.
            return content[start:stop] if answer["ResponseMetadata"]["HTTPStatusCode"] == 200 else content

        return self._read(key, taken, name=self.prefix + key, Range=f"bytes={start}-{stop - 1}")

    def now(self) -> datetime:
        with self._errors("now"):
            answer = self._client.list_objects_v2(Bucket=self.bucket, Prefix=self.prefix, MaxKeys=1)
            try:
                return parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"]).astimezone(UTC)
            except (KeyError, ValueError):
                raise NoS3Answer from None

    def _key(self, key: str) -> str:
        return self.prefix + checked_key(key)

    def _left_over(self, keys: Sequence[str]) -> Sequence[str]:
        """Delete the objects by one request. Those that it left: deleted by itself, each says what is wrong with it."""
        if len(keys) == 1:
            return keys
        objects: list[ObjectIdentifierTypeDef] = [{"Key": self._key(key)} for key in keys]
        try:
            with self._errors(keys[0]):
                answer = self._client.delete_objects(Bucket=self.bucket, Delete={"Objects": objects, "Quiet": True})
        except RequestRefused:  # not every server knows this request
            return keys
        return [failed["Key"].removeprefix(self.prefix) for failed in answer.get("Errors", []) if "Key" in failed]

    def _read(
        self, key: str, take: Callable[["GetObjectOutputTypeDef"], Read], name: str | None = None, **part: str
    ) -> Read:
        """What `take` makes of an object, or of a part of it; asked for again where the answer breaks off.

        name: in the bucket, where `key` is none of the store's own.
        """
        place: dict[str, Any] = {"Bucket": self.bucket, "Key": self._key(key) if name is None else name, **part}
        with self._errors(key):
            for _ in range(_READS - 1):
                try:
                    return take(self._client.get_object(**place))
                except _BROKEN_OFF:
                    continue
            return take(self._client.get_object(**place))

    def _put(self, key: str, data: bytes | Path, **condition: Any) -> None:
        """One PUT; botocore retries what may pass, rewinding the file. All errors but a `ClientError` are ours."""
        place = {"Bucket": self.bucket, "Key": self._key(key), "ContentType": content_type(key)}
        try:
            if isinstance(data, Path):
                with data.open("rb") as file:
                    self._client.put_object(**place, Body=file, **condition)
            else:
                self._client.put_object(**place, Body=data, **condition)
        except ClientError:
            raise
        except Exception as error:
            raise self._translated(key, error) from None

    @contextmanager
    def _errors(self, key: str) -> Generator[None]:
        """Raise ours in place of botocore's. Not from them: a log would print their text, which holds what was sent."""
        try:
            yield
        except Exception as error:
            raise self._translated(key, error) from None

    def _translated(self, key: str, error: Exception, conditional: bool = False) -> Exception:
        """Our error for it. What is ours already, and what this machine's disk says, stays as it is."""
        ours = isinstance(error, StoreError)
        of_this_machine = isinstance(error, OSError) and not isinstance(error, BotoCoreError)
        if ours or of_this_machine:
            return error
        said = meaning(_answer(error, conditional)) if isinstance(error, ClientError) else self._failure(error)
        if said.error is ObjectMissing:
            return ObjectMissing(f"{self!r}: there is no {key}")
        if said.error is BucketMissing:
            return BucketMissing(f"{self!r}{self._at}: there is no bucket {self.bucket!r}; create it")
        return said.error(f"{self!r}{self._at}: {key}: {said.words}")

    def _failure(self, error: Exception) -> Meaning:
        if isinstance(error, ResponseParserError):
            return Meaning(StoreUnreachable, "the answer broke off, or is no XML of S3")
        return failure(error, virtual_host=self._virtual_host)


def _asked_only_once(params: dict[str, Any], **_: Any) -> None:
    """On any redirect botocore asks HEAD of the bucket for its region, and again on that one's redirect, for ever."""
    params["context"].setdefault("s3_redirect", {})["redirected"] = True


def _refuse_what_is_not_s3(event_name: str, response_dict: dict[str, Any] | None, **_: Any) -> None:
    """A success that comes as a web page, or a listing that is no XML: botocore would take it for an empty answer.

    Or for an error 500, and ask again; so it is looked at before that is decided.
    """
    if response_dict is None or response_dict["status_code"] >= 300:
        return
    kind = str(response_dict["headers"].get("content-type") or "")
    listing = event_name.startswith("response-received.s3.List")
    if is_page(kind) or (listing and not is_listing(kind)):
        raise NoS3Answer


def _answer(error: ClientError, conditional: bool) -> Answer:
    metadata: dict[str, Any] = {**error.response.get("ResponseMetadata", {})}
    headers: dict[str, str] = metadata.get("HTTPHeaders", {})
    return Answer(
        operation=error.operation_name,
        status=_status(error),
        code=error.response.get("Error", {}).get("Code", ""),
        content_type=headers.get("content-type", ""),
        conditional=conditional,
        region=headers.get("x-amz-bucket-region", ""),
    )


def content_type(key: str) -> str:
    """By the key's suffix: what a browser needs to show a picture or a report instead of saving it."""
    return _CONTENT_TYPES.get(PurePosixPath(key).suffix, "application/octet-stream")


def _status(error: ClientError) -> int:
    return error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
