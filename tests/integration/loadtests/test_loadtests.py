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

import psutil
import pytest

from tests.integration.conftest import Server, Store, free_port, serving
from tests.kubeapi.http import QuietHandler, QuietServer
from tests.slow_model import write_slow_entry
from tests.stored import CLASSES, picture

pytestmark = pytest.mark.alone

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


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    for colour in CLASSES:
        (folder / colour).mkdir(parents=True)
        (folder / colour / "1.jpg").write_bytes(picture(colour, "JPEG"))
    return folder


def test_every_route_gets_load_and_the_service_counts_the_same_requests(
    server: Server, photos: Path, tmp_path: Path
) -> None:
    before = {code: server.metric("image_classifier_requests_total", method="POST", code=code) for code in ("200", "4")}
    report, slo = tmp_path / "report", "p99=20s,errors=0"
    done = load(server.url, "--rate", "50", "--images", str(photos), "--slo", slo, "--report", str(report))
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"kept: p99 \d+ ms <= 20s; errors 0 of \d+ <= 0", verdict(done))
    sent = sum(int(line["sent"]) for line in seconds_of(report))
    assert server.metric("image_classifier_requests_total", method="POST", code="200") - before["200"] == sent
    assert 100 <= sent <= 200  # a busy machine starts late; without --rate there would be 80 at most
    page = (report / "report.html").read_text()
    assert all(route in page for route in ("/predict<", "/predict/batch<", "/v2/models/image_classifier/infer<"))
    assert ElementTree.parse(report / "junit.xml").getroot().attrib["failures"] == "0"


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


def send(tree: list[psutil.Process], number: signal.Signals) -> None:
    for process in tree:
        process.send_signal(number)


def test_a_stalled_server_makes_every_due_request_late(colour_store: tuple[Store, str], tmp_path: Path) -> None:
    """With four users, a generator that waits for answers would count four slow ones only, and keep its level."""
    with serving(colour_store[0], ".") as server:
        tree = [psutil.Process(server.process.pid), *psutil.Process(server.process.pid).children(recursive=True)]
        stop = threading.Timer(4, send, (tree, signal.SIGSTOP))
        go_on = threading.Timer(6.5, send, (tree, signal.SIGCONT))
        for timer in (stop, go_on):
            timer.start()
        try:
            report = tmp_path / "report"
            options = ("--rate", "40", "-u", "4", "-r", "4", "-T", "predict", "--slo", "p90=500ms,errors=0")
            done = load(server.url, *options, "--report", str(report), seconds="10s")
        finally:
            for timer in (stop, go_on):
                timer.join()
    assert done.returncode == 1, done.stderr
    assert re.match(r"missed: p90 \d{3,4} ms > 500ms; errors 0 of", verdict(done))
    late = [line for line in seconds_of(report) if line["p50_ms"] and float(line["p50_ms"]) > 300]
    assert sum(int(line["sent"]) for line in late) >= 40


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


def test_several_processes_share_the_rate_and_one_gives_the_verdict(server: Server, tmp_path: Path) -> None:
    before = server.metric("image_classifier_requests_total", method="POST", code="200")
    report, port = tmp_path / "report", str(free_port())
    workers = [
        subprocess.Popen(
            [*LOCUST, "--worker", "--master-port", port], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for _ in range(2)
    ]
    try:
        options = ("--master", "--master-bind-host", "127.0.0.1", "--master-bind-port", port, "--expect-workers", "2")
        levels = ("--rate", "40", "--slo", "p99=20s,errors=0", "--report", str(report))
        done = load(server.url, *options, *levels, seconds="5s")
    finally:
        codes = [worker.wait(30) for worker in workers]
    assert done.returncode == 0, done.stderr
    assert "errors 0 of" in verdict(done)
    sent = sum(int(line["sent"]) for line in seconds_of(report))
    assert server.metric("image_classifier_requests_total", method="POST", code="200") - before == sent
    assert 120 <= sent <= 200  # as above; without sharing there would be 400
    assert "of 2 processes" in (report / "report.html").read_text()
    assert codes == [0, 0]


@pytest.fixture(scope="module")
def slow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    root = tmp_path_factory.mktemp("slow")
    store = Store(root / "home")
    store.publish(write_slow_entry(root / "entry", 20))
    with serving(store, ".") as server:
        yield server


def test_the_capacity_is_the_last_rate_before_one_that_misses_a_level(slow_server: Server, tmp_path: Path) -> None:
    stairs, report = tmp_path / "stairs.toml", tmp_path / "report"
    stairs.write_text("[quick]\nsteps = { seconds = 3, pause = 2, growth = 3, most = 6 }\n")
    options = ("--shape", str(stairs), "--rate", "4", "--slo", "p90=1s,errors=0", "-T", "predict")
    done = load(slow_server.url, *options, "--report", str(report), seconds="")
    assert done.returncode == 0, done.stderr
    found = re.match(r"kept: capacity (\d+)/s; at \1/s: .*; at (\d+)/s: ", verdict(done))
    assert found, verdict(done)
    assert int(found[2]) == 3 * int(found[1])
    # An image takes 20 ms, on two cores at best; the next step, 324/s, is three times their capacity.
    assert 4 <= int(found[1]) <= 108
    suite = ElementTree.parse(report / "junit.xml").getroot()
    assert suite.attrib["failures"] == "0"
    assert f"{found[2]}/s: p90" in str(suite.findtext("testcase/system-out"))
    assert f"Capacity {found[1]} requests/s" in (report / "report.html").read_text()


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
