"""From an address to a store."""

from pathlib import Path

from longtail_api.addresses import StoreUri
from longtail_api.run_config import StoreAddress
from longtail_store.credentials import Credentials, credentials_in_environment
from longtail_store.errors import InvalidAddress
from longtail_store.file_store import FileStore
from longtail_store.store import Store


def open_store(address: StoreAddress, credentials: Credentials | None = None) -> Store:
    """The store at `address`. Asks it nothing yet.

    Without `credentials`, those of the environment count, and then boto3's chain (pod identity). Raises
    `InvalidAddress`, and what `credentials_of` raises.
    """
    try:
        place = StoreUri.parse(address.uri)
    except ValueError as error:
        # Not repeated in the message: what was written as user and password is in it.
        raise InvalidAddress(f"the store's uri {error}") from None
    if not place.is_s3:
        return FileStore(Path(place.path))
    # Here, so that a file:// store does without boto3's half second of imports.
    from longtail_store.s3_store import S3Store

    return S3Store(
        place.bucket,
        place.prefix,
        endpoint=address.endpoint,
        region=address.region,
        path_style=address.path_style,
        ca_bundle_file=address.ca_bundle_file,
        credentials=credentials or credentials_in_environment(),
    )
