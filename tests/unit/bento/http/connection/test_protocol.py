"""A connection with an application and a gate of the test's own: it needs to know nothing else of the service."""

from __future__ import annotations

import asyncio
from collections.abc import Set
from typing import Any

import httpx
import uvicorn
from uvicorn.server import ServerState

from bento.errors import RequestError
from bento.http.connection.contracts import Quiet
from bento.http.connection.protocol import Protocol
from bento.http.request import Headers


class OpenOrFull:
    """A gate that can refuse requests to /full before their bodies arrive."""

    receive_timeout = 30.0
    keep_alive = 600.0
    receive_rate = 1000
    closed = False
    full = False
    management = False

    def __init__(self) -> None:
        self.connections = 0

    def common_headers(self, request: Headers) -> Headers:
        return [(b"x-model-version", b"none")]

    def opened(self, connections: Set[Quiet], loop: asyncio.AbstractEventLoop) -> None:
        self.connections += 1

    def is_management(self, server: tuple[str, int | None] | None) -> bool:
        return self.management

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


def test_a_connection_to_the_management_port_refuses_nothing_before_the_application_is_asked() -> None:
    """The kind: what the main port does early must not answer for a route that this port doesn't have."""
    application = Application()
    application.gate.full = application.gate.management = True

    async def scenario() -> int:
        config = uvicorn.Config(application, interface="asgi3", lifespan="off", ws="none", log_config=None)
        config.load()
        loop, state = asyncio.get_running_loop(), ServerState()
        listener = await loop.create_server(lambda: Protocol(config, state, {}), "127.0.0.1")
        url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        async with listener, httpx.AsyncClient(base_url=url) as client:
            return (await client.post("/full", content=b"x")).status_code

    assert asyncio.run(scenario()) == 200
    assert application.paths == ["/full"]


def after(seconds: float, *sent: bytes, full: bool = False) -> tuple[bool, bytes]:
    """Return whether a connection is open this long after a client's bytes, and what the client got."""
    application = Application()

    async def scenario() -> tuple[bool, bytes]:
        config = uvicorn.Config(application, interface="asgi3", lifespan="off", ws="none", log_config=None)
        config.load()
        application.gate.full = full
        loop, state = asyncio.get_running_loop(), ServerState()
        listener = await loop.create_server(lambda: Protocol(config, state, {}), "127.0.0.1")
        async with listener:
            reader, writer = await asyncio.open_connection(*listener.sockets[0].getsockname())
            got = b""
            while not state.connections:
                await asyncio.sleep(0)
            (connection,) = state.connections
            assert isinstance(connection, Protocol)
            for piece in sent:
                writer.write(piece)
                while not connection._came and not connection._used:
                    await asyncio.sleep(0)
            if sent and sent[-1].endswith(b"\r\n\r\n"):
                got = await reader.readuntil(b"\r\n\r\n")
            while connection._came < len(b"".join(sent)) and not got:
                await asyncio.sleep(0)
            connection.end_if_stuck(loop.time() + seconds)
            is_open = not connection.transport.is_closing()
            if not is_open:
                got += await reader.read()
            writer.close()
            return is_open, got

    return asyncio.run(scenario())


GET = b"GET /other HTTP/1.1\r\nHost: x\r\n\r\n"
SLOW = b"POST /full HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n" + bytes(10_000)


def test_an_idle_connection_stays_open_for_longer_than_one_that_was_never_used() -> None:
    assert after(31) == (False, b"")
    assert after(590, GET)[0]
    assert not after(601, GET)[0]
    assert after(31, GET[:20])[1].startswith(b"HTTP/1.1 408 ")


def test_a_body_that_is_refused_while_it_arrives_may_be_slow_too() -> None:
    """The kind: a limit on the total time also ends a refusal, before its client has learned the reason."""
    assert after(31, SLOW, full=True)[0]
    assert after(41, SLOW, full=True)[1].startswith(b"HTTP/1.1 408 ")
