"""Claim: stalled clients cost the others nothing, and the largest request a server allows adds 256 MiB at most.

Serves a light model of the default search space, for OULAD's columns, with random weights, as a process of its own.
Then asks it one small request after another over one connection, block after block, every other block beside 256
clients that announced a body and send nothing. And asks it the largest requests that the default limits allow: in
rows, in values, in bytes (text that Python holds in four bytes a character), and in values that are no valid request.

    python -m benchmarks.stalled_clients [--blocks N] [--requests N] [--json FILE]
"""

import argparse
import hashlib
import http.client
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from benchmarks.comparison.results import Claim, exit_status, write_result
from longtail_api.store_layout import model_card_key, model_key
from longtail_api.store_objects import AltLight, ModelCard, TensorSpec
from longtail_serving.limits import Limits
from longtail_store import write_object_if_absent
from longtail_store.file_store import FileStore

STALLED = 256
MOST_SLOWER, MOST_MIB = 1.2, 256.0
SCENARIO, VERSION, NAME = "benchmark.small.00000000", "v1", "small"
PATH = f"/v2/models/{NAME}/infer"
EVENTS = 16
READY_SECONDS = 60.0

Row = dict[str, Any]


class Server:
    """The process that is asked."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.process, self.port = process, port

    def connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)

    def memory(self, field: str) -> float:
        """MiB; VmRSS is resident now, VmHWM was at most since `forget_peak`."""
        status = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith(f"{field}:"))

    def forget_peak(self) -> None:
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")


def stored_model(folder: Path) -> ModelCard:
    """Put the model into a store at `folder`; its card."""
    # torch, which the rest does without: what is measured is another process
    import random

    from benchmarks.latency_table import features_of_the_shape
    from longtail_api.light_model_search import SearchSpace
    from longtail_trainer.export import export
    from longtail_trainer.export.signature import inputs_of, outputs_of
    from longtail_trainer.models.alt_light.model import LightModel
    from longtail_trainer.search.samplers.uniform import UniformSampler
    from longtail_trainer.search.spaces.alt_cell import space_of

    features = features_of_the_shape()
    space = space_of(features, SearchSpace())
    picks = UniformSampler(space, space.largest_flops()).draw(random.Random(0))
    light = space.decode_picks(picks)
    model = LightModel(features, light)
    content = export(model)
    card = ModelCard(
        scenario=SCENARIO,
        version=VERSION,
        sha256=hashlib.sha256(content).hexdigest(),
        bytes=len(content),
        inputs=inputs_of(model),
        outputs=outputs_of(model),
        labels=[label.name for label in features.data_schema.labels],
        data_version="v1",
        model=AltLight(width=light.width, layers=light.layers),
        flops=space.flops(picks),
        requests_key="none",
    )
    store = FileStore(folder)
    store.put_if_absent(model_key(SCENARIO, VERSION), content)
    write_object_if_absent(store, model_card_key(SCENARIO, VERSION), card)
    return card


@contextmanager
def serving(folder: Path, card: ModelCard) -> Generator[Server]:
    """A server that is ready, with one thread and the default limits."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    flags = {"store-uri": folder.as_uri(), "scenario": SCENARIO, "version": VERSION, "sha256": card.sha256,
             "model-name": NAME, "port": str(port), "threads": "1"}  # fmt: skip
    arguments = [part for name, value in flags.items() for part in (f"--{name}", value)]
    process = subprocess.Popen([sys.executable, "-m", "longtail_serving", "serve", *arguments])
    try:
        server = Server(process, port)
        deadline = time.monotonic() + READY_SECONDS
        while not _is_ready(server):
            if time.monotonic() > deadline or process.poll() is not None:
                raise RuntimeError(f"the server is not ready (exit code {process.poll()})")
            time.sleep(0.1)
        yield server
    finally:
        process.terminate()
        process.wait(60)


def _is_ready(server: Server) -> bool:
    connection = server.connection()
    try:
        connection.request("GET", "/v2/health/ready")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def body(card: ModelCard, rows: int, events: int, text: str = "value 1") -> bytes:
    """A request of so many rows, each with so many events."""
    values: dict[str, list[Any]] = {"BYTES": [text], "FP32": [0.25], "INT64": [events]}

    def tensor(spec: TensorSpec) -> Row:
        shape = [rows] if len(spec.shape) == 1 else [rows, events]
        count = rows if len(spec.shape) == 1 else rows * events
        return {"name": spec.name, "datatype": spec.datatype, "shape": shape, "data": values[spec.datatype] * count}

    content = {"inputs": [tensor(spec) for spec in card.inputs]}
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def largest_requests(card: ModelCard) -> dict[str, bytes]:
    """By what they are largest in."""
    limits = Limits()
    values_of_a_row = sum(EVENTS if len(spec.shape) == 2 else 1 for spec in card.inputs)
    texts_of_a_row = sum(spec.datatype == "BYTES" for spec in card.inputs if len(spec.shape) == 1)
    rows = min(limits.rows, int(limits.values * 0.999) // values_of_a_row)
    few = 1000
    letters = (limits.body_bytes - len(body(card, few, 0, "😀"))) // (few * texts_of_a_row)
    texts = rows * sum(EVENTS if len(spec.shape) == 2 else 1 for spec in card.inputs if spec.datatype == "BYTES")
    more = (limits.body_bytes - len(body(card, rows, EVENTS, "😀"))) // texts
    return {
        "values and bytes": body(card, rows, EVENTS, "😀" + "a" * more),
        "rows": body(card, limits.rows, 0),
        "values": body(card, rows, EVENTS),
        "bytes": body(card, few, 0, "😀" + "a" * letters),
        "values of no valid request": b"[" + b"[]," * (limits.values // 2 - 2) + b"[]]",
    }


def peak_of(server: Server, idle: float, kind: str, request: bytes) -> Row:
    """What one request added to the process at its highest, and how long it took."""
    server.forget_peak()
    connection, started = server.connection(), time.perf_counter()
    connection.request("POST", PATH, request)
    answer = connection.getresponse()
    answer.read()
    seconds = time.perf_counter() - started
    connection.close()
    added = server.memory("VmHWM") - idle
    return {"largestIn": kind, "mib": round(len(request) / 2**20, 2), "status": answer.status,
            "addedMib": round(added, 1), "seconds": round(seconds, 2)}  # fmt: skip


def block(server: Server, request: bytes, count: int, stalled: int) -> Row:
    """Latencies of one client's requests beside so many stalled ones."""
    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{{".encode()
    with ExitStack() as stack:
        for _ in range(stalled):
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port))).sendall(head)
        connection, seconds = server.connection(), list[float]()
        for _ in range(1 + count):
            started = time.perf_counter()
            connection.request("POST", PATH, request)
            answer = connection.getresponse()
            answer.read()
            seconds.append(time.perf_counter() - started)
            if answer.status != 200:
                raise RuntimeError(f"a request beside {stalled} stalled ones was answered with {answer.status}")
        connection.close()
    centiles = statistics.quantiles(seconds[1:], n=100)  # the first waits until all the clients are let in
    return {"stalled": stalled, "p50Milliseconds": round(centiles[49] * 1000, 3),
            "p99Milliseconds": round(centiles[98] * 1000, 3)}  # fmt: skip


def claims(blocks: list[Row], largest: list[Row]) -> list[Claim]:
    def middle(stalled: int) -> float:
        return statistics.median(row["p99Milliseconds"] for row in blocks if row["stalled"] == stalled)

    slower = round(middle(STALLED) / middle(0), 3)
    most = max(row["addedMib"] for row in largest)
    return [
        Claim(
            name=f"p99 of others beside {STALLED} stalled bodies, over that without (medians of blocks)",
            figure=slower, target=f"<= {MOST_SLOWER}", holds=slower <= MOST_SLOWER,
        ),
        Claim(
            name="peak memory of the largest requests over the idle server's, MiB",
            figure=most, target=f"<= {MOST_MIB:g}", holds=most <= MOST_MIB,
        ),
    ]  # fmt: skip


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(
        prog="python -m benchmarks.stalled_clients",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    found.add_argument("--blocks", type=int, default=15, help="of each kind, in turn")
    found.add_argument("--requests", type=int, default=1000, help="in a block, which must last less than 10 seconds")
    found.add_argument("--json", type=Path, help="also write the figures to this file")
    return found


def main() -> int:
    options = parser().parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="longtail-stalled-clients-") as folder:
        card = stored_model(Path(folder))
        with serving(Path(folder), card) as server:
            small = body(card, 1, EVENTS)
            block(server, small, options.requests, 0)  # not counted: whatever is only done once
            blocks = [
                block(server, small, options.requests, stalled)
                for _ in range(options.blocks)
                for stalled in (0, STALLED)
            ]
        with serving(Path(folder), card) as server:
            idle = server.memory("VmRSS")
            largest = [peak_of(server, idle, kind, request) for kind, request in largest_requests(card).items()]
    for row in [*blocks, *largest]:
        print(row)
    found = claims(blocks, largest)
    for claim in found:
        print(claim.line())
    if options.json:
        command = f"python -m benchmarks.stalled_clients --blocks {options.blocks} --requests {options.requests}"
        write_result(options.json, command, time.monotonic() - started, found, [*blocks, *largest])
    return exit_status(found)


if __name__ == "__main__":
    sys.exit(main())
