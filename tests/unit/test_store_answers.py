"""Each answer of an S3 server, and each way to get none, is told by name to whoever must act; and no key is in it."""

import socket
import ssl
import subprocess
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import pytest

from longtail_api.run_config import StoreAddress
from longtail_store import Credentials, ObjectMissing, Store, StoreError, StoreRefused, StoreUnreachable, open_store
from longtail_store import errors as e
from longtail_store.probe import race_conditional_puts
from tests.store.scripted_s3 import HTML, Answering, Reply, Request, ScriptedS3, echo, error, page, scripted_s3

CANARIES = Credentials("CANARYACCESSKEY", "canary/Secret+Key", "CanarySessionToken")
ASKING: dict[str, Callable[[Store], object]] = {
    "get": lambda store: store.get("a"),
    "exists": lambda store: store.exists("a"),
    "list": lambda store: list(store.list("")),
    "put": lambda store: store.put_if_absent("a", b"1"),
    "overwrite": lambda store: store.put_advisory("a", b"1"),
    "delete": lambda store: store.delete("a"),
    "delete many": lambda store: store.delete("a", "b"),
    "now": lambda store: store.now(),
}
WITH_A_BODY = [name for name in ASKING if name != "exists"]


pytestmark = pytest.mark.usefixtures("without_pauses")


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedS3]:
    with scripted_s3() as server:
        yield server


Told = Callable[[Answering, str], StoreError]


@pytest.fixture(scope="module")
def told_by(server: ScriptedS3) -> Told:
    """What the store raises that asks a server which answers so. One client for all: to make one takes 0.2 s."""
    store = open_store(StoreAddress(uri="s3://bucket/prefix", endpoint=server.url), CANARIES)

    def told(answering: Answering, ask: str) -> StoreError:
        server.answering = answering
        return raised_by(store, ask)

    return told


def told_at(endpoint: str, ask: str, **more: object) -> StoreError:
    address = StoreAddress.model_validate({"uri": "s3://bucket/prefix", "endpoint": endpoint, **more})
    return raised_by(open_store(address, CANARIES), ask)


def raised_by(store: Store, ask: str) -> StoreError:
    with pytest.raises(StoreError) as caught:
        ASKING[ask](store)
    whole = "".join(traceback.format_exception(caught.value))
    for secret in ("CANARY", "canary/", "CanarySession", "Signature=", "AWS4-HMAC"):
        assert secret not in whole
    return caught.value


BY_CODE = [
    (403, "InvalidAccessKeyId", e.CredentialsInvalid),
    (403, "SignatureDoesNotMatch", e.CredentialsInvalid),
    (400, "ExpiredToken", e.CredentialsInvalid),
    (400, "InvalidToken", e.CredentialsInvalid),
    (403, "AccessDenied", e.AccessDenied),
    (403, "UserSuspended", e.AccountSuspended),
    (403, "RequestTimeTooSkewed", e.ClockSkewed),
    (404, "NoSuchBucket", e.BucketMissing),
    (301, "PermanentRedirect", e.WrongRegion),
    (307, "TemporaryRedirect", e.WrongRegion),
    (400, "AuthorizationHeaderMalformed", e.WrongRegion),
    (400, "IllegalLocationConstraintException", e.WrongRegion),
    (400, "KMS.DisabledException", e.EncryptionRefused),
    (400, "ObjectLocked", e.ObjectLocked),
    (403, "QuotaExceeded", e.QuotaExceeded),
    (507, "XMinioStorageFull", e.QuotaExceeded),
    (400, "InvalidBucketName", e.InvalidAddress),
    (400, "KeyTooLongError", e.InvalidAddress),
    (400, "InvalidRequest", e.RequestRefused),
    (405, "MethodNotAllowed", e.RequestRefused),
    (503, "SlowDown", e.StoreUnreachable),
    (500, "InternalError", e.StoreUnreachable),
    (400, "RequestTimeout", e.StoreUnreachable),
    (429, "TooManyRequests", e.StoreUnreachable),
]


@pytest.mark.parametrize("ask", ["get", "list", "put"])
@pytest.mark.parametrize(("status", "code", "kind"), BY_CODE, ids=[f"{s}-{c}" for s, c, _ in BY_CODE])
def test_an_error_is_told_by_its_code(told_by: Told, status: int, code: str, kind: type[StoreError], ask: str):
    told = told_by(lambda request: error(status, code), ask)
    assert type(told) is kind
    if kind is not e.BucketMissing:
        assert f"({status} {code})" in str(told)


BY_STATUS = [
    (Reply(401), e.AccessDenied),
    (Reply(403), e.AccessDenied),
    (Reply(400), e.RequestRefused),
    (Reply(301, headers={"x-amz-bucket-region": "eu-central-1"}), e.WrongRegion),
    (Reply(301, headers={"Location": "https://s3.example.com/"}), e.EndpointRedirects),
    (page(302, {"Location": "https://login.example.com/"}), e.EndpointRedirects),
    (page(307, {"Location": "https://s3.example.com/"}), e.EndpointRedirects),
    (page(308, {"Location": "https://s3.example.com/"}), e.EndpointRedirects),
    (page(200), e.NotS3),
    (page(400), e.NotS3),
    (page(403), e.NotS3),
    (page(404), e.NotS3),
    (Reply(404, b"404 page not found", "text/plain; charset=utf-8"), e.NotS3),
    (Reply(429), e.StoreUnreachable),
    (page(502), e.StoreUnreachable),
    (page(503), e.StoreUnreachable),
    (Reply(504), e.StoreUnreachable),
    (Reply(507), e.QuotaExceeded),
]


@pytest.mark.parametrize("ask", list(ASKING))
@pytest.mark.parametrize(("reply", "kind"), BY_STATUS, ids=[f"{r.status}-{r.content_type}" for r, _ in BY_STATUS])
def test_an_answer_that_says_no_code_is_told_by_its_status_and_type(
    told_by: Told, reply: Reply, kind: type[StoreError], ask: str
):
    assert type(told_by(lambda request: reply, ask)) is kind


def test_no_object_is_no_error_where_the_server_says_so_in_its_own_way(told_by: Told):
    assert isinstance(told_by(lambda request: error(404, "NoSuchKey"), "get"), ObjectMissing)
    with scripted_s3() as server:
        address = StoreAddress(uri="s3://bucket/prefix", endpoint=server.url)
        assert not open_store(address, CANARIES).exists("a")


@pytest.mark.parametrize("reply", [error(501, "NotImplemented"), Reply(501), error(400, "InvalidArgument")])
def test_a_server_that_knows_no_conditions_is_told_once_and_for_all(told_by: Told, reply: Reply):
    def answering(request: Request) -> Reply | None:
        return reply if "if-none-match" in request.headers else None

    told = told_by(answering, "put")
    assert type(told) is e.StoreNotAtomic
    with scripted_s3(answering) as server:
        store = open_store(StoreAddress(uri="s3://bucket/prefix", endpoint=server.url), CANARIES)
        with pytest.raises(e.StoreNotAtomic):
            race_conditional_puts(store, racers=2, races=1)


def test_a_server_that_drops_what_it_is_given_is_found_out():
    with scripted_s3(lambda request: Reply(200) if request.method == "PUT" else None) as server:
        store = open_store(StoreAddress(uri="s3://bucket", endpoint=server.url), CANARIES)
        result = race_conditional_puts(store, racers=1, races=1)
    assert not result.atomic
    assert "nothing stands" in result.message


def test_a_redirect_asks_no_more_than_a_handful_of_requests():
    with scripted_s3(lambda request: page(301, {"Location": "https://s3.example.com/"})) as server:
        told_at(server.url, "get")
        assert len(server.requests) <= 4


def test_a_bucket_of_another_region_is_asked_there():
    def answering(request: Request) -> Reply | None:
        if "/eu-central-1/" in request.headers["authorization"]:
            return None
        return error(301, "PermanentRedirect", headers={"x-amz-bucket-region": "eu-central-1"})

    with scripted_s3(answering) as server:
        store = open_store(StoreAddress(uri="s3://bucket", endpoint=server.url), CANARIES)
        assert store.put_if_absent("a", b"1")


@pytest.mark.parametrize("status", [403, 400, 418, 500])
@pytest.mark.parametrize("ask", WITH_A_BODY)
def test_what_a_server_repeats_of_a_request_goes_no_further(told_by: Told, status: int, ask: str):
    told_by(lambda request: echo(request, status, request.headers["authorization"]), ask)


def test_a_key_in_place_of_a_code_is_not_shown(told_by: Told):
    for code in (CANARIES.access_key_id, CANARIES.secret_access_key, "canaryaccesskey"):
        told = told_by(lambda request, code=code: error(403, code), "get")
        assert "canary" not in str(told).lower()


def test_an_unknown_code_is_shown(told_by: Told):
    assert "TeapotRefused" in str(told_by(lambda request: error(418, "TeapotRefused"), "get"))


def test_an_object_whose_body_breaks_off_is_asked_for_again(tmp_path: Path):
    cuts = [True, True]

    def answering(request: Request) -> Reply | None:
        if request.method == "GET" and cuts:
            cuts.pop()
            return Reply(200, b"half", "application/octet-stream", cut=100)
        return None

    with scripted_s3(answering) as server:
        store = open_store(StoreAddress(uri="s3://bucket", endpoint=server.url), CANARIES)
        store.put_if_absent("a", b"whole")
        assert store.get("a") == b"whole"
        cuts += [True]
        store.download("a", tmp_path / "a")
        assert (tmp_path / "a").read_bytes() == b"whole"


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (Reply(200, b"half", "application/octet-stream", cut=100), e.StoreUnreachable),
        (Reply(200, b"half", HTML, cut=100), e.NotS3),
    ],
)
def test_a_body_that_always_breaks_off_is_told(told_by: Told, reply: Reply, kind: type[StoreError]):
    assert type(told_by(lambda request: reply, "get")) is kind


@pytest.mark.parametrize(
    "reply",
    [
        Reply(200, b'{"message": "ok"}', "application/json"),
        Reply(200, b"<ListAllMyBucketsResult><Buckets/></ListAllMyBucketsResult>", "application/xml"),
        Reply(200, b"<html/>", "text/xml"),
    ],
    ids=["json", "list of buckets", "other XML"],
)
def test_a_listing_that_is_none_is_not_taken_for_an_empty_one(told_by: Told, reply: Reply):
    assert type(told_by(lambda request: reply, "list")) is e.NotS3


def test_a_server_without_a_clock_is_told(told_by: Told):
    listing = b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"
    assert type(told_by(lambda request: Reply(200, listing, "application/xml", dated=False), "now")) is e.NotS3


# Without an answer


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    made = "req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=s3.example.com"
    command = ["openssl", *made.split(), "-addext", "subjectAltName=DNS:s3.example.com"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder


@pytest.fixture
def tls_endpoint(certificate: Path) -> Iterator[str]:
    with ExitStack() as stack:
        server = stack.enter_context(scripted_s3())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
        server.socket = context.wrap_socket(server.socket, server_side=True)
        yield server.url.replace("http://", "https://")


def test_a_certificate_of_an_unknown_authority_is_told(tls_endpoint: str):
    told = told_at(tls_endpoint, "get")
    assert type(told) is e.CertificateNotTrusted
    assert "caBundle" in str(told)


def test_a_certificate_of_another_host_is_told(tls_endpoint: str, certificate: Path):
    told = told_at(tls_endpoint, "get", ca_bundle_file=str(certificate / "cert.pem"))
    assert type(told) is e.CertificateNotTrusted
    assert "another host" in str(told)


@pytest.mark.parametrize("content", [None, "-----BEGIN CERTIFICATE-----\nnot\n-----END CERTIFICATE-----\n", ""])
def test_certificates_that_cannot_be_read_are_told(tls_endpoint: str, tmp_path: Path, content: str | None):
    bundle = tmp_path / "ca.pem"
    if content is not None:
        bundle.write_text(content)
    told = told_at(tls_endpoint, "get", ca_bundle_file=str(bundle))
    assert type(told) is e.CertificateNotTrusted
    assert "can't be read" in str(told)


def test_tls_asked_of_a_server_without_it_is_told():
    with scripted_s3() as server:
        assert type(told_at(server.url.replace("http://", "https://"), "get")) is e.TlsMismatch


def test_no_tls_asked_of_a_server_with_it_is_hinted_at(tls_endpoint: str):
    told = told_at(tls_endpoint.replace("https://", "http://"), "get")
    assert type(told) is e.StoreUnreachable
    assert "give the endpoint as https://" in str(told)


def test_a_name_that_nobody_knows_is_retried_and_named():
    told = told_at("http://no-such-host.invalid", "get")
    assert type(told) is e.HostNotResolved
    assert isinstance(told, StoreUnreachable)
    assert "pathStyle" not in str(told)
    assert "pathStyle: true" in str(told_at("http://no-such-host.invalid", "get", path_style=False))


def test_a_port_on_which_nothing_listens_is_told():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        assert type(told_at(f"http://127.0.0.1:{unused.getsockname()[1]}", "get")) is e.ConnectionRefused


def test_a_connection_that_is_closed_at_once_is_told():
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()

        def hang_up() -> None:
            while True:
                try:
                    listening.accept()[0].close()
                except OSError:
                    return

        threading.Thread(target=hang_up, daemon=True).start()
        assert type(told_at(f"http://127.0.0.1:{listening.getsockname()[1]}", "get")) is e.StoreUnreachable


def test_an_error_that_nobody_foresaw_is_told_by_its_type_alone(told_by: Told, monkeypatch: pytest.MonkeyPatch):
    def raising(*_: object, **__: object) -> None:
        raise RecursionError(f"deep in {CANARIES.secret_access_key}")

    monkeypatch.setattr("botocore.endpoint.Endpoint.make_request", raising)
    told = told_by(lambda request: None, "get")
    assert type(told) is e.StoreFailed
    assert "RecursionError" in str(told)


# Names that mislead

MISLEADING = ["403", "certificate", "connection-refused", "nosuchbucket", "timed-out-503", "nosuchkey", "redirect-301"]
FAULTS: list[tuple[Reply, type[StoreError]]] = [
    (error(403, "AccessDenied", "connection timed out; NoSuchBucket"), e.AccessDenied),
    (error(404, "NoSuchBucket", "403 Forbidden certificate"), e.BucketMissing),
    (error(503, "SlowDown", "AccessDenied 403 SignatureDoesNotMatch"), e.StoreUnreachable),
    (error(403, "SignatureDoesNotMatch", "NoSuchKey"), e.CredentialsInvalid),
    (error(404, "NoSuchKey", "NoSuchBucket AccessDenied"), e.ObjectMissing),
    (page(404), e.NotS3),
    (page(301, {"Location": "https://NoSuchBucket.403.example.com/"}), e.EndpointRedirects),
    (error(403, "RequestTimeTooSkewed", "redirect 301"), e.ClockSkewed),
    (Reply(200, b"half", "application/octet-stream", cut=9), e.StoreUnreachable),
]


@pytest.mark.parametrize("name", MISLEADING)
@pytest.mark.parametrize(("reply", "kind"), FAULTS, ids=[kind.__name__ for _, kind in FAULTS])
def test_names_that_mislead_change_nothing(server: ScriptedS3, reply: Reply, kind: type[StoreError], name: str):
    server.answering = lambda request: reply
    with pytest.raises(StoreError) as caught:
        opened(server.url, name).get(f"{name}/{name}")
    assert type(caught.value) is kind


@cache
def opened(endpoint: str, name: str) -> Store:
    return open_store(StoreAddress(uri=f"s3://{name}/{name}", endpoint=endpoint), CANARIES)


@pytest.mark.parametrize("name", MISLEADING)
def test_nor_do_they_where_no_answer_comes(name: str):
    with pytest.raises(e.ConnectionRefused):
        opened("http://127.0.0.1:9", name).get(name)


def test_each_class_says_who_must_act():
    for kind in (cls for cls in vars(e).values() if isinstance(cls, type) and issubclass(cls, StoreError)):
        assert kind is StoreError or not (issubclass(kind, StoreRefused) and issubclass(kind, StoreUnreachable))


def deleting(answering: Answering, *keys: str) -> tuple[list[str], list[str]]:
    """The methods of the requests that deleting `keys` takes, and what is left in the bucket."""
    with scripted_s3(answering) as server:
        store = open_store(StoreAddress(uri="s3://bucket/prefix", endpoint=server.url), CANARIES)
        server.objects = {f"/bucket/prefix/{key}": b"1" for key in (*keys, "other")}
        store.delete(*keys)
        return [request.method for request in server.requests], sorted(server.objects)


def test_a_thousand_objects_are_deleted_by_one_request():
    methods, left = deleting(lambda request: None, *(f"many/{number}" for number in range(2001)))
    assert methods == ["POST", "POST", "DELETE"]
    assert left == ["/bucket/prefix/other"]


@pytest.mark.parametrize("status", [400, 405, 501])
def test_where_a_server_can_t_delete_several_at_once_they_go_one_by_one(status: int):
    methods, left = deleting(lambda request: error(status, "Unknown") if request.method == "POST" else None, "a", "b")
    assert methods == ["POST", "DELETE", "DELETE"]
    assert left == ["/bucket/prefix/other"]


def test_an_object_that_the_request_for_many_left_says_itself_what_is_wrong(told_by: Told):
    def one_is_kept(request: Request) -> Reply:
        kept = b"<DeleteResult><Error><Key>prefix/b</Key><Code>InternalError</Code></Error></DeleteResult>"
        return Reply(200, kept, "application/xml") if request.method == "POST" else error(403, "AccessDenied")

    told = told_by(one_is_kept, "delete many")
    assert type(told) is e.AccessDenied
    assert " b: " in str(told)
