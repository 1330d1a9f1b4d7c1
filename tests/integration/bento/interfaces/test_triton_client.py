"""The Open Inference Protocol: Triton's own client against a real server."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from tritonclient import http as triton
from tritonclient.utils import InferenceServerException

from tests.integration.conftest import Server, Store
from tests.stored import CLASSES, SIZE

MODEL = "image_classifier"


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[Any]:
    with triton.InferenceServerClient(f"127.0.0.1:{server.port}", network_timeout=60.0) as client:
        yield client


def pixels(*colours: str) -> np.ndarray:
    """Images of the model's own size, so that /predict has nothing to resize: (n, S, S, 3) uint8."""
    noise = np.random.default_rng(0).integers(0, 60, (len(colours), SIZE, SIZE, 3), np.uint8)
    for image, colour in zip(noise, colours, strict=True):
        image[..., CLASSES.index(colour)] += 100
    return noise


def as_input(images: np.ndarray, *, binary: bool, name: str = "image", datatype: str = "UINT8") -> Any:
    tensor = triton.InferInput(name, list(images.shape), datatype)
    tensor.set_data_from_numpy(images, binary_data=binary)
    return tensor


def predicted(server: Server, image: np.ndarray) -> dict[str, float]:
    """Return the score of each class, as /predict gives it."""
    out = io.BytesIO()
    Image.fromarray(image).save(out, "PNG")
    answer = server.predict(out.getvalue(), "/predict?top_k=3").json()
    return {entry["class"]: entry["score"] for entry in answer["top_k"]}


def test_the_client_reads_health(client: Any) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready(MODEL)
    assert not client.is_model_ready("another")
    assert not client.is_model_ready(MODEL, "another")


def test_the_bodies_of_health_are_those_that_other_clients_read(server: Server) -> None:
    assert server.get("/v2/health/live").json() == {"live": True}
    assert server.get("/v2/health/ready").json()["ready"] is True
    assert server.get(f"/v2/models/{MODEL}/ready").json() == {"name": MODEL, "ready": True}


def test_the_client_reads_the_metadata(client: Any, colour_store: tuple[Store, str]) -> None:
    version = colour_store[1].split(":")[1]
    assert client.get_server_metadata()["extensions"] == ["binary_tensor_data"]
    about = client.get_model_metadata(MODEL)
    assert (about["name"], about["versions"]) == (MODEL, [version])
    assert about["inputs"][0]["shape"] == [-1, SIZE, SIZE, 3]
    assert about["outputs"][0]["shape"] == [-1, 3]
    assert client.get_model_metadata(MODEL, version) == about
    assert client.is_model_ready(MODEL, version)


@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False, None])
def test_tensors_get_the_probabilities_that_predict_gives(
    server: Server, client: Any, binary_in: bool, binary_out: bool | None
) -> None:
    images = pixels("red", "green", "blue", "green")
    outputs = None if binary_out is None else [triton.InferRequestedOutput("probabilities", binary_data=binary_out)]
    result = client.infer(MODEL, [as_input(images, binary=binary_in)], outputs=outputs, request_id="r-7")
    probabilities = result.as_numpy("probabilities")
    assert (probabilities.shape, probabilities.dtype) == ((4, 3), np.float32)
    for image, row in zip(images, probabilities, strict=True):
        # Exactly the same float32, because the same model gets the same pixels.
        assert {name: np.float32(score) for name, score in predicted(server, image).items()} == dict(
            zip(CLASSES, row, strict=True)
        )
    answer = result.get_response()
    assert (answer["model_name"], answer["id"]) == (MODEL, "r-7")
    assert ("data" in answer["outputs"][0]) == (binary_out is False)


def test_the_version_may_be_named(client: Any, colour_store: tuple[Store, str]) -> None:
    version = colour_store[1].split(":")[1]
    result = client.infer(MODEL, [as_input(pixels("red"), binary=True)], model_version=version)
    assert result.get_response()["model_version"] == version
    assert result.as_numpy("probabilities").argmax() == 0


def test_more_images_than_a_batch_are_answered_in_order(client: Any) -> None:
    colours = [CLASSES[i % 3] for i in range(100)]
    result = client.infer(MODEL, [as_input(pixels(*colours), binary=True)])
    assert [CLASSES[i] for i in result.as_numpy("probabilities").argmax(axis=1)] == colours


@pytest.mark.parametrize(
    ("images", "options", "said"),
    [
        (np.zeros((1, SIZE, SIZE + 1, 3), np.uint8), {}, "the shape of the input 'image' must be [n, 8, 8, 3]"),
        (np.zeros((1, SIZE, SIZE, 3), np.uint8), {"name": "picture"}, "the model has no input 'picture'"),
        (np.zeros((1, SIZE, SIZE, 3), np.float32), {"datatype": "FP32"}, "must be UINT8 or BYTES, not 'FP32'"),
        (np.zeros((10_000, SIZE, SIZE, 3), np.uint8), {}, "10000 images in one request"),
    ],
)
def test_a_wrong_tensor_raises_an_exception_with_the_reason(
    client: Any, images: np.ndarray, options: dict[str, str], said: str
) -> None:
    with pytest.raises(InferenceServerException) as caught:
        client.infer(MODEL, [as_input(images, binary=True, **options)])
    assert said in caught.value.message()
    assert caught.value.status() == "400"


def test_an_unknown_model_version_or_output_raises_an_exception(client: Any) -> None:
    tensor = as_input(pixels("red"), binary=True)
    for model, version in (("another", ""), (MODEL, "another")):
        with pytest.raises(InferenceServerException) as caught:
            client.infer(model, [tensor], model_version=version)
        assert caught.value.status() == "404"
        assert "there is no model" in caught.value.message()
    with pytest.raises(InferenceServerException, match="no output 'logits'"):
        client.infer(MODEL, [tensor], outputs=[triton.InferRequestedOutput("logits")])


def test_an_error_is_a_problem_and_has_the_protocol_s_own_member(server: Server) -> None:
    response = httpx.post(f"{server.url}/v2/models/{MODEL}/infer", content=b"{}")
    body = response.json()
    assert response.headers["content-type"] == "application/problem+json"
    assert (response.status_code, body["code"]) == (400, "malformed_request")
    assert body["error"] == body["detail"] == "the request has no inputs"


def test_a_handwritten_request_is_answered_with_json(server: Server) -> None:
    tensor = {"name": "image", "datatype": "UINT8", "shape": [1, SIZE, SIZE, 3], "data": pixels("blue").tolist()}
    response = httpx.post(f"{server.url}/v2/models/{MODEL}/infer", content=json.dumps({"inputs": [tensor]}))
    assert response.headers["content-type"] == "application/json"
    assert np.argmax(response.json()["outputs"][0]["data"]) == 2


@pytest.mark.parametrize("columns", [0, 1])
def test_encoded_images_get_the_answers_of_predict(server: Server, client: Any, columns: int) -> None:
    images = pixels("red", "blue")
    encoded = []
    for image in images:
        out = io.BytesIO()
        Image.fromarray(image).save(out, "PNG")
        encoded.append(out.getvalue())
    tensor = np.array(encoded, np.object_).reshape((2,) + (1,) * columns)
    answer = client.infer(MODEL, [as_input(tensor, binary=True, datatype="BYTES")]).as_numpy("probabilities")
    for row, image in zip(answer, images, strict=True):
        assert dict(zip(CLASSES, row.tolist(), strict=True)) == pytest.approx(predicted(server, image), abs=1e-6)


def test_an_encoded_image_that_is_broken_is_refused_by_its_code(server: Server) -> None:
    tensor = {"name": "image", "shape": [1], "datatype": "BYTES", "data": ["iVBORw0KGgo="]}
    answer = httpx.post(f"{server.url}/v2/models/{MODEL}/infer", json={"inputs": [tensor]})
    assert (answer.status_code, answer.json()["code"]) == (422, "corrupt_image")
    assert answer.json()["error"] == answer.json()["detail"]
