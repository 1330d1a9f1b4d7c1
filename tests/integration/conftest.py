"""Run a real `bentoml serve` on a free port, with a model store of the tests' own."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from selenium import webdriver

from model_format.metadata import Metadata
from tests.once import once
from tests.stored import METADATA, write_entry

BENTOML = str(Path(sys.executable).parent / "bentoml")

# Made once, because httpx would load the machine's certificates for each request, which takes 20 ms of CPU.
TLS = ssl.create_default_context()


@dataclass(frozen=True)
class Store:
    """A BENTOML_HOME for one test or module."""

    home: Path

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | {"BENTOML_HOME": str(self.home), "BENTOML_DO_NOT_TRACK": "True"}

    def publish(self, files: Path, about: Metadata = METADATA) -> str:
        """Store `files` as training does, in a process that uses this store, and return the tag."""
        script = (
            "import json, sys; from pathlib import Path; from training.export.publish import publish; "
            "print(publish('image_classifier', Path(sys.argv[1]), {}, json.loads(sys.argv[2])))"
        )
        command = [sys.executable, "-c", script, str(files), json.dumps(about.to_metadata())]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()[-1]

    def bentoml(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        command = [BENTOML, *arguments]
        environment = self.environment | variables
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)


@dataclass(frozen=True)
class Server:
    """A running server; `log` grows while it runs."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str, **options: Any) -> httpx.Response:
        return httpx.get(self.url + path, timeout=30, verify=TLS, **options)

    def predict(self, image: bytes, path: str = "/predict", **headers: str) -> httpx.Response:
        return httpx.post(self.url + path, files={"file": ("x", image)}, headers=headers, timeout=30, verify=TLS)

    def metric(self, name: str, **labels: str) -> float:
        wanted = [f'{key}="{value}"' for key, value in labels.items()]
        lines = [line for line in self.get("/metrics").text.splitlines() if line.startswith(name)]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if all(label in line for label in wanted))

    def stop(self, signal_: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(signal_)
        return self.process.wait(timeout=60)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def serving(store: Store, *what: str, cwd: Path | None = None, wait: bool = True, **variables: str) -> Iterator[Server]:
    """Run `bentoml serve`, and afterwards end every process it started; if the test fails, print its log."""
    port = free_port()
    log = store.home / f"server-{port}.log"
    command = [BENTOML, "serve", *what, "--host", "127.0.0.1", "--port", str(port)]
    with log.open("wb") as out:
        process = subprocess.Popen(command, env=store.environment | variables, cwd=cwd, stdout=out, stderr=out)
    server = Server(process, port, log)
    try:
        if wait:
            wait_until_ready(server)
        yield server
    except BaseException:
        sys.stderr.write(log.read_text())
        raise
    finally:
        end_tree(process)


def end_tree(process: subprocess.Popen[bytes]) -> None:
    """End `process` and every process that it started."""
    with contextlib.suppress(psutil.NoSuchProcess):
        parent = psutil.Process(process.pid)
        tree = [*parent.children(recursive=True), parent]
        process.terminate()
        _, alive = psutil.wait_procs(tree, timeout=20)
        for left in alive:
            left.kill()
    process.wait()


def wait_until_ready(server: Server, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert server.process.poll() is None, server.log.read_text()
        with contextlib.suppress(httpx.TransportError):
            if server.get("/readyz").status_code == 200:
                return
        time.sleep(0.05)
    raise AssertionError(f"not ready after {seconds} s:\n{server.log.read_text()}")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "home")


@pytest.fixture(scope="session")
def colour_store(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, str]:
    """Return a store with one model, and the model's tag."""

    def publish(root: Path) -> None:
        (root / "tag").write_text(Store(root / "home").publish(write_entry(root / "entry")))

    root = once(tmp_path_factory, "serving", publish)
    return Store(root / "home"), (root / "tag").read_text()


@pytest.fixture(scope="session")
def server(colour_store: tuple[Store, str]) -> Iterator[Server]:
    with serving(colour_store[0], ".") as server:
        yield server


@pytest.fixture(scope="session")
def browser() -> Iterator[webdriver.Chrome]:
    """Yield headless Chromium with its own driver."""
    chromium, own = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or own is None:
        pytest.skip("needs Debian's chromium and chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(own))
    yield driver
    driver.quit()
