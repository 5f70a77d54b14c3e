"""S3 for tests: a gateway over a folder, as a local process, or in the cluster as `up` leaves it."""

import os
import secrets
import subprocess
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.devcluster.binaries import binary
from tests.devcluster.errors import ClusterError
from tests.devcluster.processes import end, free_port, listens


@dataclass(frozen=True)
class Endpoint:
    """How to reach an S3 store. Requests are path-style, of any region (the gateway says us-east-1)."""

    url: str
    access_key: str
    secret_key: str


@contextmanager
def local_versitygw(directory: Path) -> Generator[Endpoint]:
    """Serve `directory` (made if need be; its sub-folders are the buckets) as S3 on a free loopback port.

    Builds the gateway first where the cache has none (2 minutes). The process is ended on exit. Raises
    `ClusterError` with the gateway's own words where it does not get ready.
    """
    program = binary("versitygw")
    directory.mkdir(parents=True, exist_ok=True)
    endpoint = Endpoint(f"http://127.0.0.1:{free_port()}", "longtail-test", secrets.token_urlsafe(24))
    address = endpoint.url.removeprefix("http://")
    environment = os.environ | {"ROOT_ACCESS_KEY": endpoint.access_key, "ROOT_SECRET_KEY": endpoint.secret_key}
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            [program, "--port", address, "posix", directory],
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            if not _got_ready(process, address):
                log.seek(0)
                raise ClusterError(f"versitygw did not get ready at {address}:\n{log.read()[-2000:]}")
            yield endpoint
        finally:
            end(process)


def _got_ready(process: subprocess.Popen[bytes], address: str, seconds: float = 20) -> bool:
    host, port = address.split(":")
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        if listens(host, int(port)):
            return True
        time.sleep(0.02)
    return False
