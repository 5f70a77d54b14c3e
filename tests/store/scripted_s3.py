"""An S3 server of one bucket that answers as it is told: by a script, or as a real one would."""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

XML = "application/xml"
HTML = "text/html; charset=utf-8"


@dataclass(frozen=True)
class Reply:
    """One answer; `cut` bytes of the body are promised and not sent."""

    status: int
    body: bytes = b""
    content_type: str = ""
    headers: dict[str, str] = field(default_factory=dict[str, str])
    cut: int = 0
    dated: bool = True


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes


Answering = Callable[[Request], Reply | None]
"""None: as a real server would."""


def error(status: int, code: str, message: str = "told so", headers: dict[str, str] | None = None) -> Reply:
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
    return Reply(status, body.encode(), XML, headers or {})


def page(status: int, headers: dict[str, str] | None = None) -> Reply:
    return Reply(status, b"<!doctype html><html><body><h1>Welcome</h1><p>Sign in</body></html>", HTML, headers or {})


def echo(request: Request, status: int = 403, code: str = "AccessDenied") -> Reply:
    """What a chatty server sends: all of the request's headers again, the signature among them."""
    said = " ".join(f"{name}={value}" for name, value in request.headers.items())
    return error(status, code, said.replace("&", "&amp;").replace("<", "&lt;"))


def broken_off(reply: Reply) -> Reply:
    """The first half of it."""
    half = len(reply.body) // 2
    return replace(reply, body=reply.body[:half], cut=len(reply.body) - half)


class ScriptedS3(ThreadingHTTPServer):
    """Honours If-None-Match. `answering` comes first, and everything asked is in `requests`."""

    daemon_threads = True

    def __init__(self, answering: Answering) -> None:
        self.answering = answering
        self.objects: dict[str, bytes] = {}
        """By path: the bucket and the key."""
        self.knows_ranges = True
        self.requests: list[Request] = []
        self.lock = threading.Lock()
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # a client that hangs up is no news here

    def real(self, request: Request) -> Reply:
        key = request.path
        if request.method == "PUT":
            if request.headers.get("if-none-match") == "*" and key in self.objects:
                return error(412, "PreconditionFailed")
            self.objects[key] = request.body
            return Reply(200, headers={"ETag": '"e"'})
        if request.method == "DELETE":
            self.objects.pop(key, None)
            return Reply(204)
        if request.method == "POST":
            for name in re.findall(rb"<Key>([^<]*)</Key>", request.body):
                self.objects.pop(f"{key.rstrip('/')}/{name.decode()}", None)
            return Reply(200, b"<DeleteResult></DeleteResult>", XML)
        if "list-type" in request.query:
            return self._listing(request)
        found = self.objects.get(key)
        if found is None:
            return error(404, "NoSuchKey") if request.method == "GET" else Reply(404)
        asked = request.headers.get("range") if request.method == "GET" else None
        if asked is not None and self.knows_ranges:
            first, last = asked.removeprefix("bytes=").split("-")
            return Reply(206, found[int(first) : int(last) + 1], "application/octet-stream", {"ETag": '"e"'})
        return Reply(200, found, "application/octet-stream", {"ETag": '"e"'})

    def _listing(self, request: Request) -> Reply:
        start = f"/{request.path.strip('/')}/"
        prefix = start + request.query.get("prefix", [""])[0]
        entries = "".join(
            f"<Contents><Key>{escape(name.removeprefix(start))}</Key><Size>{len(content)}</Size>"
            "<LastModified>2026-01-01T00:00:00Z</LastModified></Contents>"
            for name, content in sorted(self.objects.items())
            if name.startswith(prefix)
        )
        body = f"<ListBucketResult><IsTruncated>false</IsTruncated>{entries}</ListBucketResult>"
        return Reply(200, body.encode(), XML)


class _Handler(BaseHTTPRequestHandler):
    server: ScriptedS3
    protocol_version = "HTTP/1.1"

    def _any(self) -> None:
        parts = urlsplit(self.path)
        request = Request(
            self.command,
            unquote(parts.path),
            parse_qs(parts.query, keep_blank_values=True),
            {name.lower(): value for name, value in self.headers.items()},
            self.rfile.read(int(self.headers.get("Content-Length") or 0)),
        )
        with self.server.lock:
            self.server.requests.append(request)
            reply = self.server.answering(request) or self.server.real(request)
        self._send(reply)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _any  # noqa: N815 (the base class names them so)

    def _send(self, reply: Reply) -> None:
        self.send_response_only(reply.status)
        if reply.dated:
            self.send_header("Date", self.date_time_string())
        if reply.content_type:
            self.send_header("Content-Type", reply.content_type)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if reply.status != 204:
            self.send_header("Content-Length", str(len(reply.body) + reply.cut))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body)
        self.close_connection = self.close_connection or reply.cut > 0

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def scripted_s3(answering: Answering = lambda request: None) -> Iterator[ScriptedS3]:
    server = ScriptedS3(answering)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
