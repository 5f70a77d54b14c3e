"""No end of the serving process without a reason: each leaves an exit code and a termination message."""

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from longtail_serving import command as command_line
from longtail_serving.listening import listening_socket
from tests.serving.serving_process import environment, serve_flags, started
from tests.serving.tiny_model import Stored, store_model


@pytest.fixture
def stored(tmp_path: Path) -> Stored:
    return store_model(tmp_path / "store")


def ended(arguments: list[str], log: Path, **variables: str) -> tuple[int, dict[str, str]]:
    """Run the command to its end; its exit code and termination message."""
    done = subprocess.run(
        [sys.executable, "-m", "longtail_serving", *arguments, "--termination-log", str(log)],
        capture_output=True, env=environment() | variables, check=False, timeout=120,
    )  # fmt: skip
    return done.returncode, json.loads(log.read_text())


def test_a_port_that_another_process_has_ends_with_64_and_the_port(stored: Stored, tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        code, words = ended(["serve", *serve_flags(stored, port)], tmp_path / "log")
    assert (code, words["reason"]) == (64, "PortUnusable")
    assert f"--port {port}" in words["message"]
    assert "in use" in words["message"]


@pytest.mark.parametrize(
    ("flag", "value", "words"),
    [
        ("port", "http", "no port"),
        ("max_rows", "0", "no number from 1 to 1048576"),
        ("max_body_bytes", "16Mi", "no number from 1024"),
        ("request_seconds", "-1", "must be above 0"),
        ("colour", "red", "--colour"),
    ],
)
def test_a_wrong_flag_stands_in_the_termination_message(
    stored: Stored, tmp_path: Path, flag: str, value: str, words: str
):
    code, left = ended(["serve", *serve_flags(stored, 8080, **{flag: value})], tmp_path / "log")
    assert (code, left["reason"]) == (64, "InvalidSpec")
    assert words in left["message"]
    assert flag.replace("_", "-") in left["message"]


def test_an_image_without_a_library_says_so(stored: Stored, tmp_path: Path):
    (tmp_path / "pydantic.py").write_text("raise ImportError('libgone.so: cannot open shared object file')")
    path = os.pathsep.join([str(tmp_path), os.environ["PYTHONPATH"]]) if "PYTHONPATH" in os.environ else str(tmp_path)
    code, words = ended(["serve", *serve_flags(stored, 8080)], tmp_path / "log", PYTHONPATH=path)
    assert (code, words["reason"]) == (70, "ImageBroken")
    assert "libgone.so" in words["message"]


class Panic(BaseException):
    """As native libraries raise theirs: no `Exception`."""


@pytest.mark.parametrize("fault", [Panic("a thread panicked"), MemoryError(), SystemExit(3), RecursionError("deep")])
def test_whatever_is_raised_ends_with_70_and_a_message(
    fault: BaseException, stored: Stored, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def raising(options: object) -> None:
        raise fault

    monkeypatch.setitem(command_line._COMMANDS, "serve", raising)  # pyright: ignore[reportPrivateUsage]
    log = tmp_path / "log"
    assert command_line.command(["serve", *serve_flags(stored, 8080), "--termination-log", str(log)]) == 70
    words = json.loads(log.read_text())
    assert words["reason"] == type(fault).__name__
    assert words["message"]


@pytest.mark.parametrize("fault", [Panic("a thread panicked"), MemoryError("16 GiB")])
def test_what_is_raised_beside_while_the_model_is_loaded_ends_the_process_too(
    fault: BaseException, stored: Stored, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def panicking(*_: object) -> None:
        raise fault

    monkeypatch.setattr("longtail_serving.server.fetch_model", panicking)
    log = tmp_path / "log"
    with listening_socket(0) as free:
        port = free.getsockname()[1]
    assert command_line.command(["serve", *serve_flags(stored, port), "--termination-log", str(log)]) == 70
    assert json.loads(log.read_text())["message"] == str(fault)


def test_a_termination_log_that_can_not_be_written_leaves_the_exit_code(stored: Stored, tmp_path: Path):
    log = tmp_path / "no" / "such" / "folder"
    assert command_line.command(["serve", *serve_flags(stored, 0), "--termination-log", str(log)]) == 64


def test_without_ipv6_the_port_is_open_for_ipv4(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(socket, "has_dualstack_ipv6", lambda: False)
    with listening_socket(0) as port:
        assert port.family == socket.AF_INET


def test_where_ipv6_addresses_can_not_be_bound_the_port_is_open_for_ipv4(monkeypatch: pytest.MonkeyPatch):
    create = socket.create_server

    def without_ipv6(address: tuple[str, int], **options: object) -> socket.socket:
        if ":" in address[0]:
            raise OSError("Cannot assign requested address")
        return create(address, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "create_server", without_ipv6)
    with listening_socket(0) as port:
        assert port.family == socket.AF_INET


def test_sigterm_before_the_model_is_there_is_a_good_end(stored: Stored, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    with socket.create_server(("127.0.0.1", 0)) as silent:  # a store that accepts, and never answers
        nowhere = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with started(stored, store_uri="s3://bucket/prefix", store_endpoint=nowhere) as server:
            server.wait_until_live()
            server.terminate()
            assert server.process.wait(60) == 0
            assert not server.termination_log.exists()


def test_each_limit_stands_in_the_page_and_in_help_with_its_default():
    page = (Path(__file__).resolve().parents[2] / "docs" / "serving.md").read_text()
    documented = dict(re.findall(r"^\| `--([a-z-]+)` \| (\d+) \|", page, flags=re.MULTILINE))
    flags = serve_flags_with_defaults()
    assert documented == {name: default for name, default in flags.items() if re.match(r"max-|.*-seconds", name)}


def serve_flags_with_defaults() -> dict[str, str]:
    arguments = [sys.executable, "-m", "longtail_serving", "serve", "--help"]
    shown = subprocess.run(
        arguments, capture_output=True, text=True, env=environment() | {"COLUMNS": "500"}, check=True
    )
    return dict(re.findall(r"^ +--([a-z0-9-]+) .*\(default: (\S+)\)$", shown.stdout, flags=re.MULTILINE))
