"""The serving process: answers health at once, loads the model beside, drains on SIGTERM."""

import logging
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, cast

import uvicorn

from longtail_serving.application import application
from longtail_serving.connection import Connections
from longtail_serving.limits import Limits
from longtail_serving.listening import allow_files_for, listening_socket
from longtail_serving.metrics import Metrics
from longtail_serving.model import Model
from longtail_serving.model_source import fetch_model
from longtail_serving.served import Served
from longtail_store import Store

log = logging.getLogger("longtail_serving")

DRAIN_SECONDS = 1.0
"""From SIGTERM to the closing of the port: answers in this time ask clients to close their connections."""
FINISH_SECONDS = 20
"""What requests under way then have to finish; together well below terminationGracePeriodSeconds of 30."""


@dataclass(frozen=True)
class ServeOptions:
    """What `longtail-serving serve` was asked for."""

    scenario: str
    version: str
    sha256: str
    model_name: str
    port: int
    threads: int
    limits: Limits


def serve(store: Store, options: ServeOptions) -> None:
    """Serve until SIGTERM. Raises what kept the model from being loaded."""
    metrics = Metrics()
    metrics.model.info(
        {"name": options.model_name, "scenario": options.scenario, "version": options.version, "sha256": options.sha256}
    )
    served = Served(options.model_name, options.version, options.limits)
    allow_files_for(options.limits.connections)
    port = listening_socket(options.port)
    with ThreadPoolExecutor(max(2, options.threads), thread_name_prefix="inference") as executor:
        config = uvicorn.Config(
            application(served, metrics, executor, options.limits),
            http=cast(Any, Connections(options.limits).connection),  # called as a class of protocols would be
            ws="none",
            access_log=False,
            log_level="warning",
            lifespan="off",
            server_header=False,
            timeout_keep_alive=cast(int, options.limits.idle_seconds),  # uvicorn's type: fractions work
            timeout_graceful_shutdown=FINISH_SECONDS,
        )
        server = DrainingServer(config, served)
        loading = _Loading(store, options, served, server)
        loading.start()
        server.run(sockets=[port])
    if loading.error is not None:
        raise loading.error


class DrainingServer(uvicorn.Server):
    """uvicorn, that goes on answering for a moment after SIGTERM, and then ends with exit code 0.

    uvicorn alone closes the port and idle connections at once: requests that are on their way meet a reset.
    """

    def __init__(self, config: uvicorn.Config, served: Served) -> None:
        super().__init__(config)
        self._served = served
        self._drained_at: float | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        # Not recorded for uvicorn, which would raise the signal again after a graceful end.
        if self._served.draining:
            self.should_exit = True
        self._served.draining = True
        self._drained_at = time.monotonic() + DRAIN_SECONDS

    async def on_tick(self, counter: int) -> bool:
        if self._drained_at is not None and time.monotonic() >= self._drained_at:
            self.should_exit = True
        return await super().on_tick(counter)


class _Loading(threading.Thread):
    """Fetches, verifies and warms up the model. A daemon: SIGTERM need not wait for a slow store."""

    def __init__(self, store: Store, options: ServeOptions, served: Served, server: DrainingServer) -> None:
        super().__init__(daemon=True, name="loading")
        self._store, self._options, self._served, self._server = store, options, served, server
        self.error: BaseException | None = None

    def run(self) -> None:
        started = time.monotonic()
        try:
            model = self._loaded()
        except BaseException as error:  # raised again in the main thread, which gives it an exit code
            self.error = error
            self._server.should_exit = True
            return
        self._served.accept(model)
        log.info("%s is ready after %.1f s", self._options.version, time.monotonic() - started)

    def _loaded(self) -> Model:
        options = self._options
        with tempfile.TemporaryDirectory(prefix="longtail-model-") as folder:
            path = Path(folder) / "model.onnx"
            card = fetch_model(self._store, options.scenario, options.version, options.sha256, path)
            model = Model(path, card, options.threads)
        model.warm_up()
        return model
