"""The image serves with a read-only file system, without capabilities or a named user, in 512 MB and on one CPU."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from containers.coldstart import LIMITS
from tests.containers.conftest import Container, Image, engine, running
from tests.stored import CLASSES, picture


@pytest.mark.core
@pytest.mark.parametrize("colour", CLASSES)
def test_an_image_is_classified(server: Container, image: Image, colour: str) -> None:
    response = server.predict(picture(colour, "JPEG"))
    assert response.status_code == 200
    assert response.json()["predicted_class"] == colour
    assert response.headers["x-model-version"] == image.model


@pytest.mark.parametrize(
    ("body", "status"), [(picture("red")[:-30], 422), (b"no image", 415), (b"", 415)], ids=["cut", "text", "empty"]
)
def test_a_bad_image_is_answered_with_a_client_error(server: Container, body: bytes, status: int) -> None:
    response = server.predict(body)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.core
def test_the_server_runs_as_a_fixed_user_without_capabilities(server: Container) -> None:
    status = engine("exec", server.id, "cat", "/proc/1/status").stdout
    about = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert about["Uid"].split() == about["Gid"].split() == ["1034"] * 4
    assert {int(about[name], 16) for name in ("CapEff", "CapPrm", "CapBnd")} == {0}
    assert about["NoNewPrivs"] == "1"


def test_a_single_process_serves(server: Container) -> None:
    processes = engine("exec", server.id, "sh", "-c", "cat /proc/[0-9]*/comm").stdout.split()
    assert sorted(processes) == ["python", "sh"]  # the shell expands the pattern before it starts cat


def test_settings_come_from_the_environment(image: Image) -> None:
    with running(image, MAX_BODY_BYTES="300", LOG_FORMAT="text", MAX_BATCH_SIZE="7", API_KEYS="secret") as container:
        assert container.predict(picture("red")).status_code == 401
        big = httpx.post(container.url + "/predict", content=bytes(301), headers={"x-api-key": "secret"})
        assert big.status_code == 413
        log = container.log()
    assert "'max_batch_size': 7" in log
    assert "INFO settings:" in log
    assert "secret" not in log


@pytest.mark.parametrize(
    ("variable", "message"),
    [
        ("MAX_PIXELS=abc", "error: MAX_PIXELS='abc': Input should be a valid integer"),
        ("MODEL_TAG=image_classifier:none", "error: no model image_classifier:none in the store"),
        ("BENTOML_PORT=0", "error: BENTOML_PORT='0': not a port"),
        ("BENTOML_HOST=here", "error: BENTOML_HOST='here': not an IP address"),
    ],
)
def test_a_wrong_setting_ends_the_container_with_one_line(image: Image, variable: str, message: str) -> None:
    done = image.run(options=("--env", variable))
    assert done.returncode not in (0, 125, 126, 127)
    assert done.stderr.startswith(message)
    assert len(done.stderr.splitlines()) == 1, done.stderr


def test_a_missing_tmpfs_ends_the_container_with_one_line(image: Image) -> None:
    limits = [limit for limit in LIMITS if not limit.startswith("--tmpfs")]
    if engine("--name").stdout.strip() == "podman":
        limits.append("--read-only-tmpfs=false")
    done = engine("run", "--rm", *limits, image.name, check=False)
    assert done.returncode == 1
    assert done.stderr == "error: there is no temporary folder to write to; mount a tmpfs at /tmp\n"


@pytest.fixture
def slow_request(image: Image) -> Iterator[tuple[Container, socket.socket, bytes]]:
    """Yield a server, a connection on which half of a request has arrived, and the other half."""
    body = picture("green")
    head = f"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: {len(body)}\r\n\r\n"
    with running(image) as container, socket.create_connection(("127.0.0.1", container.port)) as connection:
        connection.settimeout(30)
        connection.sendall(head.encode() + body[:20])
        # The only event loop answers this after it has read those bytes.
        assert container.get("/livez").status_code == 200
        yield container, connection, body[20:]


@pytest.mark.core
def test_sigterm_drains_and_the_container_exits_with_0(slow_request: tuple[Container, socket.socket, bytes]) -> None:
    container, connection, rest = slow_request
    engine("kill", "--signal=TERM", container.id)
    deadline = time.monotonic() + 30
    while "closing" not in container.log():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    # The HTTP server checks ten times a second whether to close its listener.
    while listens(container):
        assert time.monotonic() < deadline
    connection.sendall(rest)
    answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b'"predicted_class": "green"' in answer or b'"predicted_class":"green"' in answer
    assert container.wait() == 0
    assert "Traceback" not in container.log()


def listens(container: Container) -> bool:
    try:
        container.get("/livez")
    except httpx.TransportError:
        return False
    return True


def test_sigterm_before_the_server_is_ready_ends_it_too(image: Image) -> None:
    id_ = engine("run", "--detach", *LIMITS, image.name).stdout.strip()
    try:
        engine("kill", "--signal=TERM", id_)
        assert int(engine("wait", id_).stdout) in (0, 143)
    finally:
        engine("rm", "--force", id_)


def test_many_large_images_at_once_stay_within_the_memory_limit(image: Image) -> None:
    large = picture("red", "PNG", (7000, 7000))
    with running(image) as container:
        with ThreadPoolExecutor(16) as clients:
            statuses = [response.status_code for response in clients.map(container.predict, [large] * 16)]
        assert set(statuses) <= {200, 429, 503}
        assert 200 in statuses
        assert container.predict(picture("red")).status_code == 200


def test_a_container_that_runs_out_of_memory_exits_with_137(image: Image, tmp_path: Path) -> None:
    limits = [limit for limit in LIMITS if not limit.startswith("--memory")]
    # podman's monitor leaves a file named oom in its working directory.
    done = engine("run", "--rm", *limits, "--memory=48m", "--memory-swap=48m", image.name, check=False, cwd=tmp_path)
    assert done.returncode == 137
