"""One connection: HTTP/1.x as clients of all kinds speak it, bounded in time and memory whatever comes."""

import json
from asyncio import AbstractEventLoop, TimerHandle, Transport
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, cast

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from longtail_serving.limits import Limits

MOST_HEAD_BYTES = 64 << 10
MOST_PIPELINED = 32
"""Requests in line on one connection; the last one's answer closes it, and clients send the rest on another."""
_OFFERS = (b"upgrade", b"http2-settings", b"connection")


class Connections:
    """All connections of a server; those that wait for their clients in the order in which they began to."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.open: set[Connection] = set()
        self.waiting: dict[Connection, None] = {}

    def connection(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: AbstractEventLoop | None = None,
    ) -> "Connection":
        """A protocol for a new connection, as uvicorn wants it."""
        return Connection(self, config, server_state, app_state, _loop)

    def admit(self, new: "Connection") -> bool:
        """Whether a new connection is taken; where there are too many, the longest waiting one goes for it."""
        self.open.add(new)
        if len(self.open) > self.limits.connections:
            longest = next(iter(self.waiting), None)
            if longest is None:
                return False
            del self.waiting[longest]
            longest.transport.close()
        self.waiting[new] = None
        return True

    def forget(self, gone: "Connection") -> None:
        self.open.discard(gone)
        self.waiting.pop(gone, None)

    @property
    def unread_bytes(self) -> int:
        """Of answers that clients have not read."""
        return sum(one.transport.get_write_buffer_size() for one in self.open)


class _AnswersTransport:
    """The transport as uvicorn's answers use it: closing it waits for the rest of the request."""

    def __init__(self, transport: Transport, close: Callable[[], None]) -> None:
        self.write = transport.write
        self.is_closing = transport.is_closing
        self.close = close


class _NoMoreRequests(Exception):
    """Ends the parser where a request begins that is not taken any more."""


class Connection(HttpToolsProtocol):
    """uvicorn's protocol, and what it lets clients do without bound.

    - An offer to switch protocols (`Upgrade: h2c` of Java's clients, websockets) is ignored, as RFC 9110 7.8 allows;
      llhttp alone would take the body for bytes of the other protocol.
    - The head of a request, and what follows of a request that was answered before it was whole, have their time. The
      application gives its body its own.
    - A client that shuts its writing side down after a request is still answered.
    - A client that still sends when it is answered is heard out before its connection closes; else a reset would take
      the answer from it.
    - Answers that are not read, requests in line, heads and connections are bounded.
    """

    def __init__(
        self,
        connections: Connections,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        loop: AbstractEventLoop | None,
    ) -> None:
        super().__init__(config, server_state, app_state, loop)
        self._all = connections
        self._limits = connections.limits
        self._whole = True
        """The latest request has arrived; also before the first."""
        self._began = False
        """A request began in the bytes that are being parsed."""
        self._offered = False
        """Its head offers another protocol: the parser ends after it."""
        self._body_came = False
        self._head_bytes = 0
        self._last = False
        """No further request is taken."""
        self._deaf = False
        """What still comes is thrown away."""
        self._client_time: TimerHandle | None = None
        self._answer_time: TimerHandle | None = None

    # What the transport tells.
    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._answers_transport = cast(Transport, _AnswersTransport(transport, self._close_after_answer))
        if self._all.admit(self):
            self._start_client_time()
        else:
            self._end_with(HTTPStatus.SERVICE_UNAVAILABLE, "too many connections; ask again in a moment")

    def connection_lost(self, exc: Exception | None) -> None:
        self._all.forget(self)
        self._stop_client_time()
        self._unset_keepalive_if_required()
        if self._answer_time is not None:
            self._answer_time.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        self._began = self._body_came = False
        try:
            self._feed(data)
        except httptools.HttpParserError:
            self._refuse(HTTPStatus.BAD_REQUEST, "what came is no HTTP request")
            return
        if self._whole:
            return
        if not self._began and not self._body_came:  # the rest of a head, or what follows the last chunk of a body
            self._head_bytes += len(data)
        if self._head_bytes > MOST_HEAD_BYTES:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"the head is larger than {MOST_HEAD_BYTES} bytes")
            return
        if self._began:  # to the end of the line
            self._all.waiting.pop(self, None)
            self._all.waiting[self] = None
        if not self._answering:
            self._start_client_time()

    def eof_received(self) -> bool:  # type: ignore[override]
        """Whether the connection stays open: where a whole request awaits its answer."""
        if not self._whole or not self._answering or self._deaf:
            self._bound_reading()
            return False
        self._last = True
        self.cycle.keep_alive = False
        return True

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._all.unread_bytes > self._limits.unread_bytes:
            self.transport.abort()
        else:
            self._bound_reading()

    def resume_writing(self) -> None:
        if self._answer_time is not None and not self.transport.is_closing():
            self._answer_time.cancel()
            self._answer_time = None
        super().resume_writing()

    # What the parser finds.
    def on_message_begin(self) -> None:
        if not self._last and len(self.pipeline) >= MOST_PIPELINED:
            self._last = True
            self.cycle.keep_alive = False
        if self._last:
            raise _NoMoreRequests
        self._unset_keepalive_if_required()
        self._stop_client_time()
        self._whole, self._began, self._offered, self._head_bytes = False, True, False, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._offered = self.parser.should_upgrade()
        if not self._offered:
            self._stop_client_time()
            super().on_headers_complete()
            self.cycle.transport = self._answers_transport

    def on_body(self, body: bytes) -> None:
        self._body_came = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self._offered:
            return
        self._whole = True
        self._stop_client_time()
        self._all.waiting.pop(self, None)
        super().on_message_complete()

    # What uvicorn does after an answer.
    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing():
            self._bound_reading()
            return
        if self._answering:  # the next in line
            return
        self._all.waiting[self] = None
        if not self._whole:
            self._unset_keepalive_if_required()
            self._start_client_time()

    def timeout_keep_alive_handler(self) -> None:
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        super().timeout_keep_alive_handler()

    @property
    def _answering(self) -> bool:
        cycle = cast(RequestResponseCycle | None, self.cycle)
        return cycle is not None and not cycle.response_complete

    @property
    def _answered(self) -> bool:
        """The latest request has its answer, whole or not."""
        cycle = cast(RequestResponseCycle | None, self.cycle)
        return cycle is not None and cycle.scope is self.scope and cycle.response_complete

    def _feed(self, data: bytes) -> None:
        """Parse. A head that offers another protocol is parsed again without the offer."""
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            method: bytes = self.parser.get_method()
            if method == b"CONNECT":
                self._refuse(HTTPStatus.NOT_IMPLEMENTED, "this is no proxy")
                return
            version: str = self.parser.get_http_version()
            head = [b"%s %s HTTP/%s\r\n" % (method, self.url, version.encode())]
            head += [b"%s: %s\r\n" % header for header in self.headers if header[0] not in _OFFERS]
            if any(name == b"connection" and b"close" in value.lower() for name, value in self.headers):
                head.append(b"connection: close\r\n")
            self.parser = httptools.HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
            position: int = offer.args[0]
            self._feed(b"".join([*head, b"\r\n", data[position:]]))
        except httptools.HttpParserCallbackError as error:
            if not isinstance(error.__context__, _NoMoreRequests):
                raise

    # Time, and ends.
    def _start_client_time(self) -> None:
        if self._client_time is None:
            self._client_time = self.loop.call_later(self._limits.request_seconds, self._client_was_too_slow)

    def _stop_client_time(self) -> None:
        if self._client_time is not None:
            self._client_time.cancel()
            self._client_time = None

    def _bound_reading(self) -> None:
        if self._answer_time is None and self.transport.get_write_buffer_size():
            self._answer_time = self.loop.call_later(self._limits.answer_seconds, self.transport.abort)

    def _client_was_too_slow(self) -> None:
        self._client_time = None
        if self._whole or self._answered:
            self.transport.close()
        else:
            seconds = self._limits.request_seconds
            self._refuse(
                HTTPStatus.REQUEST_TIMEOUT, f"no whole head came within {seconds:g} seconds (--request-seconds)"
            )

    def _refuse(self, status: HTTPStatus, reason: str) -> None:
        """Answer what the application can't see, and end; requests that came before it are answered first."""
        if self._last or self.transport.is_closing():
            return
        if self._answering:
            if not self.cycle.more_body or self.cycle.response_started or self.pipeline:
                self._last = True
                self.cycle.keep_alive = False
                return
            self.cycle.disconnected = True  # its own body is what is wrong
            self.cycle.message_event.set()
        self._end_with(status, reason)

    def _end_with(self, status: HTTPStatus, reason: str) -> None:
        body = json.dumps({"error": reason}).encode()
        head = f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: application/json\r\n"
        head += f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        self.transport.write(head.encode() + body)
        self._hear_out()

    def _close_after_answer(self) -> None:
        if self._whole:
            self.transport.close()
        else:
            self._hear_out()

    def _hear_out(self) -> None:
        """Say that nothing more is said, and throw away what the client still sends, for the time of a request."""
        self._last = self._deaf = True
        self._stop_client_time()
        self.flow.resume_reading()
        self.transport.write_eof()
        self._client_time = self.loop.call_later(self._limits.request_seconds, self.transport.abort)
