"""What is wrong with a store, as the trainer's process tells it: the exit code and the reason in its last words."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from longtail_api.run_config import ExitCode, StoreAddress
from tests.store.scripted_s3 import HTML, Answering, Reply, Request, ScriptedS3, echo, error, page, scripted_s3
from tests.trainer.tiny import SCHEMA, prepare_config

KEY, SECRET = "CANARYACCESSKEY", "canary/secret"


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedS3]:
    with scripted_s3() as server:
        yield server


def told_by_prepare(folder: Path, store: StoreAddress, key: str = KEY, **changes: object) -> tuple[int, str]:
    """Exit code and reason of `longtail-trainer prepare` in a process of its own; no key is in anything it says."""
    config = prepare_config(folder, store, SCHEMA, "s0").to_json_dict() | changes
    (folder / "config.json").write_text(json.dumps(config))
    words = folder / "last-words"
    words.touch()
    done = subprocess.run(
        [sys.executable, "-m", "longtail_trainer", "prepare", "--config", str(folder / "config.json")],
        env={
            **os.environ,
            "AWS_ACCESS_KEY_ID": key,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_MAX_ATTEMPTS": "1",
            "TERMINATION_MESSAGE_PATH": str(words),
        },
        capture_output=True,
        text=True,
    )
    for said in (words.read_text(), done.stdout, done.stderr):
        for canary in ("CANARY", "canary/", "Signature=", "AWS4-HMAC"):
            assert canary not in said
    return done.returncode, json.loads(words.read_text())["reason"]


ANSWERS: list[tuple[Answering, ExitCode, str]] = [
    (lambda request: echo(request), ExitCode.CONFIG_INVALID, "AccessDenied"),
    (lambda request: error(403, "SignatureDoesNotMatch"), ExitCode.CONFIG_INVALID, "CredentialsInvalid"),
    (lambda request: error(403, "RequestTimeTooSkewed"), ExitCode.CONFIG_INVALID, "ClockSkewed"),
    (lambda request: error(404, "NoSuchBucket"), ExitCode.CONFIG_INVALID, "BucketMissing"),
    (lambda request: error(301, "PermanentRedirect"), ExitCode.CONFIG_INVALID, "WrongRegion"),
    (lambda request: page(301, {"Location": "https://s3.example.com/"}), ExitCode.CONFIG_INVALID, "EndpointRedirects"),
    (lambda request: page(404), ExitCode.CONFIG_INVALID, "NotS3"),
    (lambda request: Reply(200, b"<html>", HTML), ExitCode.CONFIG_INVALID, "NotS3"),
    (lambda request: Reply(429), ExitCode.RETRYABLE, "StoreUnreachable"),
]


@pytest.mark.parametrize(
    ("answering", "code", "reason"), ANSWERS, ids=[f"{n} {one[2]}" for n, one in enumerate(ANSWERS)]
)
def test_an_answer_ends_the_process_with_its_reason(
    server: ScriptedS3, tmp_path: Path, answering: Answering, code: ExitCode, reason: str
):
    server.answering = answering
    address = StoreAddress(uri="s3://bucket/prefix", endpoint=server.url)
    assert told_by_prepare(tmp_path, address) == (code, reason)


def test_a_key_with_a_newline_at_its_end_is_used_without(server: ScriptedS3, tmp_path: Path):
    server.requests.clear()

    def signed(request: Request) -> Reply:
        assert f"Credential={KEY}/" in request.headers["authorization"]
        return error(403, "AccessDenied")

    server.answering = signed
    address = StoreAddress(uri="s3://bucket/prefix", endpoint=server.url)
    assert told_by_prepare(tmp_path, address, key=f"{KEY}\n") == (ExitCode.CONFIG_INVALID, "AccessDenied")


@pytest.mark.parametrize("tables", [{}, {"samples": "s3://bucket/samples.parquet"}], ids=["the store", "the tables"])
def test_a_key_with_a_newline_inside_is_told_whoever_reads(server: ScriptedS3, tmp_path: Path, tables: dict[str, str]):
    in_s3 = StoreAddress(uri="s3://bucket/prefix", endpoint=server.url)
    store = StoreAddress(uri=(tmp_path / "store").as_uri()) if tables else in_s3
    more: dict[str, object] = {"dataStore": in_s3.to_json_dict(), **tables} if tables else {}
    assert told_by_prepare(tmp_path, store, key=f"{KEY}\nX", **more) == (ExitCode.CONFIG_INVALID, "CredentialsInvalid")


@pytest.mark.parametrize("uri", ["s3://bucket/a?b", "s3://bucket//a"])
def test_an_address_that_would_be_cut_is_refused(tmp_path: Path, uri: str):
    store = StoreAddress(uri="s3://bucket/a").model_copy(update={"uri": uri})
    code, _ = told_by_prepare(tmp_path, store)
    assert code == ExitCode.CONFIG_INVALID
