"""`python -m bento.serve`: a built Bento as one process, the way the image runs it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.integration.conftest import Server, Store, end_tree, free_port, wait_until_ready
from tests.stored import picture, write_entry

COMMAND = [sys.executable, "-m", "bento.serve"]


@dataclass(frozen=True)
class Containerized:
    """A Bento with its model inside, as `bentoml containerize` lays it out, and a home that never had either."""

    bento: Path
    home: Path
    model: str

    def environment(self, **variables: str) -> dict[str, str]:
        return Store(self.home).environment | {"PYTHONPATH": "", "BENTOML_HOST": "127.0.0.1"} | variables

    def run(self, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = self.environment(**variables)
        cwd = self.bento / "src"
        return subprocess.run(
            COMMAND, cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=60
        )

    @contextmanager
    def serving(self, wait: bool = True, **variables: str) -> Iterator[Server]:
        port = free_port()
        log = self.home.parent / f"alone-{port}.log"
        with log.open("wb") as out:
            environment = self.environment(BENTOML_PORT=str(port), **variables)
            process = subprocess.Popen(COMMAND, cwd=self.bento / "src", env=environment, stdout=out, stderr=out)
        server = Server(process, port, log)
        try:
            if wait:
                wait_until_ready(server)
            yield server
        finally:
            end_tree(process)


@pytest.fixture(scope="module")
def containerized(tmp_path_factory: pytest.TempPathFactory) -> Containerized:
    root = tmp_path_factory.mktemp("alone")
    store = Store(root / "built")
    model = store.publish(write_entry(root / "entry"))
    done = store.bentoml("build", ".", "-o", "tag")
    assert done.returncode == 0, done.stderr
    tag = done.stdout.strip().splitlines()[-1].removeprefix("__tag__:")
    bento = root / "bento"
    shutil.copytree(store.home / "bentos" / tag.replace(":", "/"), bento)
    shutil.move(store.home / "models", bento / "models")
    shutil.rmtree(store.home)
    return Containerized(bento, root / "home", model)


@pytest.mark.parametrize("signal_", [signal.SIGTERM, signal.SIGINT])
def test_one_process_serves_and_ends_with_success(containerized: Containerized, signal_: signal.Signals) -> None:
    with containerized.serving() as server:
        response = server.predict(picture("green"))
        assert response.json()["predicted_class"] == "green"
        assert response.headers["x-model-version"] == containerized.model
        assert psutil.Process(server.process.pid).children() == []
        metrics = server.get("/metrics").text
        assert server.stop(signal_) == 0
        log = server.log.read_text()
    for phase in ("process", "imports", "server", "model", "warm_up"):
        assert f'image_classifier_start_seconds{{phase="{phase}"}}' in metrics
    assert log.count('"closing"') == (signal_ == signal.SIGTERM)
    assert "Traceback" not in log
    assert all(json.loads(line)["message"] for line in log.splitlines())


def test_a_request_under_way_at_sigterm_is_answered(containerized: Containerized) -> None:
    body = picture("blue")
    head = f"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: {len(body)}\r\n\r\n"
    with containerized.serving() as server:
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.settimeout(30)
            connection.sendall(head.encode() + body[:10])
            # Answered after those bytes were read, on the one event loop.
            assert server.get("/livez").status_code == 200
            server.process.send_signal(signal.SIGTERM)
            while '"closing"' not in server.log.read_text():
                assert server.process.poll() is None
            connection.sendall(body[10:])
            assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
        assert server.process.wait(timeout=30) == 0


def test_a_model_of_the_home_is_found_beside_those_that_the_bento_carries(
    containerized: Containerized, tmp_path: Path
) -> None:
    other = Store(containerized.home).publish(write_entry(tmp_path / "other", int8=False))
    with containerized.serving(MODEL_TAG=other) as server:
        assert server.predict(picture("red")).headers["x-model-version"] == other
    with containerized.serving() as server:
        assert server.predict(picture("red")).headers["x-model-version"] == containerized.model


@pytest.mark.parametrize(
    ("variables", "status", "message"),
    [
        ({"MAX_PIXELS": "abc"}, 1, "error: MAX_PIXELS='abc': Input should be a valid integer"),
        ({"MODEL_TAG": "image_classifier:none"}, 1, "error: no model image_classifier:none in the store"),
        ({"BENTOML_CONFIG": "x.yaml"}, 2, "error: BENTOML_CONFIG has no effect here; unset it"),
        ({"BENTOML_PORT": "many"}, 2, "error: BENTOML_PORT='many': not a port, 1 to 65535"),
        ({"API_KEYS": ""}, 1, "error: API_KEYS='': there is no key in it"),
        ({"BENTOML_HOST": ""}, 2, "error: BENTOML_HOST='': not an IP address"),
        ({"BENTOML_HOST": "here"}, 2, "error: BENTOML_HOST='here': not an IP address"),
        ({"BENTOML_HOST": "203.0.113.1"}, 1, "error: can't listen: Cannot assign requested address"),
    ],
)
def test_a_wrong_setting_is_one_line(
    containerized: Containerized, variables: dict[str, str], status: int, message: str
) -> None:
    done = containerized.run(**variables)
    assert done.returncode == status
    assert done.stderr.startswith(message)
    assert len(done.stderr.splitlines()) == 1, done.stderr


def test_a_port_in_use_is_one_line(containerized: Containerized) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = containerized.run(BENTOML_PORT=str(taken.getsockname()[1]))
    assert done.returncode == 1
    assert done.stderr == "error: can't listen: Address already in use; choose another BENTOML_HOST or BENTOML_PORT\n"


def test_a_management_port_in_use_is_one_line(containerized: Containerized) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = containerized.run(BENTOML_PORT=str(free_port()), MANAGEMENT_PORT=port)
        same = containerized.run(BENTOML_PORT=(own := str(free_port())), MANAGEMENT_PORT=own)
    for ended, wanted in ((done, port), (same, own)):
        assert ended.returncode == 1
        (line,) = [one for one in ended.stderr.splitlines() if "listen" in one]
        assert f"can't listen on MANAGEMENT_PORT={wanted}: Address already in use; choose another port" in line
        assert "Traceback" not in ended.stderr


def test_a_damaged_model_is_a_failure(containerized: Containerized, tmp_path: Path) -> None:
    entry = write_entry(tmp_path / "damaged")
    (entry / "model-int8.onnx").write_bytes(b"no model")
    tag = Store(containerized.home).publish(entry)
    with containerized.serving(wait=False, MODEL_TAG=tag) as server:
        assert server.process.wait(timeout=60) == 1
        log = server.log.read_text()
    assert log.count("the model can't be loaded") == 1
    assert "Traceback" not in log


def test_a_checkout_is_sent_to_bentoml_serve() -> None:
    done = subprocess.run(COMMAND, env=os.environ, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert done.stderr == "error: this is not a built Bento; to serve a checkout, run: bentoml serve\n"
