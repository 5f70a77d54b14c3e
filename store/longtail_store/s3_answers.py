"""What each answer of an S3 server means, and whose it is to mend: one table, by status, code and content type.

Nothing of an answer's text goes on from here. Servers repeat what they were sent, a signature or a key among it, so a
message is made of the status, a code that is known to be one, and our own words. Codes: Amazon S3 API reference,
"Error responses"; those with another prefix are the extensions of MinIO (XMinio), Ceph, Alibaba OSS and Backblaze B2.
"""

import re
from dataclasses import dataclass

from longtail_store.errors import (
    AccessDenied,
    AccountSuspended,
    BucketMissing,
    ClockSkewed,
    CredentialsInvalid,
    EncryptionRefused,
    EndpointRedirects,
    InvalidAddress,
    NotS3,
    ObjectLocked,
    ObjectMissing,
    QuotaExceeded,
    RequestRefused,
    StoreError,
    StoreNotAtomic,
    StoreUnreachable,
    WrongRegion,
)


@dataclass(frozen=True)
class Answer:
    """An HTTP answer that is none of success, as far as its meaning rests on it."""

    operation: str
    """As botocore names it: `GetObject`."""
    status: int
    code: str = ""
    """What stands in `<Code>`; where the body is not S3's, botocore gives the status again."""
    content_type: str = ""
    conditional: bool = False
    """Whether the request was a write on the condition that nothing stands there yet."""
    region: str = ""
    """The bucket's region, where the server tells it."""


@dataclass(frozen=True)
class Meaning:
    """The class of our error, and what is wrong and what to do, in words of ours alone."""

    error: type[StoreError]
    words: str


PASSING_STATUSES = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 509, 520, 521, 522, 523, 524, 529})
"""The server, or a proxy before it, is busy or away. 409: another write of the same key was under way."""

_KEY = "the server does not know this access key; give the right one, of this server and in force"
_SIGNATURE = "the secret access key does not belong to the access key; give both of the same key pair"
_EXPIRED = "the credentials have expired; renew them"
_TOKEN = "the session token is not of this key, or no longer in force; renew it, or remove AWS_SESSION_TOKEN"
_DENIED = "access denied; check the credentials and what they and the bucket's policy allow"
_SUSPENDED = "the account is closed or not signed up for this; ask whoever runs the store"
_CLOCK = "the clocks of this machine and of the server are more than some minutes apart; set both by NTP"
_BUCKET = "there is no such bucket; create it, or correct the address"
_REGION = "the bucket is in another region; set region (and, on AWS, no endpoint) to where the bucket is"
_REDIRECT = (
    "the endpoint redirects to another address, as an ingress does that turns http:// into https://; give the address "
    "at which the S3 server itself answers"
)
_PAGE = (
    "the address answers with a web page, not S3: is it a console, a login page or an ingress' default backend? "
    "Give the endpoint of the S3 interface, with its port"
)
ELSEWHERE = "what answers there is not S3; give the endpoint of the S3 interface, with its port"
_NOT_ATOMIC = (
    "the server does not implement conditional writes (If-None-Match: *); use a store that does, or update the server"
)
_ENCRYPTION = "the bucket's encryption can't be used; check its key and the credentials' leave to use it"
_LOCKED = "a retention or legal hold keeps the object; use a bucket without object lock"
_FULL = "no room is left (quota, cap or disk); make room, or raise the quota"
_BAD_NAME = "the server takes this for no name of a bucket or key; correct the address"
_PASSING = "the server does not answer well now"
_REFUSED = "the server refuses the request, and will again; check bucket, region and what the server supports"

_BY_CODE: dict[str, Meaning] = {
    code: Meaning(error, words)
    for error, words, codes in (
        (CredentialsInvalid, _KEY, "InvalidAccessKeyId"),
        (CredentialsInvalid, _SIGNATURE, "SignatureDoesNotMatch"),
        (CredentialsInvalid, _EXPIRED, "ExpiredToken TokenRefreshRequired SecurityTokenExpired"),
        (CredentialsInvalid, _TOKEN, "InvalidToken InvalidSecurity InvalidSecurityToken InvalidClientTokenId"),
        (AccessDenied, _DENIED, "AccessDenied AccessForbidden UnauthorizedAccess"),
        (
            AccountSuspended, _SUSPENDED,
            "AccountProblem AllAccessDisabled NotSignedUp UserSuspended UserDisable",
        ),
        (ClockSkewed, _CLOCK, "RequestTimeTooSkewed RequestExpired"),
        (BucketMissing, _BUCKET, "NoSuchBucket"),
        (
            WrongRegion, _REGION,
            "PermanentRedirect TemporaryRedirect Redirect AuthorizationHeaderMalformed IncorrectEndpoint InvalidRegion "
            "IllegalLocationConstraintException InvalidLocationConstraint",
        ),
        (ObjectMissing, "there is no such object", "NoSuchKey NoSuchVersion"),
        (
            EncryptionRefused, _ENCRYPTION,
            "KMS.DisabledException KMS.NotFoundException KMS.KMSInvalidStateException KMS.InvalidKeyUsageException "
            "KMS.AccessDeniedException InvalidEncryptionAlgorithmError ServerSideEncryptionConfigurationNotFoundError",
        ),
        (
            ObjectLocked, _LOCKED,
            "ObjectLocked FileImmutable InvalidRetentionPeriod ObjectLockConfigurationNotFoundError",
        ),
        (
            QuotaExceeded, _FULL,
            "QuotaExceeded XMinioAdminBucketQuotaExceeded XMinioStorageFull InsufficientStorage",
        ),
        (
            InvalidAddress, _BAD_NAME,
            "InvalidBucketName InvalidObjectName KeyTooLongError InvalidURI XMinioInvalidObjectName",
        ),
        (
            StoreUnreachable, _PASSING,
            "SlowDown SlowDownRead SlowDownWrite ServiceUnavailable InternalError RequestTimeout OperationAborted Busy "
            "ConditionalRequestConflict TooManyRequests Throttling RequestLimitExceeded BandwidthLimitExceeded "
            "BadDigest IncompleteBody XAmzContentSHA256Mismatch XMinioServerNotInitialized",
        ),
    )
    for code in codes.split()
}  # fmt: skip

_UNCONDITIONAL = frozenset({"NotImplemented", "InvalidArgument", "UnsupportedArgument"})
"""What servers say of a condition that they do not know."""
_LIKE_A_CODE = re.compile(r"([A-Z][a-z]+){1,6}")
"""A code that the table lacks is shown where it could be nothing else: words in CamelCase, no digit, no symbol."""


def meaning(answer: Answer) -> Meaning:
    """What the answer means. The code counts before the status, and both before what the body looks like."""
    if answer.conditional and (answer.status == 501 or (answer.status == 400 and answer.code in _UNCONDITIONAL)):
        return _said(answer, Meaning(StoreNotAtomic, _NOT_ATOMIC))
    known = _BY_CODE.get(answer.code)
    if known is not None:
        return _said(answer, known)
    return _said(answer, _by_status(answer))


def _by_status(answer: Answer) -> Meaning:
    status = answer.status
    if 300 <= status < 400:
        return Meaning(WrongRegion, _REGION) if answer.region else Meaning(EndpointRedirects, _REDIRECT)
    if status in PASSING_STATUSES:
        page = "; a web page comes in its place, so perhaps a proxy is up and the server is not"
        return Meaning(StoreUnreachable, _PASSING + (page if is_page(answer.content_type) else ""))
    if status == 507:
        return Meaning(QuotaExceeded, _FULL)
    if is_page(answer.content_type):
        return Meaning(NotS3, _PAGE)
    if status == 404:
        # Only the answer to HEAD has no body; an S3 server says in any other what it is that is missing.
        bare = answer.operation.startswith("Head") and not answer.content_type.startswith("text/plain")
        return Meaning(ObjectMissing, "there is no such object") if bare else Meaning(NotS3, ELSEWHERE)
    if status in (401, 403):
        return Meaning(AccessDenied, _DENIED)
    if status == 423:
        return Meaning(ObjectLocked, _LOCKED)
    if status >= 500 and status not in (501, 505):
        return Meaning(StoreUnreachable, _PASSING)
    if status < 300:
        return Meaning(NotS3, ELSEWHERE)
    return Meaning(RequestRefused, _REFUSED)


def is_page(content_type: str) -> bool:
    """Whether this is what browsers are sent. No object of ours has such a type."""
    return content_type.partition(";")[0].strip().lower() in ("text/html", "application/xhtml+xml")


def is_listing(content_type: str) -> bool:
    """Whether a body of this type may be S3's XML; servers that give no type are believed."""
    kind = content_type.partition(";")[0].strip().lower()
    return not kind or kind.endswith("/xml") or kind in ("application/octet-stream", "binary/octet-stream")


def _said(answer: Answer, meaning: Meaning) -> Meaning:
    shown = answer.code if answer.code in _BY_CODE or answer.code in _UNCONDITIONAL else ""
    if not shown and _LIKE_A_CODE.fullmatch(answer.code):
        shown = answer.code
    return Meaning(meaning.error, f"{meaning.words} ({answer.status}{' ' if shown else ''}{shown})")
