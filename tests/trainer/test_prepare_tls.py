"""Tables behind TLS: the certificate authority is the one that the config names."""

import datetime
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from longtail_api.run_config import StoreAddress
from longtail_trainer.data.tables import open_table
from longtail_trainer.running.errors import ConfigInvalid, DataInvalid

EMPTY = b"""<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><IsTruncated>false</IsTruncated></ListBucketResult>"""


class EmptyBucket(BaseHTTPRequestHandler):
    """Answers like an S3 server whose bucket is empty."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.answer(200, EMPTY)

    def do_HEAD(self) -> None:
        self.answer(404, b"")

    def answer(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *arguments: object) -> None:
        """Silent."""


def issued(name: str, key: ec.EllipticCurvePrivateKey, issuer: str, signing_key: ec.EllipticCurvePrivateKey) -> bytes:
    """A certificate in PEM, valid for a day: an authority's where it is its own issuer."""
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=name == issuer, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    )
    return builder.sign(signing_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ca.crt, and the certificate and key of a server `localhost`."""
    folder = tmp_path_factory.mktemp("tls")
    authority, server = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    (folder / "ca.crt").write_bytes(issued("authority", authority, "authority", authority))
    (folder / "server.crt").write_bytes(issued("localhost", server, "authority", authority))
    (folder / "server.key").write_bytes(
        server.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return folder


@pytest.fixture
def endpoint(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.crt", folder / "server.key")
    server = ThreadingHTTPServer(("127.0.0.1", 0), EmptyBucket)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"https://localhost:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_server_of_the_named_authority_is_trusted(folder: Path, endpoint: str):
    address = StoreAddress(uri="s3://longtail", endpoint=endpoint, ca_bundle_file=str(folder / "ca.crt"))
    with pytest.raises(DataInvalid, match="no Parquet file there"):  # so the server was asked, and answered
        open_table("samples", "s3://warehouse/samples.parquet", address)


def test_a_server_of_an_unknown_authority_is_not_asked_and_the_remedy_is_named(endpoint: str):
    address = StoreAddress(uri="s3://longtail", endpoint=endpoint)
    with pytest.raises(ConfigInvalid, match="caBundle") as refused:
        open_table("samples", "s3://warehouse/samples.parquet", address)
    assert refused.value.reason == "CertificateNotTrusted"
