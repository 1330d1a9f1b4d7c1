"""Connections over raw sockets: early refusals, and the limits of time and size."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator

import psutil
import pytest

from tests.integration.conftest import Server, Store, serving
from tests.slow_model import write_slow_entry
from tests.stored import picture

SECONDS = 1.0


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that takes one image at a time, each for about a second."""
    root = tmp_path_factory.mktemp("protocol")
    store = Store(root / "home")
    store.publish(write_slow_entry(root / "entry", 1000 * SECONDS))
    with serving(
        store, ".", QUEUE_LIMIT="1", MAX_BATCH_SIZE="1", DEADLINE_MS="60000", RECEIVE_TIMEOUT="2", KEEP_ALIVE="3"
    ) as server:
        yield server


@pytest.fixture
def connection(target: Server) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", target.port), timeout=30) as connection:
        yield connection


@pytest.fixture
def full(target: Server) -> Iterator[None]:
    """Keep the only place in the queue taken during a test."""
    statuses: list[int] = []

    def client() -> None:
        statuses.append(target.predict(picture("red")).status_code)

    thread = threading.Thread(target=client)
    thread.start()
    until(lambda: target.metric("image_classifier_queue_depth") == 1)
    yield
    thread.join()
    assert statuses == [200]


def until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def request(*headers: bytes, body: bytes | None = None, target: bytes = b"/predict") -> bytes:
    body = picture("green") if body is None else body
    head = [b"POST " + target + b" HTTP/1.1", b"Host: x", b"Content-Type: image/png", *headers]
    return b"\r\n".join([*head, b"Content-Length: %d" % len(body), b"", body])


def answer(connection: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """Read one answer from a connection that may carry more after it."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(1)
        assert piece, "closed without an answer"
        data += piece
    head = data.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in head[1:] if line)
    body = b""
    while len(body) < int(headers["content-length"]):
        body += connection.recv(int(headers["content-length"]) - len(body))
    return int(head[0].split()[1]), headers, body


@pytest.mark.usefixtures("full")
def test_an_early_refusal_is_a_complete_problem_and_leaves_the_connection_open(
    target: Server, connection: socket.socket
) -> None:
    before = target.metric("image_classifier_shed_total", reason="queue_full")
    version = target.get("/livez").headers["x-model-version"]
    for query in (b"", b"?top_k=2"):
        connection.sendall(request(b"X-Request-ID: mine-1", target=b"/predict" + query))
        status, headers, body = answer(connection)
        assert status == 429
        assert headers["content-type"] == "application/problem+json"
        assert headers["x-request-id"] == "mine-1"
        assert headers["x-model-version"] == version
        assert int(headers["retry-after"]) >= 1
        assert "date" in headers
        problem = json.loads(body)
        assert set(problem) == {"type", "title", "status", "code", "detail"}
        assert (problem["status"], problem["code"]) == (429, "queue_full")
    assert target.metric("image_classifier_shed_total", reason="queue_full") == before + 2
    connection.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answer(connection)[0] == 200
    connection.sendall(request(b"X-Request-ID: bad id with spaces"))
    assert answer(connection)[1]["x-request-id"] != "bad id with spaces"


@pytest.mark.usefixtures("full")
@pytest.mark.parametrize(
    "data",
    [
        request(b"Expect: 100-continue"),
        request(b"Connection: close"),
        request().replace(b"HTTP/1.1", b"HTTP/1.0"),
        request(target=b"/predict/batch"),
        request(target=b"/v2/models/image_classifier/infer"),
    ],
    ids=["expect", "close", "http-1.0", "batch", "infer"],
)
def test_requests_that_cannot_be_refused_early_are_refused_by_the_application(
    connection: socket.socket, data: bytes
) -> None:
    connection.sendall(data)
    status, headers, body = answer(connection)
    assert (status, json.loads(body)["code"]) == (429, "queue_full")
    assert int(headers["retry-after"]) >= 1


@pytest.mark.usefixtures("full")
def test_a_refused_client_of_http_1_0_is_disconnected(connection: socket.socket) -> None:
    connection.sendall(request(b"Connection: keep-alive").replace(b"HTTP/1.1", b"HTTP/1.0"))
    status, headers, _ = answer(connection)
    # Otherwise the client waits for the end, because it can't know that the connection stays open.
    assert (status, headers.get("connection")) == (429, "close")
    assert closed(connection) == b""


def test_a_connection_that_was_refused_is_served_next_time(target: Server, connection: socket.socket) -> None:
    first = threading.Thread(target=target.predict, args=[picture("red")])
    first.start()
    until(lambda: target.metric("image_classifier_queue_depth") == 1)
    connection.sendall(request())
    assert answer(connection)[0] == 429
    while first.is_alive():
        # On a busy machine an image may take longer than KEEP_ALIVE, and an idle connection would be closed.
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        assert answer(connection)[0] == 200
        time.sleep(0.1)
    connection.sendall(request())
    status, _, body = answer(connection)
    assert (status, json.loads(body)["predicted_class"]) == (200, "green")


def test_pipelined_requests_are_answered_in_order(connection: socket.socket) -> None:
    probe = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
    connection.sendall(probe + request() + probe + request(body=b"junk"))
    codes = [answer(connection)[0] for _ in range(4)]
    assert codes == [200, 200, 200, 415]


def test_a_refused_upload_is_not_kept_in_memory_and_the_next_request_is_found(
    target: Server, connection: socket.socket
) -> None:
    first = threading.Thread(target=target.predict, args=[picture("red")])
    first.start()
    until(lambda: target.metric("image_classifier_queue_depth") == 1)
    connection.sendall(request(body=b"x" * 5_000_000))
    assert answer(connection)[0] == 429
    connection.sendall(b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answer(connection)[0] == 200
    first.join()


def closed(connection: socket.socket) -> bytes:
    """Return all bytes until the server closes the connection."""
    data = b""
    while piece := connection.recv(65536):
        data += piece
    return data


def test_an_endless_head_ends_the_connection(connection: socket.socket) -> None:
    connection.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nX-Slow: ")
    data = closed(connection)
    assert data.startswith(b"HTTP/1.1 408 ")
    assert b"request_timeout" in data


def test_a_body_that_stalls_ends_the_connection(target: Server, connection: socket.socket) -> None:
    connection.sendall(request()[:-10])
    data = closed(connection)
    assert data.startswith(b"HTTP/1.1 408 ")
    assert b'"code": "request_timeout"' in data
    assert target.metric("image_classifier_shed_total", reason="request_timeout") >= 1


def test_a_connection_that_sends_nothing_is_closed(connection: socket.socket) -> None:
    assert closed(connection) == b""


def test_an_idle_connection_is_closed_after_the_keep_alive_time(connection: socket.socket) -> None:
    connection.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answer(connection)[0] == 200
    assert closed(connection) == b""


@contextlib.contextmanager
def unread(target: Server) -> Iterator[socket.socket]:
    """A client that asks for far more than the sockets' buffers hold, and reads nothing."""
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", target.port))
        before = served(target)
        connection.sendall(b"GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: x\r\n\r\n" * 40)
        until(lambda: served(target) > before)
        yield connection


def served(target: Server) -> float:
    return target.metric("image_classifier_requests_total", route="/docs/swagger-ui-bundle.js")


def test_a_client_that_reads_nothing_of_its_answer_is_disconnected(target: Server) -> None:
    (worker,) = psutil.Process(target.process.pid).children()
    with unread(target) as connection:
        own = connection.getsockname()[1]
        until(lambda: own not in [other.raddr.port for other in worker.net_connections() if other.raddr])


def test_a_client_that_leaves_between_pipelined_answers_causes_no_error(target: Server) -> None:
    with unread(target) as connection:
        # With this option, closing sends a reset instead of an end.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert target.get("/livez").status_code == 200
    assert "Traceback" not in target.log.read_text()


@pytest.mark.parametrize("piece", [b"X: " + b"a" * 1000 + b"\r\n", b"a" * 1000], ids=["many", "one"])
def test_endless_trailers_end_the_connection(connection: socket.socket, piece: bytes) -> None:
    connection.sendall(
        b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nT: "
    )
    sent = 0
    with contextlib.suppress(ConnectionError):
        while sent < 10_000_000:
            connection.sendall(piece)
            sent += len(piece)
    assert sent < 10_000_000
