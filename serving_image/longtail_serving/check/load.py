"""Requests to a server, a bounded number of them at a time."""

import asyncio
from time import monotonic

from longtail_serving.check.asking import Answer, Server


async def ask_each(server: Server, bodies: list[bytes], concurrency: int, seconds: float) -> list[Answer | None]:
    """Ask each body once, in order; None for those that were not begun within `seconds`."""
    answers: list[Answer | None] = [None] * len(bodies)
    deadline = monotonic() + seconds
    waiting = iter(range(len(bodies)))

    async def work() -> None:
        for number in waiting:  # shared: each number goes to one worker
            if monotonic() >= deadline:
                return
            answers[number] = await server.ask(bodies[number])

    await asyncio.gather(*(work() for _ in range(concurrency)))
    return answers


async def drive(
    server: Server, bodies: list[bytes], concurrency: int, seconds: float, enough: int = 0, longest: float = 0.0
) -> list[Answer]:
    """Ask the bodies round and round for `seconds`, each worker its next as soon as the last is answered; and on
    until there are `enough` good answers, for `longest` seconds at most.

    A server that can't be reached is not hammered: such an answer is followed by a pause.
    """
    answers: list[Answer] = []
    good = 0
    deadline = monotonic() + seconds
    last = deadline + max(0.0, longest - seconds)

    async def work(first: int) -> None:
        nonlocal good
        number = first
        while monotonic() < deadline or (good < enough and monotonic() < last):
            answer = await server.ask(bodies[number % len(bodies)])
            answers.append(answer)
            good += not answer.error
            number += concurrency
            if not answer.responded:
                await asyncio.sleep(0.1)

    await asyncio.gather(*(work(first) for first in range(concurrency)))
    return answers
