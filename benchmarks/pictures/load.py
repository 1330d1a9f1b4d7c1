"""A served model under load, watched by a real Prometheus."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx

from benchmarks.pictures.board import NAME, NAMESPACE, RELEASE
from tests.integration.bento.telemetry.test_prometheus import scraping
from tests.integration.conftest import Server, Store, serving

SHAPE = """
[day]
stages = [{{ seconds = {ramp}, from = 0.4, rate = 1 }}, {{ seconds = {ramp}, rate = 1 }},
          {{ seconds = {spike}, rate = 4 }}, {{ seconds = {ramp}, from = 1, rate = 0.5 }}]
"""
_RATE = 80


@contextlib.contextmanager
def watched(store: Store, folder: Path, images: Path, seconds: float) -> Iterator[str]:
    """Serve the newest model under a load that rises, peaks and falls; yield Prometheus' address afterwards."""
    labels = {
        "namespace": NAMESPACE,
        "app_kubernetes_io_instance": RELEASE,
        "app_kubernetes_io_name": NAME,
        "app_kubernetes_io_component": "server",
        "pod": f"{RELEASE}-{NAME}",
    }
    # A short queue makes the service shed requests at the peak.
    serve = serving(store, ".", QUEUE_LIMIT="8", EXECUTION="threads")
    with serve as server, scraping(server, folder, [], **labels) as prometheus:
        ended = threading.Event()
        broken = threading.Thread(target=_send_broken, args=(server, ended))
        broken.start()
        try:
            _send(server, folder, images, seconds)
        finally:
            ended.set()
            broken.join()
        yield prometheus


def _send(server: Server, folder: Path, images: Path, seconds: float) -> None:
    """Run the project's own load test; requests that are shed make its exit code 1."""
    shape = folder / "day.toml"
    shape.write_text(SHAPE.format(ramp=0.3 * seconds, spike=0.1 * seconds))
    command = [sys.executable, "-m", "locust", "-f", "loadtests/locustfile.py", "--headless", "--only-summary"]
    command += ["--host", server.url, "--shape", str(shape), "--rate", str(_RATE), "--images", str(images)]
    command += ["--arrivals", "poisson"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stderr


def _send_broken(server: Server, ended: threading.Event) -> None:
    """Send what no service can classify, twice a second: a cut PNG, and every third time a text."""
    with httpx.Client(base_url=server.url, timeout=30) as client:
        turn = 0
        while not ended.wait(0.5):
            content = (b"\x89PNG\r\n\x1a\n" + bytes(20), b"no image")[turn % 3 == 0]
            with contextlib.suppress(httpx.TransportError):
                client.post("/predict", files={"file": ("x", content)})
            turn += 1
