"""The load test, run by locust's own command against a real service: figures, verdicts, reports, workers."""

from __future__ import annotations

import csv
import itertools
import json
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.integration.conftest import Server, free_port
from tests.kubeapi.http import QuietHandler, QuietServer
from tests.stored import picture

LOCUST = [sys.executable, "-m", "locust", "-f", "loadtests/locustfile.py"]


def load(url: str, *options: str, seconds: str = "4s", timeout: float = 120) -> subprocess.CompletedProcess[str]:
    """Run a load test without its page; pass empty `seconds` for shapes that end by themselves."""
    command = [*LOCUST, "--headless", "--only-summary", "--host", url, *options]
    command += ["--run-time", seconds] if seconds else []
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=timeout, stdin=subprocess.DEVNULL
    )


def verdict(done: subprocess.CompletedProcess[str]) -> str:
    """Return the logged verdict."""
    lines = [line for line in done.stderr.splitlines() if "service levels: " in line]
    assert len(lines) == 1, done.stderr
    return lines[0].partition("service levels: ")[2]


def seconds_of(report: Path) -> list[dict[str, str]]:
    with (report / "seconds.csv").open() as file:
        return list(csv.DictReader(file))


def test_a_missed_level_fails_the_run_and_shows_its_figure(server: Server, tmp_path: Path) -> None:
    told, report = tmp_path / "verdict", tmp_path / "report"
    slo = "p50=0.01ms,errors=0"
    done = load(
        server.url, "--slo", slo, "--verdict", str(told), "--report", str(report), "-T", "predict", seconds="2s"
    )
    assert done.returncode == 1
    assert re.match(r"missed: p50 \d+ ms > 0.01ms; errors 0 of", verdict(done))
    assert f"missed: {told.read_text()}" == verdict(done)
    suite = ElementTree.parse(report / "junit.xml").getroot()
    assert [case.find("failure") is not None for case in suite] == [True, False]


def test_a_host_with_a_slash_is_loaded_and_one_without_a_scheme_is_refused(server: Server) -> None:
    done = load(f"{server.url}/", "--slo", "errors=0", "-T", "predict", seconds="2s")
    assert done.returncode == 0, done.stderr
    done = load(server.url.removeprefix("http://"), "-T", "predict", seconds="2s")
    assert done.returncode == 2
    assert "give the service's address" in done.stderr
    assert "Traceback" not in done.stderr


class Mixed(QuietHandler):
    """Gives well-formed answers, each time with another class."""

    names = itertools.cycle(["cat", "dog"])

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        body = json.dumps({"predicted_class": next(self.names), "confidence_score": 0.9}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def mixed() -> Iterator[str]:
    server = QuietServer(("127.0.0.1", 0), Mixed)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_mixed_up_answers_are_found(mixed: str, tmp_path: Path) -> None:
    (tmp_path / "one.jpg").write_bytes(picture("red", "JPEG"))
    done = load(mixed, "--images", str(tmp_path), "-T", "predict", "--slo", "errors=0", seconds="2s")
    assert done.returncode == 1
    assert "most frequent error: the same image got another answer before" in verdict(done)


def test_a_service_without_the_open_inference_protocol_fails_every_such_request(mixed: str) -> None:
    done = load(mixed, "-T", "v2", "--slo", "errors=0", seconds="2s")
    assert done.returncode == 1
    assert "most frequent error: /v2/models/image_classifier describes no image model: None" in verdict(done)
    assert "not sent" not in verdict(done)


def test_every_request_fails_if_nothing_listens_on_the_port() -> None:
    done = load(f"http://127.0.0.1:{free_port()}", "--slo", "errors=0", "-T", "predict", seconds="2s")
    assert done.returncode == 1
    assert "most frequent error: no answer: ConnectionRefusedError" in verdict(done)
    assert "Traceback" not in done.stderr


def test_a_shape_ends_the_run_by_itself(server: Server, tmp_path: Path) -> None:
    wave, report = tmp_path / "wave.toml", tmp_path / "report"
    wave.write_text("[wave]\nstages = [{ seconds = 2, from = 0, rate = 1 }, { seconds = 1, rate = 2 }]\n")
    options = ("--shape", str(wave), "--arrivals", "poisson", "--slo", "errors=0", "--report", str(report))
    done = load(server.url, "--rate", "30", *options, seconds="")
    assert done.returncode == 0, done.stderr
    assert len(seconds_of(report)) == 3


def test_ctrl_c_still_gives_the_verdict(server: Server, tmp_path: Path) -> None:
    report = tmp_path / "report"
    options = ("--headless", "--only-summary", "--slo", "errors=0", "--report", str(report))
    process = subprocess.Popen(
        [*LOCUST, "--host", server.url, *options], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    try:
        before = server.metric("image_classifier_predictions_total")
        deadline = time.monotonic() + 30
        while server.metric("image_classifier_predictions_total") < before + 40 and time.monotonic() < deadline:
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0, err
    assert "service levels: kept: errors 0 of" in err
    assert (report / "report.html").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--slo", "p99"], "p99: write p99=200ms, errors=0 or errors=0.1%"),
        (
            ["--shape", "wave"],
            "argument --shape: wave: unknown; choose steady, ramp, spike, soak, find-capacity, or a file NAME.toml",
        ),
        (
            ["--shape", "find-capacity"],
            "--shape find-capacity needs --slo: the levels that each rate must keep",
        ),
        (["--rate", "0"], "0: must be above 0 requests per second"),
        (["--batch", "none"], "none: must be a whole number above 0"),
        (["--images", "/nowhere"], "--images /nowhere: no such folder"),
    ],
)
def test_an_invalid_option_gives_a_one_line_error_before_anything_is_sent(options: list[str], said: str) -> None:
    done = load(f"http://127.0.0.1:{free_port()}", *options, seconds="2s")
    assert done.returncode == 2, done.stderr
    lines = [line for line in done.stderr.splitlines() if said in line]
    assert len(lines) == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert "service levels" not in done.stderr


def test_a_report_that_cannot_be_written_is_an_error(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = load(server.url, "--report", str(tmp_path / "file" / "report"), seconds="1s")
    assert done.returncode == 2
    assert f"can't write {tmp_path / 'file' / 'report'}: Not a directory" in done.stderr
    assert "Traceback" not in done.stderr
