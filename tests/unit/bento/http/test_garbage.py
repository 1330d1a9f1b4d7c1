"""Requests leave nothing for the garbage collector, because clients would have to wait for it."""

from __future__ import annotations

import asyncio
import gc
from dataclasses import replace

import pytest
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from bento.errors import RequestError
from bento.inference.warmup import WarmModel
from bento.inference.work import Work
from imaging import ImageError
from tests.application_host import PNG, Host, predict_scope
from tests.stored import picture


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
        # The connection keeps its last request.
        assert asyncio.run(scenario()) <= 1
    finally:
        gc.enable()


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
def test_a_refused_request_leaves_nothing_to_collect(
    model: WarmModel, inline: bool, path: str, content_type: bytes, body: bytes, status: int
) -> None:
    """An error holds its frames; if one of them held the error, the request's bytes would stay in memory."""

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

        # The threads drop their references a little later.
        await host.until(is_gone)

    try:
        asyncio.run(scenario())
    finally:
        gc.enable()
