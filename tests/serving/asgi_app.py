"""The serving application without a process, and valid requests to it, whole or with one thing changed."""

import asyncio
import json
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from longtail_api.store_layout import model_key
from longtail_serving.application import application
from longtail_serving.limits import Limits
from longtail_serving.metrics import Metrics
from longtail_serving.model import Model
from longtail_serving.served import Served
from tests.serving.tiny_model import INPUTS, NAME, store_model

Json = dict[str, Any]
ROWS = 200
LIMITS = Limits(body_bytes=100_000, rows=ROWS, values=5000)
INFER = f"/v2/models/{NAME}/infer"
SLOT, AGE = "context.slot", "profile.age"
ITEM, PRICE, LENGTH = "behaviors.clicks.item", "behaviors.clicks.price", "behaviors.clicks:length"


class App:
    """The ASGI application, without a process. Faults inside it are raised here, beside being answered with 500."""

    def __init__(self, served: Served, executor: ThreadPoolExecutor) -> None:
        self.served = served
        self.metrics = Metrics()
        self._app = application(served, self.metrics, executor, served.limits)

    def request(self, method: str, path: str, body: bytes | None = None, **headers: str) -> httpx.Response:
        return asyncio.run(self.ask(method, path, body, **headers))

    async def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> httpx.Response:
        transport = httpx.ASGITransport(self._app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
            return await client.request(method, path, content=body, headers=headers)

    def infer(self, content: object) -> httpx.Response:
        return self.request("POST", INFER, json.dumps(content).encode())


@contextmanager
def serving_app(folder: Path, onnx_bytes: bytes | None = None, limits: Limits = LIMITS) -> Generator[App]:
    """The application with a model of tiny_model.py."""
    stored = store_model(folder, onnx_bytes=onnx_bytes)
    served = Served(NAME, stored.version, limits)
    served.accept(Model(folder / model_key(stored.card.scenario, stored.version), stored.card, threads=1))
    with ThreadPoolExecutor(2) as executor:
        yield App(served, executor)


def a_request(rows: int = 1, width: int = 2) -> Json:
    """A valid request."""
    shapes = {2: [rows, width], 1: [rows]}
    values: dict[str, list[Any]] = {"BYTES": ["top"], "FP32": [1.5], "INT64": [width]}
    inputs: list[Json] = []
    for spec in INPUTS:
        shape = shapes[len(spec.shape)]
        count = rows if len(shape) == 1 else rows * width
        inputs.append(
            {"name": spec.name, "datatype": spec.datatype, "shape": shape, "data": values[spec.datatype] * count}
        )
    return {"inputs": inputs}


def changed(name: str, /, **fields: Any) -> Json:
    """A valid request but for one input."""
    content = a_request()
    next(tensor for tensor in content["inputs"] if tensor["name"] == name).update(fields)
    return content


def without(name: str) -> Json:
    content = a_request()
    content["inputs"] = [tensor for tensor in content["inputs"] if tensor["name"] != name]
    return content


def dropped(tensor: Json, field: str) -> Json:
    return {name: value for name, value in tensor.items() if name != field}


def score(response: httpx.Response) -> list[float]:
    assert response.status_code == 200, response.text
    return response.json()["outputs"][0]["data"]
