"""Start the servers to compare, each on one core and in its own environment."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from tests.environments import environment
from tests.integration.conftest import Store, end_tree, free_port, serving

PEERS = Path(__file__).parents[1] / "peers"


@dataclass(frozen=True)
class Running:
    """A server that has answered."""

    port: int
    pid: int

    @property
    def worker(self) -> int:
        """ID of the answering process of `bentoml serve`; its first thread, with the same ID, runs the event loop."""
        (worker,) = psutil.Process(self.pid).children()
        return int(worker.pid)

    def cpu_seconds(self) -> float:
        """Return the CPU seconds that all its processes have used so far."""
        root = psutil.Process(self.pid)
        total = 0.0
        for process in [root, *root.children(recursive=True)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                total += times.user + times.system
        return total


@dataclass(frozen=True)
class Peer:
    """Another server. `lock` is the name of its lock file; its environment's Python runs `command`."""

    name: str
    lock: str
    command: tuple[str, ...]


SEED = Peer("Flask + model.predict", "flask", ("flask_keras.py",))
LITSERVE = Peer("LitServe", "litserve", ("litserve_image.py",))
BENTOML = Peer("BentoML, PIL image", "bentoml", ("-m", "bentoml", "serve", "bentoml_image:Classifier"))
BENTOML_BATCHING = Peer(
    "BentoML, two services, batching", "bentoml", ("-m", "bentoml", "serve", "bentoml_batching:Classifier")
)


@contextlib.contextmanager
def on_core(core: int) -> Iterator[None]:
    """Make processes started inside the block inherit this core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextlib.contextmanager
def ours(store: Store, core: int, **variables: str) -> Iterator[Running]:
    """Run our own service as users do, with every check enabled."""
    with contextlib.ExitStack() as stack:
        with on_core(core):
            server = stack.enter_context(serving(store, ".", cwd=None, wait=True, **variables))
        yield Running(server.port, server.process.pid)


@contextlib.contextmanager
def running(peer: Peer, model: Path, size: int, core: int, body: bytes, folder: Path) -> Iterator[Running]:
    """Run another server, and yield once it has answered `body`, a multipart form."""
    python = environment(PEERS / f"{peer.lock}.txt")
    port = free_port()
    variables = {"MODEL": str(model), "SIZE": str(size), "PORT": str(port), "PYTHONPATH": str(PEERS)}
    variables |= {"BENTOML_HOME": str(folder / "peer-home"), "BENTOML_PORT": str(port)}
    variables |= {"TF_CPP_MIN_LOG_LEVEL": "3"}
    log = folder / f"{peer.lock}-{port}.log"
    with log.open("wb") as out, on_core(core):
        process = subprocess.Popen(
            [python, *peer.command], cwd=PEERS, env=os.environ | variables, stdout=out, stderr=out
        )
    try:
        _wait(process, port, body, log)
        yield Running(port, process.pid)
    finally:
        end_tree(process)


def _wait(process: subprocess.Popen[bytes], port: int, body: bytes, log: Path) -> None:
    deadline = time.monotonic() + 90
    kind = {"content-type": "multipart/form-data; boundary=boundary"}
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(httpx.TransportError):
            answer = httpx.post(f"http://127.0.0.1:{port}/predict", content=body, headers=kind, timeout=60)
            if "predicted_class" in answer.text:
                return
        time.sleep(0.2)
    raise RuntimeError(f"the peer didn't answer:\n{log.read_text()[-2000:]}")
