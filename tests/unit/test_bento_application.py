"""The application driven in process, where its states can be held still: loading, failed, a model that breaks."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import uvicorn
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
from uvicorn.server import ServerState

from bento.app import Application
from bento.errors import RequestError
from bento.model import ServedModel
from bento.open_inference import infer_response
from bento.protocol import Protocol
from bento.receive import image_of
from bento.settings import Settings, read_settings
from bento.warmup import WarmModel, warm_up
from bento.work import Work
from imaging import ImageError
from tests.stored import CLASSES, SIZE, picture, write_entry

TAG = "image_classifier:unit"
PNG = {"content-type": "image/png"}
Messages = list[dict[str, Any]]


@pytest.fixture
def model(tmp_path: Path) -> Iterator[WarmModel]:
    path = write_entry(tmp_path / "entry") / "model.onnx"
    thresholds = gc.get_threshold()
    yield warm_up(ServedModel(TAG, "onnx", path, CLASSES, SIZE), read_settings())
    # The application tunes the collector of the process that it is in.
    gc.unfreeze()
    gc.set_threshold(*thresholds)


class Host:
    """What a server does for an application: its life, and requests to it."""

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
        """Call the application once, with `messages` to receive; returns what it sent."""
        sent: Messages = []

        async def receive() -> dict[str, Any]:
            return messages.pop(0)

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        await self.application(scope, receive, send)
        return sent

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[httpx.AsyncClient]:
        """Listen as the server does; gives a client with real connections."""
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


def test_while_the_model_loads_it_lives_but_is_not_ready(model: WarmModel) -> None:
    may_load = threading.Event()

    def load() -> WarmModel:
        assert may_load.wait(30)
        return model

    async def scenario() -> None:
        host = Host(load)
        await host.start()
        live = await host.client.get("/livez")
        assert live.status_code == 200
        assert live.headers["x-model-version"] == TAG
        for refused in (await host.client.get("/readyz"), await host.client.post("/predict", content=b"x")):
            assert refused.status_code == 503
            assert refused.headers["retry-after"] == "1"
            assert refused.headers["content-type"] == "application/problem+json"
            assert refused.json()["code"] == "not_ready"

        may_load.set()
        await host.until(host.is_ready)
        answer = await host.client.post("/predict", content=picture("green"), headers={"content-type": "image/png"})
        assert answer.json()["predicted_class"] == "green"
        assert answer.headers["x-model-version"] == TAG

    asyncio.run(scenario())


def test_a_model_that_does_not_load_is_reported_once_in_one_line() -> None:
    def load() -> WarmModel:
        raise OSError("first line\n  second line")

    async def scenario() -> Host:
        host = Host(load)
        await host.start()
        await host.until(host.has_failed)
        assert not await host.is_ready()
        return host

    assert asyncio.run(scenario()).failures == ["the model can't be loaded: first line second line"]


def test_a_failure_of_our_own_is_a_bare_500_whose_reason_is_in_the_log(
    model: WarmModel, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(images: np.ndarray) -> np.ndarray:
        raise RuntimeError("/secret/path")

    async def scenario() -> httpx.Response:
        host = Host(lambda: replace(model, run=broken))
        await host.start()
        await host.until(host.is_ready)
        return await host.client.post("/predict", content=picture("red"), headers={"content-type": "image/png"})

    response = asyncio.run(scenario())
    assert response.status_code == 500
    assert response.json()["code"] == "internal_error"
    assert "secret" not in response.text
    assert "RuntimeError: /secret/path" in caplog.text


def test_a_form_of_several_parts_is_taken_apart_off_the_event_loop(
    model: WarmModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[threading.Thread] = []

    def spy(body: bytes, content_type: bytes) -> bytes:
        threads.append(threading.current_thread())
        return image_of(body, content_type)

    monkeypatch.setattr("bento.predict.image_of", spy)

    async def scenario() -> None:
        host = Host(lambda: model)
        await host.start()
        await host.until(host.is_ready)
        assert (await host.client.post("/predict", files=form)).status_code == 200

    form = {"other": b"x", "file": picture("red")}
    asyncio.run(scenario())
    assert threading.main_thread() not in threads
    assert len(threads) == 1


def test_a_large_answer_is_written_off_the_event_loop(model: WarmModel, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[threading.Thread] = []

    def spy(*arguments: Any) -> Any:
        threads.append(threading.current_thread())
        return infer_response(*arguments)

    monkeypatch.setattr("bento.open_inference.infer_response", spy)

    async def scenario() -> list[int]:
        # A model of a thousand classes.
        host = Host(lambda: replace(model, run=lambda images: np.zeros((len(images), 1000), np.float32)))
        await host.start()
        await host.until(host.is_ready)
        lengths = []
        for count in (1, 3):
            shape = [count, SIZE, SIZE, 3]
            tensor = {"name": "image", "datatype": "UINT8", "shape": shape, "data": [0] * prod(shape)}
            answer = await host.client.post("/v2/models/image_classifier/infer", json={"inputs": [tensor]})
            lengths.append(len(answer.json()["outputs"][0]["data"]))
        return lengths

    assert asyncio.run(scenario()) == [1000, 3000]
    assert [thread is threading.main_thread() for thread in threads] == [True, False]


def test_who_leaves_before_the_body_is_complete_gets_no_answer(model: WarmModel) -> None:
    async def scenario() -> Messages:
        host = Host(lambda: model)
        await host.start()
        await host.until(host.is_ready)
        part = {"type": "http.request", "body": b"abc", "more_body": True}
        return await host.call(predict_scope(), [part, {"type": "http.disconnect"}])

    assert asyncio.run(scenario()) == []


@pytest.mark.parametrize("inline", [True, False])
def test_the_images_of_one_request_never_crowd_each_other_out(model: WarmModel, inline: bool) -> None:
    async def scenario() -> tuple[httpx.Response, httpx.Response]:
        host = Host(lambda: replace(model, inline=inline), Settings(deadline_ms=60_000))
        await host.start()
        await host.until(host.is_ready)
        # So slow that six may be inside.
        host.application.admission.expect(7)
        shape = [50, SIZE, SIZE, 3]
        tensor = {"name": "image", "datatype": "UINT8", "shape": shape, "data": [0] * prod(shape)}
        files = [("file", ("x", picture("blue")))] * 50
        return (
            await host.client.post("/v2/models/image_classifier/infer", json={"inputs": [tensor]}),
            await host.client.post("/predict/batch", files=files),
        )

    inferred, batch = asyncio.run(scenario())
    assert (inferred.status_code, inferred.json().get("outputs", [{}])[0].get("shape")) == (200, [50, 3])
    assert [entry.get("predicted_class") for entry in batch.json()] == ["blue"] * 50


def test_while_it_drains_all_are_served_and_once_it_closes_they_are_told_so(model: WarmModel) -> None:
    ended: list[int] = []

    async def scenario() -> list[httpx.Response]:
        host = Host(lambda: model, Settings(drain_delay=60))
        await host.start()
        await host.until(host.is_ready)
        answers = []
        async with host.listening() as client:
            for state in ("draining", "closed"):
                os.kill(os.getpid(), signal.SIGTERM)
                while host.application.lifecycle.state != state:
                    await asyncio.sleep(0.01)
                answers += [
                    await client.get("/readyz"),
                    await client.post("/predict", content=picture("red"), headers=PNG),
                ]
        return answers

    before = signal.signal(signal.SIGTERM, lambda *_: ended.append(1))
    try:
        answers = asyncio.run(scenario())
    finally:
        signal.signal(signal.SIGTERM, before)
    assert [answer.status_code for answer in answers] == [503, 200, 503, 503]
    assert all(answer.headers["connection"] == "close" for answer in answers)
    assert answers[-1].json()["code"] == "draining"
    assert answers[-1].headers["retry-after"] == "1"
    assert ended == [1]


def test_an_answered_request_leaves_nothing_to_collect(model: WarmModel) -> None:
    async def scenario() -> int:
        host = Host(lambda: model)
        await host.start()
        await host.until(host.is_ready)
        gc.collect()
        gc.disable()
        async with host.listening() as client:
            for _ in range(20):
                assert (await client.post("/predict", content=picture("red"), headers=PNG)).status_code == 200
            return sum(isinstance(thing, RequestResponseCycle) for thing in gc.get_objects())

    try:
        # The connection keeps its last one.
        assert asyncio.run(scenario()) <= 1
    finally:
        gc.enable()


def test_a_websocket_is_closed_before_it_opens(model: WarmModel) -> None:
    async def scenario() -> Messages:
        scope = {"type": "websocket", "path": "/predict", "headers": []}
        return await Host(lambda: model).call(scope, [{"type": "websocket.connect"}])

    assert asyncio.run(scenario()) == [{"type": "websocket.close"}]


IMAGE, FORM = b"image/jpeg", b"multipart/form-data; boundary=x"
INFER = b'{"inputs": [{"name": "images", "shape": [2, 1], "datatype": "BYTES", "data": ["", ""]}]}'
DAMAGED = b"\xff\xd8\xff" + bytes(100)


@pytest.mark.parametrize("inline", [True, False])
@pytest.mark.parametrize(
    ("path", "content_type", "body", "status"),
    [
        ("/predict", IMAGE, DAMAGED, 422),
        ("/predict", IMAGE, DAMAGED + bytes(300_000), 422),
        ("/predict", IMAGE, b"no image", 415),
        ("/predict", FORM, b"--x\r\n\r\nwhat", 400),
        ("/predict/batch", FORM, b"--x\r\ncontent-disposition: form-data; name=file\r\n\r\nno\r\n--x--\r\n", 200),
        ("/v2/models/image_classifier/infer", b"application/json", INFER, 400),
    ],
)
def test_what_is_refused_leaves_nothing_to_collect(
    model: WarmModel, inline: bool, path: str, content_type: bytes, body: bytes, status: int
) -> None:
    """An error holds the frames it went through; held by one of them, it would keep the bytes of the request."""

    async def scenario() -> None:
        host = Host(lambda: replace(model, inline=inline))
        await host.start()
        await host.until(host.is_ready)
        scope = predict_scope((b"content-type", content_type)) | {"path": path}
        gc.collect()
        gc.disable()
        sent = await host.call(scope, [{"type": "http.request", "body": body, "more_body": False}])
        assert sent[0]["status"] == status

        async def is_gone() -> bool:
            return not [thing for thing in gc.get_objects() if isinstance(thing, Work | ImageError | RequestError)]

        # The threads let go a little later.
        await host.until(is_gone)

    try:
        asyncio.run(scenario())
    finally:
        gc.enable()
