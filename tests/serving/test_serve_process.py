"""`longtail-serving serve` as a real process."""

import json
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from longtail_api.store_layout import model_key
from longtail_serving.server import DRAIN_SECONDS
from tests.serving.serving_process import ServingProcess, environment, free_port, serve_flags, serving, started
from tests.serving.tiny_model import INPUTS, LABEL, NAME, Stored, graph, row_inputs, store_model

pytestmark = pytest.mark.slow  # real processes that start, serve and drain

BODY = json.dumps({"inputs": [tensor.model_dump(mode="json") for tensor in row_inputs()]}).encode()


@pytest.fixture
def stored(tmp_path: Path) -> Stored:
    return store_model(tmp_path / "store")


def last_words(server: ServingProcess) -> dict[str, str]:
    return json.loads(server.termination_log.read_text())


def test_it_answers_and_ends_with_0_on_sigterm(stored: Stored):
    with serving(stored) as server:
        answer = httpx.post(server.infer_url, content=BODY, trust_env=False).json()
        assert answer["outputs"][0]["name"] == LABEL
        metrics = httpx.get(f"{server.url}/metrics", trust_env=False).text
        assert f'sha256="{stored.sha256}"' in metrics
        server.terminate()
        assert server.process.wait(30) == 0


def test_another_sha256_than_the_pinned_one_ends_with_65_and_names_both(stored: Stored):
    with started(stored, sha256="0" * 64) as server:
        assert server.process.wait(60) == 65
        message = last_words(server)["message"]
        assert "0" * 64 in message
        assert stored.sha256 in message


def test_a_version_that_is_not_in_the_store_ends_with_65(stored: Stored):
    with started(stored, version="v9") as server:
        assert server.process.wait(60) == 65
        assert "v9/model.json" in last_words(server)["message"]


def test_a_model_that_is_no_onnx_ends_with_65(tmp_path: Path):
    broken = store_model(tmp_path / "store", onnx_bytes=b"no model")
    with started(broken) as server:
        assert server.process.wait(60) == 65
        assert last_words(server)["reason"] == "ModelInvalid"


def test_a_card_with_other_inputs_than_the_model_ends_with_65(tmp_path: Path):
    wrong = [spec.model_copy(update={"datatype": "BYTES"}) if spec.name == "profile.age" else spec for spec in INPUTS]
    with started(store_model(tmp_path / "store", inputs=wrong)) as server:
        assert server.process.wait(60) == 65
        assert "profile.age" in last_words(server)["message"]


def test_a_model_that_fails_when_it_runs_ends_with_65(tmp_path: Path):
    # Concatenating a batch of one with three constants can't be added to a batch of 16.
    node = (
        "three = Concat <axis = 0> (last, last, last)  as_float = Cast <to = 1> (three)  click = Add (logit, as_float)"
    )
    failing = store_model(tmp_path / "store", onnx_bytes=graph(score=node))
    with started(failing) as server:
        assert server.process.wait(60) == 65
        assert "made-up batch of 16 rows" in last_words(server)["message"]


def test_a_store_that_can_not_be_reached_ends_with_75(stored: Stored, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    nowhere = f"http://127.0.0.1:{free_port()}"
    with started(stored, store_uri="s3://bucket/prefix", store_endpoint=nowhere) as server:
        assert server.process.wait(60) == 75
        assert last_words(server)["reason"] == "StoreUnreachable"


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"port": "http"}, "'http' is no port"),
        ({"store_uri": "s3://bucket/a?b"}, "--store-uri: must have no '?'"),
        ({"store_endpoint": "http://s3/path"}, "--store-endpoint: must be http:// or https:// with a host"),
        ({"sha256": "abc"}, "no SHA-256"),
        ({"threads": "0"}, "'0' is no number from 1"),
        ({"store_path_style": "yes"}, "neither true nor false"),
        ({"colour": "red"}, "--colour"),
    ],
)
def test_wrong_flags_end_with_64_and_name_the_flag(stored: Stored, changed: dict[str, str], words: str):
    flags = serve_flags(stored, 8080, **changed)
    done = subprocess.run(
        [sys.executable, "-m", "longtail_serving", "serve", *flags], capture_output=True, text=True, env=environment()
    )
    assert done.returncode == 64
    assert words in done.stderr


def test_flags_may_come_from_the_environment_and_a_service_called_longtail_does_no_harm(
    stored: Stored, monkeypatch: pytest.MonkeyPatch
):
    environ = environment() | {"LONGTAIL_PORT": "tcp://10.0.0.1:80", "LONGTAIL_SHA256": "abc"}
    flags = serve_flags(stored, 8080)
    for flag in ("--port", "--sha256"):
        position = flags.index(flag)
        del flags[position : position + 2]
    done = subprocess.run(
        [sys.executable, "-m", "longtail_serving", "serve", *flags], capture_output=True, text=True, env=environ
    )
    assert done.returncode == 64
    assert "no SHA-256" in done.stderr
    assert "port" not in done.stderr


@pytest.mark.parametrize("command", [[], ["serve"], ["check"]])
def test_help_is_there_for_each_command(command: list[str]):
    arguments = [sys.executable, "-m", "longtail_serving", *command, "--help"]
    done = subprocess.run(arguments, capture_output=True, text=True, env=environment())
    assert done.returncode == 0
    assert "usage: longtail-serving" in done.stdout


def test_every_request_that_arrives_around_sigterm_is_answered(stored: Stored):
    """Clients ask without a pause while SIGTERM comes; each stops when told that its connection closes."""
    under_way = threading.Barrier(5)

    def client(url: str) -> list[int]:
        statuses: list[int] = []
        with httpx.Client(trust_env=False) as connection:
            statuses.append(connection.post(url, content=BODY).status_code)
            under_way.wait()
            while True:
                response = connection.post(url, content=BODY)
                statuses.append(response.status_code)
                if response.headers.get("connection") == "close":
                    return statuses

    with serving(stored) as server, ThreadPoolExecutor(4) as clients:
        answered = [clients.submit(client, server.infer_url) for _ in range(4)]
        under_way.wait()
        server.terminate()
        for statuses in answered:
            assert set(statuses.result(timeout=60)) == {200}
        assert server.process.wait(30) == 0


def test_a_request_that_is_half_sent_at_sigterm_is_answered_once_it_is_whole(stored: Stored):
    head = f"POST /v2/models/{NAME}/infer HTTP/1.1\r\nHost: x\r\nContent-Length: {len(BODY)}\r\n\r\n".encode()
    with serving(stored) as server, socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(head + BODY[:10])
        server.terminate()
        with pytest.raises(subprocess.TimeoutExpired):  # it waits for the rest, beyond the time it takes new requests
            server.process.wait(DRAIN_SECONDS + 1)
        connection.sendall(BODY[10:])
        answer = connection.makefile("rb").readline()
        assert answer.startswith(b"HTTP/1.1 200")
        assert server.process.wait(30) == 0


def test_it_is_not_ready_at_once_after_sigterm_but_still_live(stored: Stored):
    head = f"POST /v2/models/{NAME}/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n".encode()
    with serving(stored) as server, httpx.Client(trust_env=False, base_url=server.url) as client:
        with socket.create_connection(("127.0.0.1", server.port)) as held:
            held.sendall(head)
            server.terminate()
            states: list[int] = []
            while not states or states[-1] == 200:  # until the signal is delivered
                states.append(client.get("/v2/health/ready").status_code)
            assert states[-1] == 503
            assert client.get("/v2/health/live").status_code == 200
        assert server.process.wait(30) == 0


def test_a_real_process_answers_garbage_with_4xx(stored: Stored):
    with serving(stored) as server, httpx.Client(trust_env=False) as client:
        for body in (b"", b"{", b"[" * 100_000, b"\x00" * 100, b'{"inputs": [{"name": "\\ud800"}]}', b"1" * 10_000):
            assert client.post(server.infer_url, content=body).status_code == 400
        assert client.post(server.infer_url, content=b" " * ((16 << 20) + 1)).status_code == 413
        assert client.post(server.infer_url, content=BODY).status_code == 200


def test_an_object_that_was_changed_in_the_store_is_not_served(stored: Stored):
    (stored.store.root / model_key(stored.card.scenario, stored.version)).write_bytes(graph(sign=-1.0))
    with started(replace(stored)) as server:
        assert server.process.wait(60) == 65
