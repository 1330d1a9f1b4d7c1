"""Answers that know their limits: novelty and sets of classes, asked for by the query or as an output of v2."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import httpx
import numpy as np
import pytest

from bento.inference.warmup import WarmModel
from bento.settings import read_settings
from bento.telemetry import metrics
from model_format.limits import Limits
from tests.application_host import PNG, Host
from tests.stored import LIMITS, SIZE, picture


def answers(
    model: WarmModel,
    ask: Callable[[httpx.AsyncClient], Awaitable[Any]],
    limits: Limits | None = LIMITS,
    **settings: Any,
) -> Any:
    """Return what `ask` returns, asked of a service of `model` with these limits."""
    known = replace(model, served=replace(model.served, limits=limits), inline=settings.pop("inline", model.inline))

    async def scenario() -> Any:
        host = Host(lambda: known, read_settings().model_copy(update=settings))
        await host.start()
        await host.until(host.is_ready)
        return await ask(host.client)

    return asyncio.run(scenario())


def black() -> bytes:
    import io

    from PIL import Image

    out = io.BytesIO()
    Image.new("RGB", (20, 20)).save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize("inline", [True, False])
def test_an_image_of_no_class_is_unknown_and_one_of_a_class_is_known(model: WarmModel, inline: bool) -> None:
    async def ask(client: httpx.AsyncClient) -> list[Any]:
        images = picture("red"), black()
        return [(await client.post("/predict?unknown=1", content=image, headers=PNG)).json() for image in images] + [
            await client.get("/metrics")
        ]

    before = [metrics.novelty_checks[known]._value.get() for known in (True, False)]
    red, nothing, _ = answers(model, ask, inline=inline)
    assert (red["predicted_class"], red["known"]) == ("red", True)
    assert 0.2 < red["novelty"] < 0.6
    assert (nothing["novelty"], nothing["known"]) == (0.999, False)
    after = [metrics.novelty_checks[known]._value.get() for known in (True, False)]
    assert [now - then for now, then in zip(after, before, strict=True)] == [1, 1]


def test_the_plain_answer_is_the_same_bytes_with_and_without_limits_and_beside_others(model: WarmModel) -> None:
    """The kind: images that share a call of the model, of which some want more."""

    async def ask(client: httpx.AsyncClient) -> list[bytes]:
        paths = ["/predict", "/predict?unknown=1", "/predict?coverage=0.9", "/predict?unknown=0"]
        found = await asyncio.gather(*(client.post(path, content=picture("blue"), headers=PNG) for path in paths))
        return [answer.content for answer in found]

    plain, unknown, sets, off = answers(model, ask)
    assert plain == off == answers(model, _plain, None)
    head = plain.decode()[:-1]
    assert unknown.decode().startswith(head + ', "novelty": ')
    assert sets.decode().startswith(head + ', "prediction_set": ["blue"')
    assert b"novelty" not in sets


async def _plain(client: httpx.AsyncClient) -> bytes:
    return (await client.post("/predict", content=picture("blue"), headers=PNG)).content


def test_sets_hold_all_classes_whose_doubt_is_low_enough(model: WarmModel) -> None:
    async def ask(client: httpx.AsyncClient) -> list[Any]:
        coverages = "0.5", "0.999", ".9981"
        found = [await client.post(f"/predict?coverage={c}", content=picture("red"), headers=PNG) for c in coverages]
        return [answer.json()["prediction_set"] for answer in found]

    half, most, rounded_up = answers(model, ask)
    assert half == ["red"]
    assert (most[0], len(most)) == ("red", 3)
    assert rounded_up == most


def test_a_batch_gives_each_image_its_own_novelty(model: WarmModel) -> None:
    async def ask(client: httpx.AsyncClient) -> Any:
        files = [("file", image) for image in (picture("red"), black(), b"no image")]
        return (await client.post("/predict/batch?unknown=1&coverage=0.9&top_k=1", files=files)).json()

    red, nothing, broken = answers(model, ask)
    assert (red["known"], nothing["known"]) == (True, False)
    assert list(red) == ["predicted_class", "confidence_score", "top_k", "novelty", "known", "prediction_set"]
    assert broken["code"] == "unsupported_media_type"


def test_the_cache_gives_nobody_more_or_less_than_was_asked_for(model: WarmModel) -> None:
    async def ask(client: httpx.AsyncClient) -> list[Any]:
        paths = ["/predict", "/predict?unknown=1", "/predict", "/predict?unknown=1"]
        return [await client.post(path, content=picture("green"), headers=PNG) for path in paths]

    plain, first, plain_again, again = answers(model, ask, cache_size=10)
    assert plain.content == plain_again.content
    assert first.content == again.content
    assert "novelty" in first.json()
    cached = ["cache" in answer.headers["server-timing"] for answer in (plain, first, plain_again, again)]
    assert cached == [False, False, True, True]


def test_a_model_without_limits_says_so_in_one_line(model: WarmModel) -> None:
    async def ask(client: httpx.AsyncClient) -> list[httpx.Response]:
        queries = ("unknown=1", "coverage=0.9", "top_k=1&unknown=1&coverage=0.9")
        paths = [f"{route}?{query}" for route in ("/predict", "/predict/batch") for query in queries]
        return [await client.post(path, content=picture("red"), headers=PNG) for path in paths]

    for answer in answers(model, ask, None):
        assert (answer.status_code, answer.json()["code"]) == (404, "limits_off")
        assert answer.json()["detail"].startswith("this model has no novelty score")


INVALID = [
    *("unknown=", "unknown=2", "unknown=true", "coverage=", "coverage=1", "coverage=0.4999", "coverage=0.9991"),
    *("coverage=95", "coverage=nan", "coverage=0.9_5", "coverage=+.9", "coverage=0." + "9" * 30),
]


def test_an_invalid_wish_is_refused(model: WarmModel) -> None:
    async def ask(client: httpx.AsyncClient) -> list[httpx.Response]:
        return [await client.post(f"/predict?{query}", content=picture("red"), headers=PNG) for query in INVALID]

    for query, answer in zip(INVALID, answers(model, ask), strict=True):
        assert (answer.status_code, answer.json()["code"]) == (400, "malformed_request"), query


def infer(outputs: list[dict[str, Any]] | None) -> Callable[[httpx.AsyncClient], Awaitable[httpx.Response]]:
    pixels = np.zeros((2, SIZE, SIZE, 3), np.uint8)
    pixels[1, :, :, 2] = 200
    image = {"name": "image", "datatype": "UINT8", "shape": [2, SIZE, SIZE, 3], "data": pixels.ravel().tolist()}
    body = {"inputs": [image]} | ({} if outputs is None else {"outputs": outputs})

    async def ask(client: httpx.AsyncClient) -> httpx.Response:
        return await client.post("/v2/models/image_classifier/infer", content=json.dumps(body))

    return ask


def test_v2_answers_novelty_as_an_output_that_must_be_named(model: WarmModel) -> None:
    plain = answers(model, infer(None))
    assert [output["name"] for output in plain.json()["outputs"]] == ["probabilities"]
    assert plain.content == answers(model, infer(None), None).content
    novelty, probabilities = answers(model, infer([{"name": "novelty"}, {"name": "probabilities"}])).json()["outputs"]
    assert probabilities == plain.json()["outputs"][0]
    assert (novelty["name"], novelty["datatype"], novelty["shape"]) == ("novelty", "FP32", [2])
    assert novelty["data"] == pytest.approx([0.999, 0.4], abs=0.2)
    (alone,) = answers(model, infer([{"name": "novelty"}])).json()["outputs"]
    assert alone == novelty


def test_v2_answers_one_output_as_bytes_and_the_other_as_json(model: WarmModel) -> None:
    wanted: list[dict[str, Any]] = [{"name": "probabilities"}, {"name": "novelty", "parameters": {"binary_data": True}}]
    answer = answers(model, infer(wanted))
    length = int(answer.headers["inference-header-content-length"])
    probabilities, novelty = json.loads(answer.content[:length])["outputs"]
    assert len(probabilities["data"]) == 6
    assert novelty["parameters"] == {"binary_data_size": 8}
    assert np.frombuffer(answer.content[length:], "<f4")[0] == np.float32(0.999)


def test_v2_describes_the_outputs_that_the_model_has(model: WarmModel) -> None:
    async def ask(client: httpx.AsyncClient) -> Any:
        outputs = (await client.get("/v2/models/image_classifier")).json()["outputs"]
        return [output["name"] for output in outputs], (await client.get("/version")).json()["limits"]

    assert answers(model, ask) == (["probabilities", "novelty"], True)
    assert answers(model, ask, None) == (["probabilities"], False)
    refused = answers(model, infer([{"name": "novelty"}]), None)
    assert refused.status_code == 400
    assert refused.json()["detail"] == "the model has no output 'novelty'; its output is 'probabilities'"
