"""Build the real image once per session, with the script of `make image`, and run it under the limits of a pod."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from containers.coldstart import LIMITS
from tests.integration.conftest import Store, free_port
from tests.stored import write_entry

ENGINE = str(Path("containers/engine").resolve())
NAME = "image-classifier-test"
"""The tests' own image name, so that an image which a person built stays."""


def engine(*arguments: str, check: bool = True, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [ENGINE, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, cwd=cwd)
    assert not check or done.returncode == 0, done.stderr
    return done


@dataclass(frozen=True)
class Image:
    """An image that `containers/image` built, and the report on it."""

    name: str
    model: str
    report: dict[str, Any]
    output: str

    def run(self, *command: str, options: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
        """Run one command in the image, under the limits, and wait for its end."""
        entrypoint = (f"--entrypoint={command[0]}",) if command else ()
        return engine("run", "--rm", *LIMITS, *entrypoint, *options, self.name, *command[1:], check=False)


@dataclass(frozen=True)
class Container:
    """A running server."""

    id: str
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str) -> httpx.Response:
        return httpx.get(self.url + path, timeout=30)

    def predict(self, image: bytes) -> httpx.Response:
        return httpx.post(self.url + "/predict", files={"file": ("x", image)}, timeout=30)

    def log(self) -> str:
        done = engine("logs", self.id)
        return done.stdout + done.stderr

    def runs(self) -> bool:
        return engine("inspect", "--format={{.State.Running}}", self.id).stdout.strip() == "true"

    def wait(self) -> int:
        """Wait for the container's end, and return its exit code."""
        return int(engine("wait", self.id).stdout)

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with contextlib.suppress(httpx.TransportError):
                if self.get("/readyz").status_code == 200:
                    return
            if not self.runs():
                break
            time.sleep(0.05)
        raise AssertionError(f"the server ended, or is not ready after a minute:\n{self.log()}")


@contextlib.contextmanager
def running(image: Image, *options: str, limits: Sequence[str] = LIMITS, **variables: str) -> Iterator[Container]:
    """Run the server, and remove it afterwards; if the test fails, print its log."""
    port = free_port()
    settings = [f"--env={name}={value}" for name, value in variables.items()]
    publish = f"--publish=127.0.0.1:{port}:3000"
    container = Container(
        engine("run", "--detach", *limits, publish, *settings, *options, image.name).stdout.strip(), port
    )
    try:
        container.wait_until_ready()
        yield container
    except BaseException:
        sys.stderr.write(container.log())
        raise
    finally:
        engine("rm", "--force", container.id)


@pytest.fixture(scope="session")
def usable_engine() -> Iterator[None]:
    done = engine("info", check=False)
    if done.returncode != 0:
        pytest.skip(f"no container engine works on this machine: {(done.stderr.splitlines() or ['?'])[-1]}")
    yield
    subprocess.run(["containers/clean-builds"], check=True)


@pytest.fixture(scope="session")
def image(usable_engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    root = tmp_path_factory.mktemp("image")
    store = Store(root / "home")
    model = store.publish(write_entry(root / "entry"))
    environment = store.environment | {"IMAGE_NAME": NAME}
    done = subprocess.run(["containers/image"], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout.splitlines()[-1])
    yield Image(report["names"][1], model, report, done.stdout)
    engine("image", "rm", "--force", *report["names"])


@pytest.fixture(scope="module")
def server(image: Image) -> Iterator[Container]:
    with running(image) as container:
        yield container


@pytest.fixture
def volume(usable_engine: None) -> Iterator[str]:
    name = f"image-classifier-test-{os.getpid()}"
    engine("volume", "create", name)
    yield name
    engine("volume", "rm", "--force", name)
