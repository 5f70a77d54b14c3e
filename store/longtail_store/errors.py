"""What can go wrong with the store, split by who must act."""


class StoreError(Exception):
    """The root. The message names the store and the key."""


class StoreUnreachable(StoreError):
    """The platform: the store did not answer, or not in time. What was asked for may have happened or not; retry."""


class StoreRefused(StoreError):
    """The user: the address or the credentials are wrong. Retrying changes nothing."""


class InvalidAddress(StoreRefused):
    """The address is none that a store could have."""


class AccessDenied(StoreRefused):
    """Credentials are missing, wrong, or do not allow this."""


class BucketMissing(StoreRefused):
    """The bucket (or, for file://, the folder's parent) is not there."""


class ObjectMissing(StoreError):
    """There is no object under this key."""


class Conflict(StoreError):
    """Another object already stands under a key that has one rightful content."""


class ObjectUnusable(StoreError):
    """The object is there but can't be used: for the run that needs it, permanent."""


class Corrupt(ObjectUnusable):
    """The object is not what its kind or its hash says."""


class SchemaVersionUnsupported(ObjectUnusable):
    """The object was written by a newer Longtail, or by one more than one schema version older."""


class InvalidKey(StoreError):
    """A bug of ours: the key is none that `longtail_api.store_layout` makes."""
