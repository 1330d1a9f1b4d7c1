"""Load a URL with locust for a short time and compare the result with the service levels."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from k8s.errors import K8sError, Refused, one_line
from k8s.pods.waiting import Deadline

_TO_START_AND_END = 60
"""Seconds that locust may take to start and to end, besides the load."""

LOCUSTFILE = Path(__file__).parents[2] / "loadtests" / "locustfile.py"

_SLO = re.compile(r"(p\d{1,2}(\.\d+)?=\d+(\.\d+)?(ms|s)|errors=\d+(\.\d+)?%?)")


@dataclass(frozen=True)
class Load:
    """The rate and length of the load, and the service levels to keep."""

    slo: str
    """Service levels as loadtests/slo.py reads them; empty for no load."""
    rate: float
    """Requests per second, of all users together."""
    seconds: float


def check_slo(text: str) -> str:
    """Return `text` if it is a list of service levels; an empty string for `none`.

    Raises:
        K8sError: `text` is neither.
    """
    if text == "none":
        return ""
    for entry in text.split(","):
        if not _SLO.fullmatch(entry):
            raise K8sError(f"--slo {text}: {entry}: write p99=200ms, errors=0 or errors=0.1%, comma-separated, or none")
    return text


def run(url: str, load: Load, deadline: Deadline, images: Path | None = None) -> str:
    """Load a service and return the verdict, one line with figures.

    Raises:
        Refused: a service level isn't kept, or locust doesn't end in time.
        K8sError: locust isn't installed.
    """
    limit = max(min(load.seconds + _TO_START_AND_END, deadline.left), 0)
    with tempfile.TemporaryDirectory() as folder:
        verdict = Path(folder, "verdict")
        command = [sys.executable, "-m", "locust", "--locustfile", str(LOCUSTFILE), "--headless", "--only-summary"]
        # The number of connections is the locustfile's own, so that one is free whenever a request is due.
        command += [
            "--host",
            url,
            "--tags",
            "predict",
            "--run-time",
            f"{load.seconds:g}s",
            "--rate",
            f"{load.rate:g}",
            "--slo",
            load.slo,
        ]
        command += ["--verdict", str(verdict), *(["--images", str(images)] if images else [])]
        # A session of its own, as for helm: this process handles Ctrl-C.
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
        )
        try:
            output, _ = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired as error:
            raise Refused(f"locust didn't end within {limit:.0f} s") from error
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        said = verdict.read_text().strip() if verdict.exists() else ""
    if not said:
        if "No module named locust" in output:
            raise K8sError("locust isn't installed: pip install locust, or pass --slo none")
        last = output.strip().splitlines()[-1:] or ["no output"]
        raise Refused(f"locust ended with exit code {process.returncode}: {one_line(last[0])[:300]}")
    if process.returncode:
        raise Refused(f"service levels: {said}")
    return said
