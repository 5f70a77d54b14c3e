"""One server, asked by HTTP: is it ready, and what does it answer."""

import asyncio
import json
import math
from dataclasses import dataclass
from time import monotonic, perf_counter
from typing import Any

import httpx

from longtail_serving.check.lateness import Lateness

_REQUEST_SECONDS = 10.0
_POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Answer:
    """What became of one request."""

    seconds: float
    scores: dict[str, float]
    """By output; NaN where the server gave null. Empty where it gave no answer that can be read."""
    responded: bool
    """There was an HTTP response, whatever its status."""
    error: str = ""
    """Why this is no good answer; empty where it is one."""
    late: float = 0.0
    """Of `seconds`, those in which the checker itself could not run."""

    @property
    def finite(self) -> bool:
        return all(map(math.isfinite, self.scores.values()))


class Server:
    """One version, behind one URL. Connections are kept and reused."""

    def __init__(self, url: str, model_name: str, version: str, connections: int, lateness: Lateness) -> None:
        self.version = version
        self._lateness = lateness
        self._ready_url = f"{url}/v2/models/{model_name}/versions/{version}/ready"
        self._infer_url = f"{url}/v2/models/{model_name}/versions/{version}/infer"
        limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
        # Without the environment's proxies: these are services of the cluster.
        self._client = httpx.AsyncClient(limits=limits, timeout=_REQUEST_SECONDS, trust_env=False)

    async def __aenter__(self) -> "Server":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def wait_until_ready(self, seconds: float) -> str:
        """Empty as soon as this version is ready; what was seen last, where it isn't within `seconds`."""
        deadline = monotonic() + seconds
        while True:
            try:
                response = await self._client.get(self._ready_url)
                if response.status_code == 200:
                    return ""
                seen = f"{self._ready_url} answers {response.status_code}: {response.text[:200]}"
            except httpx.HTTPError as error:
                seen = f"{self._ready_url} can't be reached: {type(error).__name__} {error}"
            if monotonic() >= deadline:
                return seen
            await asyncio.sleep(_POLL_SECONDS)

    async def ask(self, body: bytes) -> Answer:
        """Send one request. The clock stops when the answer is whole, before it is parsed."""
        late, started = self._lateness.seconds(), perf_counter()
        try:
            response = await self._client.post(self._infer_url, content=body)
        except httpx.HTTPError as error:
            words = f"{type(error).__name__} {error}".strip()
            seconds = perf_counter() - started
            return Answer(seconds, {}, responded=False, error=words, late=self._lateness.seconds() - late)
        seconds, late = perf_counter() - started, self._lateness.seconds() - late
        if response.status_code != 200:
            words = f"{response.status_code} {response.text[:300]}"
            return Answer(seconds, {}, responded=True, error=words, late=late)
        try:
            return Answer(seconds, _scores(response.content), responded=True, late=late)
        except (ValueError, KeyError, TypeError, IndexError) as error:
            words = f"the answer can't be read: {type(error).__name__} {error}"
            return Answer(seconds, {}, responded=True, error=words, late=late)


def _scores(content: bytes) -> dict[str, float]:
    """The one number of each output; a row was asked, so there is one."""
    answer: dict[str, Any] = json.loads(content)
    scores: dict[str, float] = {}
    for output in answer["outputs"]:
        (value,) = output["data"]
        scores[output["name"]] = math.nan if value is None else float(value)
    return scores
