"""Clients that are slow, stalled or many cost the others nothing, and are given up."""

import socket
import time
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.serving.raw_http import Wire, body, head, request, wire
from tests.serving.serving_process import ServingProcess, serving
from tests.serving.tiny_model import store_model

CONNECTIONS = 40


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[ServingProcess]:
    seconds = {"request_seconds": "1", "answer_seconds": "1", "idle_seconds": "2"}
    counts = {"max_requests": "2", "max_connections": str(CONNECTIONS)}
    with serving(store_model(tmp_path_factory.mktemp("store")), **seconds, **counts) as process:
        yield process


def assert_others_are_served(server: ServingProcess) -> None:
    with wire(server.port) as client:
        client.send(head(None, path="/v2/health/ready", method="GET"), request("other"))
        assert client.answer().status == 200
        assert client.answer().json["id"] == "other"


@pytest.mark.parametrize("sent", [b"", b"{"], ids=["no byte of a body", "one byte of a body"])
def test_stalled_bodies_are_no_requests_under_way_and_get_408(server: ServingProcess, sent: bytes):
    with ExitStack() as stack:
        stalled = [stack.enter_context(wire(server.port)).send(head(100), sent) for _ in range(20)]
        assert_others_are_served(server)
        answers = [client.answer() for client in stalled]
        assert {answer.status for answer in answers} == {408}
        assert "1 seconds (--request-seconds)" in answers[0].json["error"]
        assert all(client.ends() for client in stalled)


def test_a_body_that_comes_drop_by_drop_gets_408(server: ServingProcess):
    with wire(server.port) as client:
        client.send(head(100))
        for _ in range(6):
            time.sleep(0.25)
            try:
                client.send(b" ")
            except OSError:  # the answer came, and the connection was closed
                break
        assert client.answer().status == 408


def test_a_head_that_does_not_end_gets_408(server: ServingProcess):
    with wire(server.port) as client:
        client.send(head(100)[:-2])
        answer = client.answer()
        assert answer.status == 408
        assert "head" in answer.json["error"]


@pytest.mark.parametrize("sent", [b"", b"\r\n"], ids=["nothing", "empty lines"])
def test_a_client_that_sends_no_request_is_given_up(server: ServingProcess, sent: bytes):
    with wire(server.port) as client:
        begun = time.monotonic()
        client.socket.settimeout(0.1)
        while time.monotonic() < begun + 15:
            try:
                client.send(sent)
                if client.socket.recv(1) == b"":
                    return
            except TimeoutError:
                continue
            except OSError:
                return
        pytest.fail("the connection stays open")


def test_a_connection_without_a_next_request_is_closed(server: ServingProcess):
    with wire(server.port) as client:
        client.send(request())
        assert client.answer().status == 200
        assert client.ends()


@pytest.mark.parametrize("path", ["/v2/health/live", "/v2/models/other/infer"])
def test_the_rest_of_a_request_that_has_its_answer_is_not_awaited_for_ever(server: ServingProcess, path: str):
    with wire(server.port) as client:
        client.send(head(100, path=path))
        assert client.answer().status in (404, 405)
        assert client.ends()


def test_a_request_after_one_that_was_answered_early_is_answered(server: ServingProcess):
    with wire(server.port) as client:
        client.send(head(4, path="/v2/models/other/infer"), b"{ }")
        assert client.answer().status == 404
        client.send(b" ", request("after"))
        assert client.answer().json["id"] == "after"


def test_more_connections_than_allowed_leave_the_newest_open(server: ServingProcess):
    with ExitStack() as stack:
        clients = [stack.enter_context(wire(server.port)) for _ in range(2 * CONNECTIONS)]
        assert_others_are_served(server)
        clients[-1].send(request("newest"))
        assert clients[-1].answer().json["id"] == "newest"
        assert clients[0].ends()


def test_a_connection_that_is_used_outlives_idle_ones(server: ServingProcess):
    with wire(server.port) as used, ExitStack() as stack:
        for number in range(3):
            used.send(request(str(number)))
            assert used.answer().json["id"] == str(number)
            for _ in range(CONNECTIONS // 2):
                stack.enter_context(wire(server.port))


def test_a_client_that_does_not_read_its_answers_is_cut_off(server: ServingProcess):
    large = body(rows=16_000, width=0)
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", server.port))
        client = Wire(connection)
        connection.settimeout(15)
        with pytest.raises(OSError, match=r"reset|pipe"):  # noqa: PT012
            for _ in range(100):
                client.send(head(len(large)), large)
            time.sleep(3)
            client.send(request())
            client.send(request())
        assert_others_are_served(server)


def test_large_bodies_that_stall_keep_out_other_large_ones_only(tmp_path: Path):
    size = 2 << 20
    part = b" " * (size - 1)
    with serving(store_model(tmp_path), max_body_bytes=str(size), request_seconds="60") as server:
        with ExitStack() as stack:
            for _ in range(4):
                stack.enter_context(wire(server.port)).send(head(size), part)
            assert_others_are_served(server)
            refused = stack.enter_context(wire(server.port)).send(head(size), part)
            answer = refused.answer()
            assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        with wire(server.port) as client:  # those that stalled have gone
            client.send(head(size), part, b" ")
            assert client.answer().status == 400


def test_outcomes_of_slow_clients_are_counted(server: ServingProcess):
    with wire(server.port) as client:
        client.send(head(100))
        assert client.answer().status == 408
    with wire(server.port) as client:
        client.send(head(None, path="/metrics", method="GET"))
        text = client.answer().body.decode()
    assert 'longtail_serving_requests_total{outcome="too_slow"}' in text
    assert "longtail_serving_requests_in_flight 0.0" in text
