"""What the S3 client makes of a server's answers, told by a server that answers as it is told."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from longtail_api.run_config import StoreAddress
from longtail_store import AccessDenied, Chain, Committed, Credentials, Store, StoreUnreachable, open_store
from longtail_store.probe import race_conditional_puts
from tests.store.small_model import commit_generation, parameters

WRITE, CUT_AFTER_WRITING = 200, -1


class Told(ThreadingHTTPServer):
    """An S3 server of one bucket that honours If-None-Match. PUTs are first answered as `script` says."""

    daemon_threads = True

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.script: list[int] = []
        self.conditions: list[str | None] = []
        super().__init__(("127.0.0.1", 0), Handler)


class Handler(BaseHTTPRequestHandler):
    server: Told
    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.conditions.append(self.headers["If-None-Match"])
        answer = self.server.script.pop(0) if self.server.script else WRITE
        if answer in (WRITE, CUT_AFTER_WRITING):
            if self.headers["If-None-Match"] == "*" and self.path in self.server.objects:
                answer = 412
            else:
                self.server.objects[self.path] = body
        if answer == CUT_AFTER_WRITING:
            self.close_connection = True
        else:
            self.answer(answer)

    def do_GET(self) -> None:
        found = self.server.objects.get(self.path)
        missing = b"<Error><Code>NoSuchKey</Code></Error>"
        self.answer(404 if found is None else 200, missing if found is None else found)

    def do_HEAD(self) -> None:
        self.answer(200 if self.path in self.server.objects else 404)

    def answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Told]:
    server = Told()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join(10)


@pytest.fixture
def store(server: Told) -> Store:
    address = StoreAddress(uri="s3://bucket", endpoint=f"http://127.0.0.1:{server.server_address[1]}")
    return open_store(address, Credentials("key", "secret"))


def test_a_put_if_absent_carries_the_condition_and_an_advisory_one_does_not(server: Told, store: Store) -> None:
    store.put_if_absent("a", b"1")
    store.put_advisory("a", b"2")
    assert server.conditions == ["*", None]


def test_412_means_that_an_object_stands_there(server: Told, store: Store) -> None:
    server.script = [412]
    assert not store.put_if_absent("a", b"1")


def test_409_is_asked_again_until_it_shows_who_won(server: Told, store: Store) -> None:
    server.script = [409, 409]
    assert store.put_if_absent("a", b"1")
    server.script = [409, 412]
    assert not store.put_if_absent("b", b"1")


def test_a_server_error_is_tried_again(server: Told, store: Store) -> None:
    server.script = [503, 500]
    assert store.put_if_absent("a", b"1")


def test_a_server_that_only_fails_is_unreachable(server: Told, store: Store) -> None:
    server.script = [500] * 4
    with pytest.raises(StoreUnreachable):
        store.put_if_absent("a", b"1")


def test_a_refusal_is_not_tried_again(server: Told, store: Store) -> None:
    server.script = [403]
    with pytest.raises(AccessDenied):
        store.put_if_absent("a", b"1")
    assert len(server.conditions) == 1


def test_after_a_lost_response_the_client_meets_its_own_object(server: Told, store: Store) -> None:
    server.script = [CUT_AFTER_WRITING]
    assert not store.put_if_absent("a", b"mine")
    assert store.get("a") == b"mine"


def test_a_version_whose_response_was_lost_is_adopted(server: Told, store: Store) -> None:
    server.script = [WRITE, CUT_AFTER_WRITING]
    result = commit_generation(store, parameters(0))
    assert isinstance(result, Committed)
    assert Chain(store).head() == result.version


def test_a_server_without_the_condition_is_found_out(server: Told, store: Store, monkeypatch) -> None:
    def unconditional(handler: Handler) -> None:
        handler.server.objects[handler.path] = handler.rfile.read(int(handler.headers["Content-Length"]))
        handler.answer(200)

    monkeypatch.setattr(Handler, "do_PUT", unconditional)
    monkeypatch.setattr(Handler, "do_DELETE", lambda handler: handler.answer(204), raising=False)
    result = race_conditional_puts(store, racers=3, races=2)
    assert not result.atomic
    assert "3 writers won" in result.message
