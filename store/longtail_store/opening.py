"""From an address to a store."""

from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit

from longtail_api.run_config import StoreAddress
from longtail_store.credentials import Credentials, credentials_in_environment
from longtail_store.errors import InvalidAddress
from longtail_store.file_store import FileStore
from longtail_store.store import Store


def _open_file(address: StoreAddress, credentials: Credentials | None) -> Store:
    path = unquote(urlsplit(address.uri).path)
    if not path.startswith("/") or path == "/":
        raise InvalidAddress(f"{address.uri}: name a folder by its full path: file:///folder")
    return FileStore(Path(path))


def _open_s3(address: StoreAddress, credentials: Credentials | None) -> Store:
    # Here, so that a file:// store does without boto3's half second of imports.
    from longtail_store.s3_store import S3Store

    parts = urlsplit(address.uri)
    if not parts.netloc:
        raise InvalidAddress(f"{address.uri}: name a bucket: s3://bucket/prefix")
    return S3Store(
        parts.netloc,
        parts.path,
        endpoint=address.endpoint,
        region=address.region,
        path_style=address.path_style,
        ca_bundle_file=address.ca_bundle_file,
        credentials=credentials or credentials_in_environment(),
    )


_OPENERS: dict[str, Callable[[StoreAddress, Credentials | None], Store]] = {"file": _open_file, "s3": _open_s3}


def open_store(address: StoreAddress, credentials: Credentials | None = None) -> Store:
    """The store at `address`. Asks it nothing yet.

    Without `credentials`, those of the environment count, and then boto3's chain (pod identity). Raises
    `InvalidAddress`, and what `credentials_of` raises.
    """
    scheme = urlsplit(address.uri).scheme
    if scheme not in _OPENERS:
        raise InvalidAddress(f"{address.uri}: a store is s3://bucket/prefix or file:///folder")
    return _OPENERS[scheme](address, credentials)
