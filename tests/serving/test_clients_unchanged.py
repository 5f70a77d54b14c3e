"""The clients that people have, as they are by default, against the real process."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.serving.asgi_app import AGE, a_request, changed
from tests.serving.serving_process import ServingProcess, serving
from tests.serving.tiny_model import LABEL, NAME, store_model

pytestmark = pytest.mark.slow  # compilers, and virtual machines that start

CLIENTS = Path(__file__).parent / "clients"
COMMANDS = {
    "Default.java": ["java"],
    "UrlConnection.java": ["java"],
    "default.go": ["go", "run"],
    "fetch.mjs": ["node"],
    "http.mjs": ["node"],
    "with_curl.sh": ["bash"],
    "with_httpx.py": [sys.executable],
    "with_requests.py": [sys.executable],
    "with_urllib.py": [sys.executable],
}
NEEDS = {"with_curl.sh": "curl"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[ServingProcess]:
    with serving(store_model(tmp_path_factory.mktemp("store"))) as process:
        yield process


def test_every_client_is_run():
    assert set(COMMANDS) == {file.name for file in CLIENTS.iterdir() if file.is_file()}


@pytest.mark.parametrize("client", COMMANDS)
def test_a_client_gets_the_documented_answers(client: str, server: ServingProcess, tmp_path: Path):
    program = NEEDS.get(client, COMMANDS[client][0])
    if not shutil.which(program):
        pytest.skip(f"{program} is not on this machine")
    bodies = {"good": a_request(rows=3), "wrong": changed(AGE, data=["old"]), "large": a_request(rows=10_000)}
    for name, content in bodies.items():
        (tmp_path / name).write_text(json.dumps({"id": name, **content}))
    (tmp_path / "too-large").write_bytes(b" " * ((16 << 20) + 1))
    files = [str(tmp_path / name) for name in ("good", "wrong", "large", "too-large", "good")]
    done = subprocess.run(
        [*COMMANDS[client], CLIENTS / client, server.infer_url, *files],
        env={**os.environ, "no_proxy": "*"}, capture_output=True, text=True, check=False, timeout=250,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    answers = [line.partition(" ") for line in done.stdout.splitlines() if line]
    assert [int(status) for status, _, _ in answers] == [200, 400, 200, 413, 200]
    good, wrong, large, too_large, again = (json.loads(body) for _, _, body in answers)
    assert (good["model_name"], good["id"], good["outputs"][0]["name"]) == (NAME, "good", LABEL)
    assert good["outputs"] == again["outputs"]
    assert AGE in wrong["error"]
    assert len(large["outputs"][0]["data"]) == 10_000
    assert "--max-body-bytes" in too_large["error"]
