"""Batches of images, API keys, the answer cache, versions and timings, tested against real servers."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.integration.conftest import Server, Store, serving
from tests.stored import CLASSES, picture

PNG = {"content-type": "image/png"}


def batch(server: Server, *images: bytes, query: str = "", **headers: str) -> httpx.Response:
    files = [("file", (f"{i}.png", image)) for i, image in enumerate(images)]
    return httpx.post(server.url + "/predict/batch" + query, files=files, headers=headers, timeout=60)


def test_a_batch_is_answered_in_its_order_and_a_bad_image_harms_no_other(server: Server) -> None:
    response = batch(server, picture("blue"), b"junk", picture("red"), picture("green")[:30], picture("green"))
    assert response.status_code == 200
    answers = response.json()
    assert [answer.get("predicted_class", answer.get("code")) for answer in answers] == [
        "blue",
        "unsupported_media_type",
        "red",
        "corrupt_image",
        "green",
    ]
    assert set(answers[0]) == {"predicted_class", "confidence_score"}
    assert set(answers[1]) == {"type", "title", "status", "code", "detail"}
    assert answers[1]["status"] == 415


def test_a_batch_far_larger_than_the_queue_is_answered_completely(colour_store: tuple[Store, str]) -> None:
    with serving(colour_store[0], ".", QUEUE_LIMIT="8") as small:
        colours = [CLASSES[i % 3] for i in range(200)]
        answers = batch(small, *(picture(colour) for colour in colours), query="?top_k=1").json()
        assert [answer["predicted_class"] for answer in answers] == colours
        assert all(len(answer["top_k"]) == 1 for answer in answers)
        assert small.metric("image_classifier_batch_size_sum") == 200


@pytest.mark.parametrize(
    ("content", "headers", "code"),
    [
        (picture("red"), PNG, "missing_file"),
        (b"--b--\r\n", {"content-type": "multipart/form-data; boundary=b"}, "missing_file"),
        (b"x", {"content-type": "multipart/form-data"}, "malformed_request"),
        (b"x", {"content-type": "multipart/form-data; boundary=b"}, "malformed_request"),
    ],
)
def test_a_batch_without_images_is_refused(server: Server, content: bytes, headers: dict[str, str], code: str) -> None:
    response = httpx.post(server.url + "/predict/batch", content=content, headers=headers)
    assert (response.status_code, response.json()["code"]) == (400, code)


def test_a_service_without_keras_says_how_to_get_explanations(server: Server) -> None:
    response = server.predict(picture("red"), "/explain")
    assert (response.status_code, response.json()["code"]) == (404, "explanations_off")
    assert response.json()["detail"].endswith("start the service with RUNTIME=keras")
    assert server.metric("image_classifier_requests_total", route="/explain", code="404") > 0


def test_with_api_keys_every_post_needs_one_and_no_key_is_logged(colour_store: tuple[Store, str]) -> None:
    with serving(colour_store[0], ".", API_KEYS="first-secret, second-secret", LOG_LEVEL="debug") as locked:
        for path in ("/predict", "/predict/batch", "/explain", "/v2/models/image_classifier/infer"):
            response = httpx.post(locked.url + path, files={"file": picture("red")})
            assert (response.status_code, response.json()["code"]) == (401, "unauthorized")
            assert response.headers["www-authenticate"] == "Bearer"
        for headers in ({"x-api-key": "second-secret"}, {"authorization": "Bearer first-secret"}):
            assert locked.predict(picture("red"), **headers).status_code == 200
            assert batch(locked, picture("red"), **headers).status_code == 200
        assert locked.predict(picture("red"), **{"x-api-key": "first"}).status_code == 401
        for path in ("/livez", "/readyz", "/metrics", "/version", "/", "/openapi.json", "/v2/health/ready"):
            assert locked.get(path).status_code == 200
        assert "secret" not in locked.log.read_text().replace("SecretStr", "")


def test_a_cached_answer_needs_no_call_of_the_model(colour_store: tuple[Store, str]) -> None:
    with serving(colour_store[0], ".", CACHE_SIZE="2") as cached:
        first = cached.predict(picture("red"))
        calls = cached.metric("image_classifier_batch_size_count")
        again = cached.predict(picture("red"), "/predict?top_k=1")
        assert cached.metric("image_classifier_batch_size_count") == calls
        assert again.json()["confidence_score"] == first.json()["confidence_score"]
        assert again.json()["top_k"][0]["class"] == "red"
        assert "cache" in again.headers["server-timing"]
        assert cached.metric("image_classifier_cache_total", result="hit") == 1
        assert cached.metric("image_classifier_cache_total", result="miss") == 1
        for colour in ("green", "blue", "red"):
            assert cached.predict(picture(colour)).json()["predicted_class"] == colour
        assert cached.metric("image_classifier_cache_total", result="hit") == 1
        assert cached.predict(b"junk").status_code == 415


def test_the_version_lists_everything_that_answers_depend_on(server: Server, colour_store: tuple[Store, str]) -> None:
    about = server.get("/version").json()
    assert about["model"] == colour_store[1]
    assert re.fullmatch(r"[0-9a-f]{64}", about["digest"])
    assert (about["runtime"], about["image_size"], about["class_names"]) == ("onnx-int8", 8, CLASSES)
    assert server.metric("image_classifier_model_info", digest=about["digest"]) == 1
    project = Path("pyproject.toml").read_text()
    assert f'version = "{about["versions"]["image-classifier"]}"' in project
    assert {"bentoml", "onnxruntime", "pillow", "numpy", "python"} < set(about["versions"])


def test_an_answer_reports_the_time_of_each_stage(server: Server) -> None:
    timing = server.predict(picture("red")).headers["server-timing"]
    stages = re.findall(r"(\w+);dur=([0-9.]+)", timing)
    assert [name for name, _ in stages] == ["receive", "decode", "queue", "inference"]
    assert all(0 <= float(milliseconds) < 10_000 for _, milliseconds in stages)


def test_every_execution_gives_the_same_answers(colour_store: tuple[Store, str]) -> None:
    answers = []
    for execution in ("inline", "threads"):
        with serving(colour_store[0], ".", EXECUTION=execution) as server:
            images = [picture(colour, format_) for colour in CLASSES for format_ in ("PNG", "JPEG", "TIFF")]
            answers.append([server.predict(image).json() for image in images])
            assert batch(server, *images).json() == answers[-1]
    assert answers[0] == answers[1]


def test_the_service_accepts_the_recommended_settings(colour_store: tuple[Store, str]) -> None:
    command = [sys.executable, "-m", "bento.recommend", "--p99-ms"]
    environment = colour_store[0].environment
    done = subprocess.run([*command, "200"], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert re.search(r", (1 thread|\d+ threads) per call\n", done.stdout)
    variables = dict(line.split("=") for line in done.stdout.splitlines() if re.fullmatch(r"[A-Z_]+=\S+", line))
    assert set(variables) == {"MAX_BATCH_SIZE", "MAX_WAIT_MS", "QUEUE_LIMIT", "DEADLINE_MS", "EXECUTION"}
    with serving(colour_store[0], ".", **variables) as server:  # type: ignore[arg-type]
        assert server.predict(picture("green")).json()["predicted_class"] == "green"
    done = subprocess.run([*command, "0.001"], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: no settings reach 0.001 ms")
    assert len(done.stderr.splitlines()) == 1


def test_every_line_of_the_log_is_a_json_object_from_start_to_end(colour_store: tuple[Store, str]) -> None:
    """Whoever writes the line, our code or a library, in the supervisor or in the server."""
    with serving(colour_store[0], ".") as server:
        assert server.predict(picture("red")).status_code == 200
        server.stop()
        entries = [json.loads(line) for line in server.log.read_text().splitlines()]
    assert {"image_classifier", "bentoml.serve"} <= {entry["logger"] for entry in entries}
    assert any("settings" in entry["message"] for entry in entries)
    assert any(entry["message"].startswith("ready after") for entry in entries)
