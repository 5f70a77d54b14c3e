"""What it means that a request to an S3 server ended without an answer: by the types of what was raised, not by text.

botocore's texts hold what was sent, a signature among it; so nothing of them goes on from here.
"""

import socket
import ssl
from collections.abc import Iterator
from typing import Any, cast

from botocore import exceptions as raised
from urllib3.exceptions import NameResolutionError
from urllib3.util.ssl_match_hostname import CertificateError

from longtail_store.errors import (
    CertificateNotTrusted,
    ConnectionRefused,
    CredentialsMissing,
    HostNotResolved,
    InvalidAddress,
    NotS3,
    StoreFailed,
    StoreUnreachable,
    TlsMismatch,
)
from longtail_store.s3_answers import ELSEWHERE, Meaning

_EXPIRED, _NOT_YET, _OTHER_HOST, _OTHER_ADDRESS = 10, 9, 62, 64
"""OpenSSL: X509_V_ERR_CERT_HAS_EXPIRED, _CERT_NOT_YET_VALID, _HOSTNAME_MISMATCH, _IP_ADDRESS_MISMATCH."""
_NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNEXPECTED_EOF_WHILE_READING", "RECORD_LAYER_FAILURE"})

_AUTHORITY = "the server's certificate is of an authority that is not trusted; give its authority in caBundle"
_HOST = "the server's certificate is for another host; give the endpoint by a name that the certificate has"
_DATES = "the server's certificate is not in force at this machine's date; renew it, or set the clock"
_BUNDLE = "the certificates to trust can't be read; give PEM certificates in caBundle"
_PLAIN = "the server does not speak TLS on this port; give the endpoint as http://, or its TLS port"
_TLS = "no TLS connection came about; check the endpoint's scheme and port and the server's TLS settings"
_NAME = "no such host is known to the name service; check the endpoint's spelling, or wait for the name to be there"
_VIRTUAL = "; without pathStyle the bucket is a part of the host's name: set pathStyle: true where it has none"
_REFUSED = "nothing listens at this host and port; check the endpoint, or start the server"
_CLOSED = "the connection was closed before an answer came; where the server speaks TLS, give the endpoint as https://"
_LATE = "no answer in time"
_PROXY = "the proxy that the environment names (HTTPS_PROXY, HTTP_PROXY) can't be reached; mend or unset it"
_NO_KEYS = "there are no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the pod an identity"
_IDENTITY = "the pod's identity did not yield credentials"
_CUT = "the answer broke off"
_NAMES = "the bucket's or the region's name is none that S3 has; correct the address"
_UNFORESEEN = "asking the store ended in a way nobody foresaw"

_BY_TYPE: tuple[tuple[tuple[type[BaseException], ...], Meaning], ...] = (
    ((raised.ProxyConnectionError,), Meaning(StoreUnreachable, _PROXY)),
    ((raised.NoCredentialsError, raised.PartialCredentialsError), Meaning(CredentialsMissing, _NO_KEYS)),
    (
        (raised.ProfileNotFound, raised.ConfigParseError, raised.ConfigNotFound, raised.InvalidConfigError),
        Meaning(CredentialsMissing, "the environment's AWS profile or config can't be used; mend or unset AWS_PROFILE"),
    ),
    (
        (
            raised.CredentialRetrievalError, raised.MetadataRetrievalError, raised.TokenRetrievalError,
            raised.NoAuthTokenError, raised.SSOError,
        ),
        Meaning(StoreUnreachable, _IDENTITY),
    ),
    (
        (
            raised.ParamValidationError, raised.InvalidRegionError, raised.EndpointProviderError,
            raised.InvalidDNSNameError, raised.UnsupportedS3ArnError,
        ),
        Meaning(InvalidAddress, _NAMES),
    ),
    ((raised.ConnectTimeoutError, raised.ReadTimeoutError), Meaning(StoreUnreachable, _LATE)),
    ((CertificateError,), Meaning(CertificateNotTrusted, _HOST)),
    ((NameResolutionError, socket.gaierror), Meaning(HostNotResolved, _NAME)),
    ((ConnectionRefusedError,), Meaning(ConnectionRefused, _REFUSED)),
    ((raised.ConnectionClosedError,), Meaning(StoreUnreachable, _CLOSED)),
    ((raised.ResponseStreamingError, raised.IncompleteReadError), Meaning(StoreUnreachable, _CUT)),
    ((raised.ConnectionError, raised.HTTPClientError, OSError), Meaning(StoreUnreachable, "no connection")),
)  # fmt: skip


class NoS3Answer(Exception):
    """A success whose body is not S3's: a web page where an object, a listing or nothing should be."""


def failure(error: Exception, virtual_host: bool = False) -> Meaning:
    """What an exception of botocore, or below it, means. `virtual_host`: the bucket is in the host's name."""
    if isinstance(error, NoS3Answer):
        return Meaning(NotS3, ELSEWHERE)
    causes = list(_causes(error))
    tls = _of_tls(causes) if isinstance(error, raised.SSLError) else None
    if tls is not None:
        return tls
    for types, meaning in _BY_TYPE:
        found = next((cause for cause in causes if isinstance(cause, types)), None)
        if found is not None:
            hint = _VIRTUAL if virtual_host and meaning.error is HostNotResolved else ""
            return Meaning(meaning.error, f"{meaning.words}{hint} ({type(found).__name__})")
    return Meaning(StoreFailed, f"{_UNFORESEEN} ({type(error).__name__})")


def _of_tls(causes: list[BaseException]) -> Meaning | None:
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            code = cause.verify_code
            words = _HOST if code in (_OTHER_HOST, _OTHER_ADDRESS) else _AUTHORITY
            return Meaning(CertificateNotTrusted, _DATES if code in (_EXPIRED, _NOT_YET) else words)
        if isinstance(cause, CertificateError):
            return Meaning(CertificateNotTrusted, _HOST)
        if isinstance(cause, FileNotFoundError | IsADirectoryError | PermissionError):
            return Meaning(CertificateNotTrusted, _BUNDLE)
    for cause in causes:
        # A library's own SSLError has no reason; the one of the standard library says what OpenSSL met.
        if isinstance(cause, ssl.SSLError):
            if cause.library in ("X509", "PEM") or not cause.reason:
                return Meaning(CertificateNotTrusted, _BUNDLE)
            return Meaning(TlsMismatch, _PLAIN if cause.reason in _NO_TLS else _TLS)
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The exception and all that it came of, each once, outermost first."""
    waiting: list[Any] = [error]
    seen: set[int] = set()
    while waiting:
        cause = waiting.pop(0)
        if not isinstance(cause, BaseException) or id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        # botocore keeps what it wraps among the words of its message, urllib3 as the reason.
        wrapped = getattr(cause, "kwargs", None)
        kept = cast(dict[str, Any], wrapped).get("error") if isinstance(wrapped, dict) else None
        waiting += [kept, getattr(cause, "reason", None), cause.__cause__, cause.__context__]
