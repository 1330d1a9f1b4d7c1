"""A connection with an application and a gate of the test's own: it needs to know nothing else of the service."""

from __future__ import annotations

import asyncio
from collections.abc import Set
from typing import Any

import httpx
import uvicorn
from uvicorn.server import ServerState

from bento.errors import RequestError
from bento.http.contracts import Quiet
from bento.http.protocol import Protocol


class OpenOrFull:
    """A gate that can refuse requests to /full before their bodies arrive."""

    receive_timeout = keep_alive = 30.0
    receive_rate = 1000
    version_header = (b"x-model-version", b"none")
    closed = False
    full = False

    def __init__(self) -> None:
        self.connections = 0

    def opened(self, connections: Set[Quiet], loop: asyncio.AbstractEventLoop) -> None:
        self.connections += 1

    def early_route(self, method: bytes, url: bytes) -> str | None:
        return "/full" if url == b"/full" else None

    def refuses_next(self, loop: asyncio.AbstractEventLoop) -> bool:
        return self.full

    def refusal(self) -> RequestError:
        return RequestError("queue_full", "no room")


class Application:
    """Answers 200 to every request, and counts them."""

    def __init__(self) -> None:
        self.gate = OpenOrFull()
        self.paths: list[str] = []

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        self.paths.append(scope["path"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})


def test_a_connection_asks_the_gate_alone_whether_there_is_room() -> None:
    application = Application()

    async def scenario() -> list[httpx.Response]:
        config = uvicorn.Config(application, interface="asgi3", lifespan="off", ws="none", log_config=None)
        config.load()
        loop = asyncio.get_running_loop()
        listener = await loop.create_server(lambda: Protocol(config, ServerState(), {}), "127.0.0.1")
        url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        async with listener, httpx.AsyncClient(base_url=url) as client:
            admitted = await client.post("/full", content=b"x")
            application.gate.full = True
            return [admitted, await client.post("/full", content=b"x"), await client.post("/other", content=b"x")]

    answers = asyncio.run(scenario())
    assert [answer.status_code for answer in answers] == [200, 429, 200]
    assert answers[1].json()["detail"] == "no room"
    assert answers[1].headers["x-model-version"] == "none"
    assert application.paths == ["/full", "/other"]
    assert application.gate.connections == 1
