"""Start an image as a cluster would, and measure each phase until the service is ready."""

from __future__ import annotations

import http.client
import re
import subprocess
import time

# The options that docs/image.md shows.
LIMITS = (
    "--read-only",
    "--tmpfs=/tmp",
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
    "--memory=512m",
    "--cpus=1",
    "--pids-limit=64",
)

_PATIENCE = 60


def cold_start(engine: str, name: str) -> dict[str, float]:
    """Return seconds by phase. `container` is the time before the service's own clock starts, `total` the sum.

    Raises:
        RuntimeError: the container ended, or wasn't ready within a minute; the message has its log.
    """
    began = time.monotonic()
    run = [engine, "run", "--detach", *LIMITS, "--publish=127.0.0.1::3000", name]
    container = subprocess.run(run, check=True, capture_output=True, text=True).stdout.strip()
    try:
        published = _output(engine, "port", container, "3000").stdout.split() or [":0"]  # empty if it has ended
        port = int(published[0].rpartition(":")[2])
        look = began + _PATIENCE / 10
        while _get(port, "/readyz") is None:
            if time.monotonic() > look:
                _look_after(engine, name, container, began)
                look += 1
            time.sleep(0.01)
        total = time.monotonic() - began
        metrics = _get(port, "/metrics") or ""
    finally:
        _output(engine, "rm", "--force", container)
    inside = re.findall(r'^image_classifier_start_seconds\{phase="(\w+)"\} (\S+)', metrics, re.MULTILINE)
    phases = {phase: float(seconds) for phase, seconds in inside}
    return {"container": total - sum(phases.values()), **phases, "total": total}


def _look_after(engine: str, name: str, container: str, began: float) -> None:
    alive = _output(engine, "inspect", "--format={{.State.Running}}", container).stdout.strip() == "true"
    if not alive or time.monotonic() > began + _PATIENCE:
        log = _output(engine, "logs", container).stderr.strip()
        raise RuntimeError(f"{name} {'is not ready yet' if alive else 'ended'}; its log: {log[-2000:]}")


def _output(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, check=False, capture_output=True, text=True)


def _get(port: int, path: str) -> str | None:
    """Return the body of a 200, or None."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read().decode()
        return body if response.status == 200 else None
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
