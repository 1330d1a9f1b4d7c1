"""POST /explain of a service that runs a trained model's Keras form."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.integration.bento.interfaces.test_openapi import run_schemathesis
from tests.integration.conftest import TLS, Server, Store, serving
from tests.integration.training.conftest import Run, Sandbox

KEY = {"X-API-Key": "open-sesame"}
CODE = "image_classifier_requests_total"


@pytest.fixture(scope="module")
def explaining(run: Run, sandbox: Sandbox) -> Iterator[Server]:
    store, tag = Store(sandbox.root / "home"), run[1]["model"]["tag"]
    with serving(store, ".", RUNTIME="keras", MODEL_TAG=tag, API_KEYS="open-sesame", MAX_BODY_BYTES="100000") as server:
        yield server


@pytest.fixture(scope="module")
def red(data: Path) -> bytes:
    return (data / "red" / "000.png").read_bytes()


def test_it_answers_the_class_of_predict_and_where_it_was_seen(explaining: Server, red: bytes) -> None:
    predicted = explaining.predict(red, **KEY).json()
    response = explaining.predict(red, "/explain", **KEY)
    assert response.status_code == 200, response.text
    found = response.json()
    assert set(found) == {"predicted_class", "confidence_score", "class", "score", "grid", "overlay"}
    assert (found["predicted_class"], found["class"]) == ("red", "red")
    assert found["confidence_score"] == found["score"] == pytest.approx(predicted["confidence_score"], abs=1e-6)
    grid = np.array(found["grid"])
    assert grid.shape == (16, 16)
    assert (grid.min() >= 0, grid.max()) == (True, 1)
    with Image.open(io.BytesIO(base64.b64decode(found["overlay"]))) as overlay:
        assert (overlay.format, overlay.size) == ("PNG", (256, 256))
    assert [part.split(";")[0].strip() for part in response.headers["server-timing"].split(",")] == [
        *("receive", "decode", "queue", "inference", "explain")
    ]


def test_any_class_can_be_asked_for_and_only_a_class(explaining: Server, red: bytes) -> None:
    scores = explaining.predict(red, "/predict?top_k=3", **KEY).json()["top_k"]
    blue = explaining.predict(red, "/explain?class=blue", **KEY).json()
    assert (blue["predicted_class"], blue["class"]) == ("red", "blue")
    assert blue["score"] == pytest.approx(next(s["score"] for s in scores if s["class"] == "blue"), abs=1e-6)
    wrong = explaining.predict(red, "/explain?class=purple", **KEY)
    assert (wrong.status_code, wrong.json()["code"]) == (400, "malformed_request")
    assert "no class 'purple'" in wrong.json()["detail"]


def test_who_asks_for_a_picture_gets_it(explaining: Server, red: bytes) -> None:
    response = explaining.predict(red, "/explain", accept="image/png", **KEY)
    assert response.headers["content-type"] == "image/png"
    with Image.open(io.BytesIO(response.content)) as picture:
        assert picture.size == (256, 256)


def test_what_predict_refuses_is_refused_here_too(explaining: Server, red: bytes) -> None:
    assert explaining.predict(red, "/explain").status_code == 401
    for image, status, code in (
        (red[:-60], 422, "corrupt_image"),
        (b"no image", 415, "unsupported_media_type"),
        (red + bytes(100_000), 413, "payload_too_large"),
    ):
        response = explaining.predict(image, "/explain", **KEY)
        assert (response.status_code, response.json()["code"]) == (status, code)
    several = httpx.post(
        explaining.url + "/explain", files=[("file", red), ("file", red)], headers=KEY, timeout=30, verify=TLS
    )
    assert (several.status_code, several.json()["code"]) == (400, "multiple_files")


def test_explanations_are_counted_as_such_and_not_as_answers_of_production(explaining: Server, red: bytes) -> None:
    names = ("image_classifier_predictions_total", "image_classifier_drift_observations_total")
    before = [explaining.metric(name) for name in names]
    served = explaining.metric(CODE, route="/explain", code="200")
    assert explaining.predict(red, "/explain", **KEY).status_code == 200
    assert explaining.metric(CODE, route="/explain", code="200") == served + 1
    assert [explaining.metric(name) for name in names] == before


def test_many_at_once_are_answered_or_refused_and_the_service_lives(explaining: Server, red: bytes) -> None:
    with ThreadPoolExecutor(40) as clients:
        asked = [clients.submit(explaining.predict, red, "/explain", **KEY) for _ in range(80)]
        assert explaining.get("/livez").status_code == 200
        found = [request.result() for request in asked]
    refused = [response for response in found if response.status_code != 200]
    assert len(refused) < len(found)
    assert {response.json()["code"] for response in refused} <= {"queue_full", "deadline_exceeded"}
    assert all(int(response.headers["retry-after"]) >= 1 for response in refused)
    # Whoever was answered got the same, in whatever order the thread took them.
    assert len({response.text for response in found if response.status_code == 200}) == 1


def test_explanations_keep_to_the_document(explaining: Server, tmp_path: Path) -> None:
    run_schemathesis(explaining, tmp_path, "--header", "X-API-Key: open-sesame", "--include-path", "/explain", routes=1)
    for code in ("200", "400", "401"):
        assert explaining.metric(CODE, route="/explain", code=code) > 0, code
