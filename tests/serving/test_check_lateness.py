"""What the checker knows of its own lateness."""

import asyncio
import time
from pathlib import Path

import httpx

from longtail_serving.check.asking import Answer, Server
from longtail_serving.check.lateness import Lateness, throttled_seconds
from longtail_serving.check.load import drive


def asked_while(blocked: float) -> Answer:
    """The answer of a server that answers at once to a checker that can't run for `blocked` seconds meanwhile."""

    async def answer(_: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0)
        time.sleep(blocked)
        return httpx.Response(200, json={"outputs": [{"name": "click", "data": [0.5]}]})

    async def ask() -> Answer:
        async with Lateness() as lateness, Server("http://server", "m", "v1", 1, lateness) as server:
            server._client = httpx.AsyncClient(transport=httpx.MockTransport(answer))  # pyright: ignore[reportPrivateUsage]
            return await server.ask(b"{}")

    return asyncio.run(ask())


def test_the_time_in_which_the_checker_could_not_run_is_known_with_the_answer():
    answer = asked_while(0.2)
    assert answer.late >= 0.19


def test_waiting_for_a_server_is_not_being_late():
    async def waits() -> tuple[float, float]:
        async with Lateness() as lateness:
            started = time.perf_counter()
            await asyncio.sleep(0.2)
            return lateness.seconds(), time.perf_counter() - started

    late, waited = asyncio.run(waits())
    assert late < waited


def test_throttling_is_read_from_the_kernel_where_it_tells(tmp_path: Path):
    told = tmp_path / "cpu.stat"
    told.write_text("usage_usec 9000000\nnr_periods 40\nnr_throttled 7\nthrottled_usec 3200000\n")
    assert throttled_seconds(told) == 3.2
    assert throttled_seconds(tmp_path / "none") == 0.0


class Answering:
    """A server whose answers are all good."""

    async def ask(self, body: bytes) -> Answer:
        await asyncio.sleep(0)
        return Answer(0.001, {"click": 0.5}, responded=True)


def test_a_load_goes_on_until_there_are_answers_enough_for_a_percentile():
    answers = asyncio.run(drive(Answering(), [b"{}"], 1, 0.0, enough=200, longest=60.0))  # pyright: ignore[reportArgumentType]
    assert len(answers) == 200


def test_a_load_ends_at_its_longest_however_few_the_answers():
    assert asyncio.run(drive(Answering(), [b"{}"], 1, 0.0, enough=200, longest=0.0)) == []  # pyright: ignore[reportArgumentType]
