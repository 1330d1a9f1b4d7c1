"""The HTTP contract of docs/service.md, tested against a real server."""

from __future__ import annotations

import io
import json
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import psutil
import pytest
from PIL import Image

from tests.integration.conftest import Server, Store, serving
from tests.stored import CLASSES, picture

FORMATS = ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIF", "PPM"]


def problem(response: httpx.Response) -> tuple[int, str]:
    body = response.json()
    assert response.headers["content-type"] == "application/problem+json"
    assert set(body) == {"type", "title", "status", "code", "detail"}
    assert body["status"] == response.status_code
    assert response.headers["x-model-version"].startswith("image_classifier:")
    assert response.headers["x-request-id"]
    return response.status_code, body["code"]


def form(*parts: bytes, boundary: str = "b") -> tuple[bytes, dict[str, str]]:
    body = b"".join(b"--b\r\n" + part + b"\r\n" for part in parts) + b"--b--\r\n"
    return body, {"content-type": f"multipart/form-data; boundary={boundary}"}


def part(disposition: bytes, content: bytes, *headers: bytes) -> bytes:
    return b"\r\n".join([b"Content-Disposition: form-data; " + disposition, *headers, b"", content])


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("colour", CLASSES)
def test_an_image_of_each_format_gets_its_class_and_exactly_two_keys(
    server: Server, colour_store: tuple[Store, str], format_: str, colour: str
) -> None:
    response = server.predict(picture(colour, format_))
    assert response.status_code == 200
    assert set(response.json()) == {"predicted_class", "confidence_score"}
    assert response.json()["predicted_class"] == colour
    assert 0.9 < response.json()["confidence_score"] <= 1
    assert response.headers["x-model-version"] == colour_store[1]


@pytest.mark.parametrize("kind", ["image/png", "image/whatever", "application/octet-stream"])
def test_the_body_may_be_the_image_itself(server: Server, kind: str) -> None:
    response = httpx.post(server.url + "/predict", content=picture("green"), headers={"content-type": kind})
    assert response.json()["predicted_class"] == "green"


def test_top_k_lists_the_best_classes_in_order(server: Server) -> None:
    answer = server.predict(picture("blue"), "/predict?top_k=2").json()
    assert [entry["class"] for entry in answer["top_k"]] == ["blue", "red"]
    assert answer["top_k"][0]["score"] == answer["confidence_score"]
    assert len(server.predict(picture("blue"), "/predict?top_k=99").json()["top_k"]) == 3


@pytest.mark.parametrize("value", ["0", "-1", "x", "1.5", "", "%FF", "9" * 5000, "\u0663"])
def test_an_invalid_top_k_is_refused(server: Server, value: str) -> None:
    assert problem(server.predict(picture("red"), f"/predict?top_k={value}")) == (400, "malformed_request")


def test_a_valid_request_id_comes_back_and_an_invalid_one_is_replaced(server: Server) -> None:
    image = picture("red")
    assert server.predict(image, **{"x-request-id": "trace-1/2"}).headers["x-request-id"] == "trace-1/2"
    assert server.predict(image, **{"x-request-id": "a" * 500}).headers["x-request-id"] != "a" * 500
    ids = {server.predict(image).headers["x-request-id"] for _ in range(3)}
    assert len(ids) == 3


IMAGE = picture("red")
FILE = part(b'name="file"; filename="x.png"', IMAGE)


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([FILE], 200),
        ([part(b'name="other"', b"x"), FILE, part(b'name="note"', b"y")], 200),
        ([part(b"name=file", IMAGE)], 200),
        ([part(b'name="file"; filename="../../etc/passwd"', IMAGE, b"Content-Type: text/html")], 200),
        ([part('name="file"; filename="\u732b.jpg"'.encode(), IMAGE)], 200),
        ([part(b'name="other"; filename="x.png"', IMAGE)], (400, "missing_file")),
        ([part(b'filename="file"', IMAGE)], (400, "missing_file")),
        ([FILE, FILE], (400, "multiple_files")),
        ([part(b'name="file"', b"")], (415, "unsupported_media_type")),
    ],
)
def test_the_field_file_decides_whatever_else_a_form_says(
    server: Server, parts: list[bytes], expected: int | tuple[int, str]
) -> None:
    body, headers = form(*parts)
    response = httpx.post(server.url + "/predict", content=body, headers=headers)
    assert (response.status_code if expected == 200 else problem(response)) == expected


@pytest.mark.parametrize(
    ("body", "kind", "expected"),
    [
        (form(FILE)[0], "multipart/form-data", (400, "malformed_request")),
        (form(FILE)[0], "multipart/form-data; boundary=", (400, "malformed_request")),
        (form(FILE)[0], "multipart/form-data; boundary=other", (400, "malformed_request")),
        (form(FILE)[0], f"multipart/form-data; boundary={'x' * 5000}", (400, "malformed_request")),
        (form(FILE)[0][:-4], "multipart/form-data; boundary=b", (400, "malformed_request")),
        (form(FILE)[0][:60], "multipart/form-data; boundary=b", (400, "malformed_request")),
        (b"", "multipart/form-data; boundary=b", (400, "malformed_request")),
        (b"--b--\r\n", "multipart/form-data; boundary=b", (400, "missing_file")),
        (b"", "image/png", (400, "missing_file")),
        (IMAGE, "text/plain", (400, "missing_file")),
        (IMAGE, "", (400, "missing_file")),
        (b'{"a": 1}', "application/json", (400, "missing_file")),
        (b"%PDF-1.7 ...", "image/jpeg", (415, "unsupported_media_type")),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml", (415, "unsupported_media_type")),
        (IMAGE[:40], "image/png", (422, "corrupt_image")),
        (picture("red", "JPEG")[:-300], "image/jpeg", (422, "corrupt_image")),
    ],
)
def test_a_bad_body_gets_its_code(server: Server, body: bytes, kind: str, expected: tuple[int, str]) -> None:
    response = httpx.post(server.url + "/predict", content=body, headers={"content-type": kind})
    assert problem(response) == expected


def test_an_image_with_too_many_pixels_is_refused_by_its_header(server: Server) -> None:
    out = io.BytesIO()
    Image.new("1", (10_000, 10_000)).save(out, "PNG")
    assert len(out.getvalue()) < 20_000
    before = server.metric("image_classifier_rejected_images_total", code="image_too_large")
    assert problem(server.predict(out.getvalue())) == (413, "image_too_large")
    assert server.metric("image_classifier_rejected_images_total", code="image_too_large") == before + 1


def test_unknown_paths_and_methods_are_problems_too(server: Server) -> None:
    assert problem(server.get("/nothing")) == (404, "not_found")
    response = server.get("/predict")
    assert problem(response) == (405, "method_not_allowed")
    assert response.headers["allow"] == "POST"
    assert httpx.head(server.url + "/livez").status_code == 200


def test_answers_are_never_mixed_up_between_concurrent_clients(server: Server) -> None:
    pictures = {colour: picture(colour) for colour in CLASSES}
    with ThreadPoolExecutor(32) as pool:
        colours = [CLASSES[i % 3] for i in range(600)]
        answers = list(pool.map(lambda colour: server.predict(pictures[colour]).json()["predicted_class"], colours))
    assert answers == colours


def test_a_client_that_leaves_during_its_body_leaves_nothing_behind(server: Server) -> None:
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc")
    assert server.predict(picture("red")).status_code == 200
    assert server.metric("image_classifier_in_flight") == 0
    assert "Traceback" not in server.log.read_text()


def test_scanning_paths_and_methods_adds_no_series(server: Server) -> None:
    server.get("/scan")
    httpx.request("BREW", server.url + "/predict")
    before = len(server.get("/metrics").text.splitlines())
    with httpx.Client(base_url=server.url) as client:
        for i in range(200):
            client.get(f"/scan/{i}.php")
            client.request(f"BREW{i}", "/predict")
    assert len(server.get("/metrics").text.splitlines()) == before


def test_metrics_count_what_was_served(server: Server, colour_store: tuple[Store, str]) -> None:
    before = server.metric("image_classifier_predictions_total", predicted_class="green")
    server.predict(picture("green"))
    assert server.metric("image_classifier_predictions_total", predicted_class="green") == before + 1
    assert server.metric("image_classifier_model_info", tag=colour_store[1], runtime="onnx-int8", image_size="8") == 1
    assert server.metric("image_classifier_ready") == 1
    for stage in ("receive", "decode", "inference"):
        assert server.metric("image_classifier_stage_duration_seconds_count", stage=stage) > 0
    assert server.metric("image_classifier_requests_total", code="500") == 0


def test_serving_loads_no_tensorflow(server: Server) -> None:
    master = psutil.Process(server.process.pid)
    maps = "".join(Path(f"/proc/{process.pid}/maps").read_text() for process in [master, *master.children(True)])
    assert "onnxruntime" in maps
    assert "tensorflow" not in maps


def test_a_body_over_the_limit_is_refused_with_and_without_content_length(colour_store: tuple[Store, str]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(noise).save(out, "PNG")
    with serving(colour_store[0], ".", MAX_BODY_BYTES="4000", RUNTIME="onnx") as small:
        assert problem(small.predict(out.getvalue())) == (413, "payload_too_large")
        chunks = (out.getvalue()[i : i + 1000] for i in range(0, len(out.getvalue()), 1000))
        response = httpx.post(small.url + "/predict", content=chunks, headers={"content-type": "image/png"})
        assert problem(response) == (413, "payload_too_large")
        assert small.predict(picture("red")).json()["predicted_class"] == "red"
        assert small.metric("image_classifier_model_info", runtime="onnx") == 1


def test_a_problem_reveals_nothing_about_the_server(server: Server) -> None:
    body = server.predict(b"\x89PNG\r\n\x1a\n" + b"x" * 100).json()
    assert "/" not in body["detail"]
    assert json.dumps(body).count("Traceback") == 0
