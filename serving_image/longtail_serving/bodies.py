"""The bodies of requests: read within bounds of size, time and memory."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from starlette.requests import Request

from longtail_serving.errors import NotReady, RequestTooLarge, RequestTooSlow
from longtail_serving.limits import Limits

SMALL_BYTES = 64 << 10
"""What a body has beyond counts into what all may hold: stalled or many large bodies never keep out a small one."""


class Bodies:
    """Reads bodies, and knows how much of large ones is held."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._held = 0

    @property
    def full(self) -> bool:
        """Whether a large body would be refused."""
        return self._held >= self._limits.held_bytes

    @asynccontextmanager
    async def read(self, request: Request) -> AsyncGenerator[bytearray]:
        """The whole body, held until the context ends.

        Raises `RequestTooLarge` as soon as it is (where announced, before any of it is read), `RequestTooSlow`,
        `NotReady` where large bodies hold all the memory they may, and starlette's `ClientDisconnect`.
        """
        most = self._limits.body_bytes
        announced = request.headers.get("content-length", "")
        if announced.isdecimal() and int(announced) > most:
            raise _too_large(most)
        body, held = bytearray(), 0
        try:
            async with asyncio.timeout(self._limits.request_seconds):
                async for chunk in request.stream():
                    if len(body) + len(chunk) > most:
                        raise _too_large(most)
                    body += chunk
                    more = max(0, len(body) - SMALL_BYTES) - held
                    self._held += more
                    held += more
                    if more and self._held > self._limits.held_bytes:
                        raise NotReady("other large requests hold all the memory there is for them; ask again soon")
            yield body
        except TimeoutError as error:
            raise RequestTooSlow(
                f"the body did not come within {self._limits.request_seconds:g} seconds (--request-seconds), but "
                f"{len(body)} bytes of it; send it whole"
            ) from error
        finally:
            self._held -= held


def _too_large(most: int) -> RequestTooLarge:
    return RequestTooLarge(f"the body is larger than {most} bytes (--max-body-bytes); send smaller batches")
