"""/healthz, /readyz and /metrics on one port."""

from collections.abc import Callable

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

Health = Callable[[], str | None]
"""What is wrong; None where nothing is."""


async def serve(port: int, alive: Health, ready: Health) -> web.AppRunner:
    """Start answering; `cleanup` of the result ends it."""

    def answer(health: Health) -> Callable[[web.Request], web.Response]:
        def respond(_: web.Request) -> web.Response:
            wrong = health()
            return web.Response(text=wrong or "ok", status=503 if wrong else 200)

        return respond

    async def alive_handler(request: web.Request) -> web.Response:
        return answer(alive)(request)

    async def ready_handler(request: web.Request) -> web.Response:
        return answer(ready)(request)

    async def metrics_handler(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.router.add_get("/healthz", alive_handler)
    app.router.add_get("/readyz", ready_handler)
    app.router.add_get("/metrics", metrics_handler)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, None, port).start()
    return runner
