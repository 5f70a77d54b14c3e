"""The routes: Open Inference Protocol v2 over REST, and /metrics. An ASGI application without a process around it."""

import asyncio
import json
import logging
from concurrent.futures import Executor
from contextlib import nullcontext
from importlib.metadata import PackageNotFoundError, version
from time import perf_counter
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from longtail_api.store_objects import TensorSpec
from longtail_serving.bodies import Bodies
from longtail_serving.errors import ModelUnknown, NotReady, RequestRefused
from longtail_serving.infer_request import RequestReader, answer_bytes
from longtail_serving.limits import Limits
from longtail_serving.metrics import Metrics
from longtail_serving.model import Model
from longtail_serving.served import Served
from longtail_serving.tensors import short_repr

log = logging.getLogger("longtail_serving")

LARGE_BYTES = 256 << 10
"""Bodies beyond are worked on one after another: what they become is many times their size."""
_OUTCOMES = {200: "ok", 400: "refused", 404: "unknown_model", 408: "too_slow", 413: "too_large", 499: "disconnected",
             503: "not_ready"}  # fmt: skip


def application(served: Served, metrics: Metrics, executor: Executor, limits: Limits) -> Starlette:
    """The application; inference runs in `executor`, so that health is answered whatever the load."""
    routes = _Routes(served, metrics, executor, limits)
    model = "/v2/models/{model}"
    versioned = f"{model}/versions/{{version}}"
    return Starlette(
        routes=[
            Route("/v2/health/live", routes.live),
            Route("/v2/health/ready", routes.ready),
            Route("/metrics", routes.metrics),
            Route("/v2", routes.server),
            Route("/v2/", routes.server),
            *(Route(f"{path}/infer", routes.infer, methods=["POST"]) for path in (model, versioned)),
            *(Route(f"{path}/ready", routes.model_ready) for path in (model, versioned)),
            *(Route(path, routes.model) for path in (model, versioned)),
        ],
        exception_handlers={
            RequestRefused: _refused,
            HTTPException: _http_exception,
            Exception: _bug,
        },
    )


class _Routes:
    def __init__(self, served: Served, metrics: Metrics, executor: Executor, limits: Limits) -> None:
        self._served = served
        self._metrics = metrics
        self._executor = executor
        self._limits = limits
        self._bodies = Bodies(limits)
        self._one_large = asyncio.Lock()
        self._under_way = 0

    async def live(self, request: Request) -> Response:
        return self._json({"live": True})

    async def ready(self, request: Request) -> Response:
        return self._json({"ready": self._ready}, 200 if self._ready else 503)

    @property
    def _ready(self) -> bool:
        """Whether a request that came now would be answered."""
        return self._served.ready and self._under_way < self._limits.requests and not self._bodies.full

    async def metrics(self, request: Request) -> Response:
        self._metrics.ready.set(self._ready)
        return Response(generate_latest(self._metrics.registry), media_type=CONTENT_TYPE_LATEST)

    async def server(self, request: Request) -> Response:
        return self._json({"name": "longtail-serving", "version": _own_version(), "extensions": []})

    async def model_ready(self, request: Request) -> Response:
        self._check_model(request)
        return self._json({"name": self._served.name, "ready": self._ready}, 200 if self._ready else 503)

    async def model(self, request: Request) -> Response:
        self._check_model(request)
        if self._served.model is None:
            raise NotReady(f"model {self._served.name!r} is still loading; ask again in a moment")
        card = self._served.model.card
        return self._json(
            {
                "name": self._served.name,
                "versions": [self._served.version],
                "platform": "onnxruntime_onnx",
                "inputs": [_metadata(spec) for spec in card.inputs],
                "outputs": [_metadata(spec) for spec in card.outputs],
            }
        )

    async def infer(self, request: Request) -> Response:
        started = perf_counter()
        status = 500
        try:
            response = await self._answer(request)
            status = response.status_code
            return response
        except RequestRefused as refusal:
            status = refusal.status
            raise
        except ClientDisconnect:
            status = 499
            return Response(status_code=status)
        finally:
            outcome = _OUTCOMES.get(status, "error")
            self._metrics.requests.labels(outcome).inc()
            self._metrics.request_seconds.labels(outcome).observe(perf_counter() - started)

    async def _answer(self, request: Request) -> Response:
        self._check_model(request)
        model, reader = self._served.model, self._served.reader
        if model is None or reader is None:
            raise NotReady(f"model {self._served.name!r} is still loading; ask again in a moment")
        if "inference-header-content-length" in request.headers:
            raise RequestRefused("binary tensors are not supported; send the data of each tensor as JSON")
        async with self._bodies.read(request) as body:
            return self._response(await self._worked_on(model, reader, body))

    async def _worked_on(self, model: Model, reader: RequestReader, body: bytearray) -> bytes:
        """The answer to a body that is whole; only from here on it counts as under way."""
        if self._under_way >= self._limits.requests:
            raise NotReady(f"{self._limits.requests} requests are under way already; ask again in a moment")
        self._under_way += 1
        self._metrics.in_flight.inc()
        try:
            async with self._one_large if len(body) > LARGE_BYTES else nullcontext():
                loop = asyncio.get_running_loop()
                return await loop.run_in_executor(self._executor, self._scored, model, reader, body)
        finally:
            self._under_way -= 1
            self._metrics.in_flight.dec()

    def _scored(self, model: Model, reader: RequestReader, body: bytearray) -> bytes:
        """The answer to a body. Runs in a thread of the executor."""
        inference = reader.read(body)
        self._metrics.batch_rows.observe(inference.rows)
        with self._metrics.inference_seconds.time():
            scores = model.scores(inference.arrays, inference.outputs)
        content, not_finite = answer_bytes(inference, self._served.name, self._served.version, scores)
        self._metrics.not_finite.inc(not_finite)
        return content

    def _check_model(self, request: Request) -> None:
        name: str = request.path_params["model"]
        if name != self._served.name:
            raise ModelUnknown(f"model {short_repr(name)} is unknown; this server has {self._served.name!r}")
        asked: str = request.path_params.get("version", self._served.version)
        if asked != self._served.version:
            raise ModelUnknown(
                f"model {name!r} has no version {short_repr(asked)} here; this server has {self._served.version!r}"
            )

    def _json(self, content: dict[str, Any], status: int = 200) -> Response:
        return self._response(json.dumps(content).encode(), status)

    def _response(self, content: bytes, status: int = 200) -> Response:
        # A client with an open connection must look for another server, or its next request meets a closed port.
        headers = {"connection": "close"} if self._served.draining else None
        return Response(content, status, headers, "application/json")


def _metadata(spec: TensorSpec) -> dict[str, Any]:
    """A tensor as the protocol describes it: −1 is any size, of the batch or of a sequence."""
    return {"name": spec.name, "datatype": spec.datatype, "shape": [max(size, -1) for size in spec.shape]}


def _error(message: str, status: int, headers: dict[str, str] | None = None) -> Response:
    # ASCII JSON: a client's own text may hold half of a surrogate pair, which has no UTF-8.
    return Response(json.dumps({"error": message}).encode(), status, headers, "application/json")


def _refused(request: Request, error: Exception) -> Response:
    status = error.status if isinstance(error, RequestRefused) else 400
    headers = {503: {"retry-after": "1"}, 408: {"connection": "close"}}.get(status, {})
    if "expect" in request.headers:  # whether the body still comes is up to the client
        headers["connection"] = "close"
    return _error(str(error), status, headers)


def _http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    words = {404: f"there is nothing at {short_repr(request.url.path)}", 405: f"{request.method} is not allowed here"}
    headers = dict(error.headers) if error.headers else None
    return _error(words.get(error.status_code, error.detail), error.status_code, headers)


def _bug(request: Request, error: Exception) -> Response:
    log.error("%s %s: an error nobody foresaw", request.method, request.url.path, exc_info=error)
    return _error("an internal error; the server's log has it", 500)


def _own_version() -> str:
    try:
        return version("longtail")
    except PackageNotFoundError:  # in the image the package lies on PYTHONPATH, not installed
        return "unknown"
