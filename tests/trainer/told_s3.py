"""An S3 server of one bucket that is read, and that answers every request with one fault where it is told one."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

BUCKET = "warehouse"
Cut = Literal["cut"]


class ToldS3(ThreadingHTTPServer):
    """`objects` by key. `fault`: status and code of every answer, or `cut`: the connection ends in every body."""

    daemon_threads = True

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.fault: tuple[int, str] | Cut | None = None
        self.ranges = True
        """Whether it knows them."""
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextmanager
def told_s3() -> Iterator[ToldS3]:
    server = ToldS3()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: ToldS3
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        key = unquote(parts.path).removeprefix(f"/{BUCKET}").removeprefix("/")
        if isinstance(self.server.fault, tuple):
            self._fault(*self.server.fault)
        elif "list-type" in parse_qs(parts.query):
            self._list(parse_qs(parts.query, keep_blank_values=True).get("prefix", [""])[0])
        elif key not in self.server.objects:
            self._fault(404, "NoSuchKey")
        else:
            self._object(self.server.objects[key])

    def _list(self, prefix: str) -> None:
        found = "".join(
            f"<Contents><Key>{escape(key)}</Key><Size>{len(content)}</Size>"
            "<LastModified>2024-01-01T00:00:00.000Z</LastModified></Contents>"
            for key, content in sorted(self.server.objects.items())
            if key.startswith(prefix)
        )
        self._answer(200, f"<ListBucketResult><IsTruncated>false</IsTruncated>{found}</ListBucketResult>".encode())

    def _object(self, content: bytes) -> None:
        asked = self.headers["Range"]
        if asked is None or self.command == "HEAD" or not self.server.ranges:
            self._answer(200, content)
            return
        first, last = asked.removeprefix("bytes=").split("-")
        self._answer(206, content[int(first) : int(last) + 1])

    def _fault(self, status: int, code: str) -> None:
        self._answer(status, f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode())

    def _answer(self, status: int, body: bytes) -> None:
        cut = self.server.fault == "cut" and status == 206
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[: len(body) // 2] if cut else body)
        if cut:
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Silent."""
