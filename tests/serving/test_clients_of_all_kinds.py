"""What clients legally send over HTTP/1.x is answered as documented, however they send it."""

import time
from collections.abc import Generator

import pytest

from tests.serving.raw_http import Wire, body, head, request, wire
from tests.serving.serving_process import ServingProcess, serving
from tests.serving.tiny_model import store_model

H2C = ("Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABk", "Upgrade: h2c")
WEBSOCKET = ("Connection: keep-alive, Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
             "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")  # fmt: skip
OFFERS = {"h2c": H2C, "websocket": WEBSOCKET, "something new": ("Connection: upgrade", "Upgrade: HTTP/4, tea/1")}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[ServingProcess]:
    with serving(store_model(tmp_path_factory.mktemp("store"))) as process:
        yield process


@pytest.fixture
def client(server: ServingProcess) -> Generator[Wire]:
    with wire(server.port) as connection:
        yield connection


def answered_ids(client: Wire, count: int) -> list[str]:
    return [client.answer().json["id"] for _ in range(count)]


@pytest.mark.parametrize("offer", OFFERS.values(), ids=OFFERS)
@pytest.mark.parametrize("pieces", ["whole", "head first", "byte by byte"])
def test_an_offer_of_another_protocol_is_ignored(client: Wire, offer: tuple[str, ...], pieces: str):
    whole = request("offered", *offer)
    middle = whole.index(b"\r\n\r\n") + 4
    parts = {"whole": [whole], "head first": [whole[:middle], whole[middle:]],
             "byte by byte": [bytes([byte]) for byte in whole]}  # fmt: skip
    for part in parts[pieces]:
        client.send(part)
        time.sleep(0.05 if pieces == "head first" else 0)
    assert answered_ids(client, 1) == ["offered"]
    client.send(request("after"))
    assert answered_ids(client, 1) == ["after"]


def test_offers_in_line_and_offers_without_a_body_are_ignored_too(client: Wire):
    client.send(request("1", *H2C), head(None, *WEBSOCKET, path="/v2/health/live", method="GET"), request("2", *H2C))
    assert client.answer().json["id"] == "1"
    assert client.answer().json == {"live": True}
    assert client.answer().json["id"] == "2"


def test_an_offer_does_not_take_away_that_the_client_closes(client: Wire):
    client.send(request("1", "Connection: Upgrade, close", "Upgrade: h2c"))
    assert client.answer().headers["connection"] == "close"
    assert client.ends()


def test_a_proxys_tunnel_is_refused(client: Wire):
    client.send(b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n")
    assert client.answer().status == 501
    assert client.ends()


def test_http_1_0_is_answered_and_its_connection_closed(client: Wire):
    client.send(request("old", version="1.0"))
    assert answered_ids(client, 1) == ["old"]
    assert client.ends()


def test_a_connection_is_kept_for_the_next_request(client: Wire):
    for identifier in ("1", "2", "3"):
        client.send(request(identifier))
        assert answered_ids(client, 1) == [identifier]


def test_requests_in_line_are_answered_in_order(client: Wire):
    identifiers = [str(number) for number in range(20)]
    client.send(*map(request, identifiers))
    assert answered_ids(client, 20) == identifiers


def test_of_too_many_in_line_the_first_are_answered_and_the_last_answer_says_that_it_is_the_last(client: Wire):
    client.send(*(request(str(number)) for number in range(300)))
    answers = [client.answer()]
    while answers[-1].headers.get("connection") != "close":
        answers.append(client.answer())
    assert [answer.json["id"] for answer in answers] == [str(number) for number in range(len(answers))]
    assert client.ends()


def test_a_client_that_only_listens_after_its_requests_is_answered(client: Wire):
    client.send(request("1"), request("2"))
    client.socket.shutdown(1)
    assert answered_ids(client, 2) == ["1", "2"]
    assert client.ends()


def test_a_client_that_stops_in_the_middle_of_a_body_is_given_up_at_once(client: Wire):
    client.send(request()[:-1])
    client.socket.shutdown(1)
    assert client.ends()


def test_a_client_that_waits_for_100_continue_gets_it(client: Wire):
    content = body("patient")
    client.send(head(len(content), "Expect: 100-continue"))
    assert client.answer().status == 100
    client.send(content)
    assert answered_ids(client, 1) == ["patient"]


def test_a_client_that_waits_for_100_continue_with_too_much_is_refused_before_it_sends_it(client: Wire):
    client.send(head((16 << 20) + 1, "Expect: 100-continue"))
    assert client.answer().status == 413
    assert client.ends()


def test_a_chunked_body_is_read(client: Wire):
    content = body("chunked")
    chunks = [b"%x;name=value\r\n%s\r\n" % (len(part), part) for part in (content[:7], content[7:])]
    client.send(head(None, "Transfer-Encoding: chunked"), *chunks, b"0\r\nTrailer: x\r\n\r\n", request("after"))
    assert answered_ids(client, 2) == ["chunked", "after"]


@pytest.mark.parametrize("framing", ["announced", "chunked"])
def test_a_body_that_is_too_large_is_refused_with_the_limit_and_the_connection_goes_on(client: Wire, framing: str):
    much = b" " * ((16 << 20) + 1)
    if framing == "announced":
        client.send(head(len(much)), much, request("after"))
    else:
        client.send(head(None, "Transfer-Encoding: chunked"), b"%x\r\n" % len(much), much, b"\r\n0\r\n\r\n")
        client.send(request("after"))
    refused = client.answer()
    assert refused.status == 413
    assert "16777216 bytes (--max-body-bytes)" in refused.json["error"]
    assert answered_ids(client, 1) == ["after"]


@pytest.mark.parametrize("ends", ["1.0", "Connection: close"])
def test_a_client_that_sends_too_much_at_once_on_its_last_connection_gets_its_answer(client: Wire, ends: str):
    length, options = (16 << 20) + 1, () if ends == "1.0" else (ends,)
    client.send(head(length, *options, version="1.0" if ends == "1.0" else "1.1"))
    client.send(b" " * length)
    assert client.answer().status == 413
    assert client.ends()


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200), 400),  # TLS
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (b"garbage\r\n\r\n", 400),
        (head(None, "Transfer-Encoding: chunked") + b"xyz\r\n", 400),
        (b"GET /v2 HTTP/1.1\r\nA: " + b"a" * (400 << 10), 431),
        (b"GET /v2 HTTP/1.1\r\n" + b"A: a\r\n" * (80 << 10), 431),
        (head(None, "Transfer-Encoding: chunked") + b"1\r\n \r\n0\r\nA: " + b"a" * (600 << 10), 431),
    ],
    ids=["TLS", "HTTP/2", "garbage", "a chunk without a size", "a long header", "many headers", "a long trailer"],
)
def test_what_is_no_request_is_refused_in_words_and_its_connection_ends(client: Wire, sent: bytes, status: int):
    client.send(sent)
    answer = client.answer()
    assert answer.status == status
    assert answer.json["error"]
    assert client.ends()


def test_requests_before_one_that_is_none_are_answered(client: Wire):
    client.send(request("1"), request("2"), b"garbage\r\n\r\n")
    assert answered_ids(client, 2) == ["1", "2"]
    assert client.ends()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_the_port_is_open_for_both_families_of_addresses(server: ServingProcess, host: str):
    with wire(server.port, host) as client:
        client.send(request(host))
        assert answered_ids(client, 1) == [host]
