"""Hostile requests: each gets a client error, with no traceback, no 5xx and no effect on other requests."""

from __future__ import annotations

import random
import socket
import struct
from collections.abc import Iterator

import httpx
import pytest

from tests.integration.conftest import Server, Store, serving
from tests.stored import picture, write_entry

FORM = {"content-type": "multipart/form-data; boundary=b"}
LARGEST = 20 * 2**20


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server for this module alone, whose whole log is checked at the end."""
    root = tmp_path_factory.mktemp("hostile")
    store = Store(root / "home")
    store.publish(write_entry(root / "entry"))
    with serving(store, ".") as server:
        yield server


@pytest.fixture(autouse=True)
def unharmed(target: Server) -> Iterator[None]:
    """Check after each test that the server answers as before, counted no 500 and logged no traceback."""
    yield
    assert target.predict(picture("green")).json()["predicted_class"] == "green"
    assert target.metric("image_classifier_requests_total", code="500") == 0
    assert target.metric("image_classifier_in_flight") == 0
    log = target.log.read_text()
    assert "Traceback" not in log
    assert "ERROR" not in log


def post(server: Server, body: bytes, headers: dict[str, str]) -> httpx.Response:
    return httpx.post(server.url + "/predict", content=body, headers=headers, timeout=60)


def raw(server: Server, request: bytes) -> bytes:
    """Send bytes as they are, and return the status line of the answer."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(request)
        return connection.recv(65536).split(b"\r\n")[0]


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /%FF%00%0d%0a HTTP/1.1\r\nHost: x\r\n\r\n", b"404"),
        (b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", b"404"),
        (b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n", b"400"),
        (b"GET /livez HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 200_000 + b"\r\n\r\n", b"431"),
        (b"GET /livez?" + b"top_k=1&" * 5000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", b"200"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b"400"),
        (b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", b"400"),
        (b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: " + b"9" * 19 + b"\r\n\r\n", b"413"),
        (b"POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"400"),
        (
            b"GET /predict HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
            b"40",  # 403 if a websocket library is installed, 405 if not
        ),
    ],
)
def test_unusual_http_is_a_client_error(target: Server, request_: bytes, status: bytes) -> None:
    assert raw(target, request_).split(b" ")[1].startswith(status)


def test_an_endless_number_is_refused_as_top_k(target: Server) -> None:
    response = target.predict(picture("red"), "/predict?top_k=000001" + "9" * 5000)
    assert response.json()["code"] == "malformed_request"


def test_the_clients_request_id_is_kept_on_errors_too(target: Server) -> None:
    assert target.get("/nothing", headers={"x-request-id": "trace-7"}).headers["x-request-id"] == "trace-7"
    assert target.predict(b"junk", **{"x-request-id": "trace-8"}).headers["x-request-id"] == "trace-8"


@pytest.mark.parametrize(
    "body",
    [
        b"--b\r\n\r\nx\r\n--b" + b" " * (LARGEST - 100),
        b"--b\r\na:b\r\n\r\n\r\n" * (LARGEST // 20) + b"--b--\r\n",
        b"--b\r\n" + b"A: " + b"b" * (LARGEST - 100),
        b"--b\r\n\r\n" + b"\r\n--" * (LARGEST // 5),
    ],
    ids=["padding", "parts", "header", "almost-boundaries"],
)
def test_an_endless_form_is_malformed(target: Server, body: bytes) -> None:
    assert post(target, body, FORM).json()["code"] == "malformed_request"


def test_mutated_images_are_refused_or_classified(target: Server) -> None:
    rng = random.Random(0)
    statuses = set()
    with httpx.Client(base_url=target.url, timeout=60) as client:
        for format_ in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIF"):
            for _ in range(60):
                image = bytearray(picture("red", format_))
                for _ in range(rng.randint(1, 8)):
                    image[rng.randrange(len(image))] = rng.randrange(256)
                del image[rng.choice([len(image), rng.randrange(len(image))]) :]
                response = client.post("/predict", files={"file": bytes(image)})
                statuses.add(response.status_code)
    assert statuses <= {200, 413, 415, 422}
    assert {200, 422} <= statuses


def test_clients_may_leave_while_their_images_are_classified(target: Server) -> None:
    image = picture("red", "BMP", (1500, 1500))
    head = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/bmp\r\nContent-Length: %d\r\n\r\n" % len(image)
    for _ in range(10):
        with socket.create_connection(("127.0.0.1", target.port)) as connection:
            connection.sendall(head + image)
            # With this option, closing sends a reset instead of an end.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@pytest.mark.parametrize("told", [True, False], ids=["content-length", "chunked"])
def test_a_body_far_over_the_limit_gets_an_answer_instead_of_a_reset(target: Server, told: bool) -> None:
    piece = b"x" * 2**20
    body = piece * 64 if told else (piece for _ in range(64))
    response = httpx.post(target.url + "/predict", content=body, headers={"content-type": "image/png"}, timeout=60)
    assert (response.status_code, response.json()["code"]) == (413, "payload_too_large")


def test_the_largest_allowed_body_is_accepted(target: Server) -> None:
    image = picture("blue", "BMP", (2600, 2600))
    assert LARGEST - 2**20 < len(image) < LARGEST
    assert target.predict(image).json()["predicted_class"] == "blue"


@pytest.mark.parametrize("path", ["/livez", "/healthz", "/readyz", "/metrics"])
def test_head_of_a_probe_has_a_content_length_and_no_body(target: Server, path: str) -> None:
    response = httpx.head(target.url + path)
    assert response.status_code == 200
    assert int(response.headers["content-length"]) > 0
    assert response.content == b""


def test_a_hostile_file_name_is_ignored(target: Server) -> None:
    name = "é/../\\%00" * 100
    response = httpx.post(target.url + "/predict", files={"file": (name, picture("red"), "text/html")}, timeout=30)
    assert response.status_code == 200
