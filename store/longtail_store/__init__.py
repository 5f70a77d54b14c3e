"""The store: blobs with put-if-absent (S3, file), and the typed objects and the version chain on them.

`longtail_store.feedback` stands apart, since it needs safetensors, which serving does without.
"""

from longtail_store.attempt import AttemptExpired, in_time
from longtail_store.chain import Chain, Committed, Lost, file_sha256, new_nonce
from longtail_store.credentials import Credentials, credentials_in_environment, credentials_of
from longtail_store.errors import (
    AccessDenied,
    BucketMissing,
    Conflict,
    Corrupt,
    CredentialsInvalid,
    CredentialsMissing,
    InvalidAddress,
    InvalidKey,
    ObjectMissing,
    ObjectUnusable,
    SchemaVersionUnsupported,
    StoreError,
    StoreNotAtomic,
    StoreRefused,
    StoreUnreachable,
)
from longtail_store.foreign import ForeignFile, Place, open_place
from longtail_store.opening import open_store
from longtail_store.store import ObjectInfo, Store
from longtail_store.typed_objects import parse_object, read_object, write_object_if_absent

__all__ = [
    "AccessDenied",
    "AttemptExpired",
    "BucketMissing",
    "Chain",
    "Committed",
    "Conflict",
    "Corrupt",
    "Credentials",
    "CredentialsInvalid",
    "CredentialsMissing",
    "ForeignFile",
    "InvalidAddress",
    "InvalidKey",
    "Lost",
    "ObjectInfo",
    "ObjectMissing",
    "ObjectUnusable",
    "Place",
    "SchemaVersionUnsupported",
    "Store",
    "StoreError",
    "StoreNotAtomic",
    "StoreRefused",
    "StoreUnreachable",
    "credentials_in_environment",
    "credentials_of",
    "file_sha256",
    "in_time",
    "new_nonce",
    "open_place",
    "open_store",
    "parse_object",
    "read_object",
    "write_object_if_absent",
]
