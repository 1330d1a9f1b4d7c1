"""Run the application in the test's process, without a server or with real connections."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from uvicorn.server import ServerState

from bento.http.app import Application
from bento.http.connection.protocol import Protocol
from bento.inference.warmup import WarmModel
from bento.models.model import ServedModel
from bento.settings import Settings, read_settings
from tests.stored import CLASSES, SIZE

TAG = "image_classifier:unit"
PNG = {"content-type": "image/png"}
Messages = list[dict[str, Any]]


class Host:
    """Does what a server does for an application: starts it and passes requests to it."""

    def __init__(self, load: Callable[[], WarmModel], settings: Settings | None = None) -> None:
        self.failures: list[str] = []
        served = ServedModel(TAG, "onnx", Path(__file__), CLASSES, SIZE)
        settings = settings or read_settings()
        self.application = Application(settings, served, load, self._lifespan, self.failures.append)
        transport = httpx.ASGITransport(self.application, raise_app_exceptions=True)  # type: ignore[arg-type]
        self.client = httpx.AsyncClient(transport=transport, base_url="http://test")

    @staticmethod
    async def _lifespan(scope: Any, receive: Any, send: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
        await send({"type": "lifespan.startup.complete"})

    async def start(self) -> None:
        await self.call({"type": "lifespan"}, [])

    async def call(self, scope: dict[str, Any], messages: Messages) -> Messages:
        """Call the application once, with `messages` to receive, and return the messages that it sent."""
        sent: Messages = []

        async def receive() -> dict[str, Any]:
            return messages.pop(0)

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        await self.application(scope, receive, send)
        return sent

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[httpx.AsyncClient]:
        """Listen as the server does, and yield a client with real connections."""
        config = uvicorn.Config(
            self.application,
            interface="asgi3",
            lifespan="off",
            ws="none",
            log_config=None,
        )
        config.load()
        state = ServerState()
        listener = await asyncio.get_running_loop().create_server(lambda: Protocol(config, state, {}), "127.0.0.1")
        port = listener.sockets[0].getsockname()[1]
        async with listener, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            yield client

    async def until(self, done: Callable[[], Awaitable[bool]]) -> None:
        async with asyncio.timeout(30):
            while not await done():
                await asyncio.sleep(0.01)

    async def is_ready(self) -> bool:
        return (await self.client.get("/readyz")).status_code == 200

    async def has_failed(self) -> bool:
        return bool(self.failures)


def predict_scope(*headers: tuple[bytes, bytes]) -> dict[str, Any]:
    return {"type": "http", "method": "POST", "path": "/predict", "query_string": b"", "headers": list(headers)}
