"""HTTP byte by byte, as no client library would send it."""

import json
import socket
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.serving.asgi_app import INFER, Json, a_request

SECONDS = 20.0
"""Until a test gives up; nothing here is to take so long."""


@dataclass(frozen=True)
class Answer:
    """One response; status 0 where the connection ended without one."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Json:
        return json.loads(self.body)


class Wire:
    """One connection."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self._file = connection.makefile("rb")

    def send(self, *parts: bytes) -> "Wire":
        self.socket.sendall(b"".join(parts))
        return self

    def answer(self) -> Answer:
        line = self._file.readline()
        if not line:
            return Answer(0, {}, b"")
        status = int(line.split()[1])
        headers: dict[str, str] = {}
        while (header := self._file.readline().strip()) != b"":
            name, _, value = header.decode().partition(":")
            headers[name.lower()] = value.strip()
        return Answer(status, headers, self._file.read(int(headers.get("content-length", "0"))))

    def ends(self) -> bool:
        """Whether the server closes the connection without a further byte."""
        try:
            return self._file.read(1) == b""
        except ConnectionResetError:
            return True


@contextmanager
def wire(port: int, host: str = "127.0.0.1") -> Generator[Wire]:
    with socket.create_connection((host, port), timeout=SECONDS) as connection:
        yield Wire(connection)


def body(identifier: str = "x", **options: Any) -> bytes:
    """A valid request's, whose answer has the same id."""
    return json.dumps({"id": identifier, **a_request(**options)}).encode()


def head(length: int | None, *headers: str, version: str = "1.1", path: str = INFER, method: str = "POST") -> bytes:
    """Of a request; `length` None: no Content-Length."""
    lines = [f"{method} {path} HTTP/{version}", "Host: x", *headers]
    if length is not None:
        lines.append(f"Content-Length: {length}")
    return "\r\n".join([*lines, "", ""]).encode()


def request(identifier: str = "x", *headers: str, version: str = "1.1") -> bytes:
    content = body(identifier)
    return head(len(content), *headers, version=version) + content
