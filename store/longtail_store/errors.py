"""What can go wrong with the store, split by who must act."""

from longtail_api.store_objects import RejectionReason


class StoreError(Exception):
    """The root. The message names the store and the key."""


class StoreUnreachable(StoreError):
    """The platform: the store did not answer, or not in time. What was asked for may have happened or not; retry."""


class HostNotResolved(StoreUnreachable):
    """The name service knows no such host: a misspelt endpoint, or a name service that is not up yet."""


class ConnectionRefused(StoreUnreachable):
    """The host is there, and nothing listens on this port."""


class StoreFailed(StoreUnreachable):
    """Asking the store ended in a way nobody foresaw."""


class StoreRefused(StoreError):
    """The user: the address, the credentials or the store itself must be mended. Retrying changes nothing.

    The name of each class below is the reason that a condition or a termination message gives.
    """


class InvalidAddress(StoreRefused):
    """The address is none that a store could have."""


class CredentialsMissing(StoreRefused):
    """There are no credentials, or only half of them."""


class AccessDenied(StoreRefused):
    """The credentials do not allow this."""


class CredentialsInvalid(AccessDenied):
    """The credentials can't be right: an unknown or expired key, another key's secret, or no text of a key at all."""


class AccountSuspended(AccessDenied):
    """The store's operator has closed the account: not signed up, suspended, not paid."""


class ClockSkewed(StoreRefused):
    """The clocks of the machine and the server are too far apart for a signature to hold."""


class BucketMissing(StoreRefused):
    """The bucket (or, for file://, the folder's parent) is not there."""


class WrongRegion(StoreRefused):
    """The bucket is in another region than the one the request was signed for."""


class EndpointRedirects(StoreRefused):
    """The endpoint sends the client elsewhere, as an ingress does that wants https."""


class NotS3(StoreRefused):
    """What answers at the address is no S3 server: a console, an ingress' default backend, a login page."""


class CertificateNotTrusted(StoreRefused):
    """The server's certificate is not one to trust: unknown authority, another host's, expired."""


class TlsMismatch(StoreRefused):
    """One side speaks TLS and the other does not."""


class StoreNotAtomic(StoreRefused):
    """The store has no conditional writes, without which racing writers could both win."""


class EncryptionRefused(StoreRefused):
    """The encryption that the bucket asks for is not there, or may not be used."""


class ObjectLocked(StoreRefused):
    """A retention or a legal hold keeps the object as it is."""


class QuotaExceeded(StoreRefused):
    """The bucket, the account or the server has no room left."""


class RequestRefused(StoreRefused):
    """The server understands the request and will not carry it out, now or later."""


class ObjectMissing(StoreError):
    """There is no object under this key."""


class Conflict(StoreError):
    """Another object already stands under a key that has one rightful content."""


class ObjectUnusable(StoreError):
    """The object is there but can't be used: for the run that needs it, permanent."""


class FeedbackUnusable(ObjectUnusable):
    """The feedback can never be folded; `reason` is what its rejection will say."""

    def __init__(self, reason: RejectionReason, message: str) -> None:
        super().__init__(message)
        self.reason: RejectionReason = reason


class Corrupt(ObjectUnusable):
    """The object is not what its kind or its hash says."""


class SchemaVersionUnsupported(ObjectUnusable):
    """The object was written by a newer Longtail, or by one more than one schema version older."""


class InvalidKey(StoreError):
    """A bug of ours: the key is none that `longtail_api.store_layout` makes."""
