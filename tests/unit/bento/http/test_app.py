"""The application in process, where each state can be held: loading, failed, a model that breaks, draining."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from dataclasses import replace
from math import prod
from typing import Any

import httpx
import numpy as np
import pytest

from bento.http.bodies.body import image_of
from bento.http.bodies.open_inference import infer_response
from bento.inference.warmup import WarmModel
from bento.settings import Settings
from bento.telemetry import metrics
from tests.application_host import PNG, TAG, Host, Messages, predict_scope
from tests.stored import SIZE, picture


def test_the_service_is_live_but_not_ready_while_the_model_loads(model: WarmModel) -> None:
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


def test_an_internal_error_is_a_bare_500_whose_reason_is_in_the_log(
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


def test_metrics_are_written_off_the_event_loop(model: WarmModel, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[threading.Thread] = []
    write = metrics.exposition

    def spy() -> bytes:
        threads.append(threading.current_thread())
        return write()

    monkeypatch.setattr(metrics, "exposition", spy)

    async def scenario() -> None:
        host = Host(lambda: model)
        await host.start()
        assert "image_classifier_requests_total" in (await host.client.get("/metrics")).text

    asyncio.run(scenario())
    assert threads
    assert threading.main_thread() not in threads


def test_a_form_of_several_parts_is_parsed_off_the_event_loop(
    model: WarmModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[threading.Thread] = []

    def spy(body: bytes, content_type: bytes) -> bytes:
        threads.append(threading.current_thread())
        return image_of(body, content_type)

    monkeypatch.setattr("bento.http.handlers.predictor.image_of", spy)

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

    monkeypatch.setattr("bento.http.bodies.open_inference.infer_response", spy)

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


def test_a_client_that_leaves_before_its_body_is_complete_gets_no_answer(model: WarmModel) -> None:
    async def scenario() -> Messages:
        host = Host(lambda: model)
        await host.start()
        await host.until(host.is_ready)
        part = {"type": "http.request", "body": b"abc", "more_body": True}
        return await host.call(predict_scope(), [part, {"type": "http.disconnect"}])

    assert asyncio.run(scenario()) == []


@pytest.mark.parametrize("inline", [True, False])
def test_the_images_of_one_request_never_fill_the_queue_for_each_other(model: WarmModel, inline: bool) -> None:
    async def scenario() -> tuple[httpx.Response, httpx.Response]:
        host = Host(lambda: replace(model, inline=inline), Settings(deadline_ms=60_000))
        await host.start()
        await host.until(host.is_ready)
        # At 7 s per image the deadline admits six images.
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


def test_a_draining_service_serves_every_request_and_a_closed_one_refuses(model: WarmModel) -> None:
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


def test_a_websocket_is_closed_before_it_opens(model: WarmModel) -> None:
    async def scenario() -> Messages:
        scope = {"type": "websocket", "path": "/predict", "headers": []}
        return await Host(lambda: model).call(scope, [{"type": "websocket.connect"}])

    assert asyncio.run(scenario()) == [{"type": "websocket.close"}]
