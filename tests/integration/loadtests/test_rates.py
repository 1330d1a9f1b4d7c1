"""The load test's rates against a real service: what is due is sent, is late if the service is, and finds its limit."""

from __future__ import annotations

import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import psutil
import pytest

from tests.integration.conftest import Server, Store, free_port, serving
from tests.integration.loadtests.test_loadtests import LOCUST, load, seconds_of, verdict
from tests.slow_model import write_slow_entry
from tests.stored import CLASSES, picture

pytestmark = pytest.mark.alone


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


def send(tree: list[psutil.Process], number: signal.Signals) -> None:
    for process in tree:
        process.send_signal(number)


def test_a_stalled_server_makes_every_due_request_late(server: Server, tmp_path: Path) -> None:
    """With four users, a generator that waits for answers would count four slow ones only, and keep its level."""
    tree = [psutil.Process(server.process.pid), *psutil.Process(server.process.pid).children(recursive=True)]
    stop = threading.Timer(4, send, (tree, signal.SIGSTOP))
    go_on = threading.Timer(6.5, send, (tree, signal.SIGCONT))
    for timer in (stop, go_on):
        timer.start()
    try:
        report = tmp_path / "report"
        options = ("--rate", "40", "-u", "4", "-r", "4", "-T", "predict", "--slo", "p90=500ms,errors=0")
        done = load(server.url, *options, "--report", str(report), seconds="8s")
    finally:
        for timer in (stop, go_on):
            timer.join()
    assert done.returncode == 1, done.stderr
    assert re.match(r"missed: p90 \d{3,4} ms > 500ms; errors 0 of", verdict(done))
    late = [line for line in seconds_of(report) if line["p50_ms"] and float(line["p50_ms"]) > 300]
    assert sum(int(line["sent"]) for line in late) >= 40


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
    stairs.write_text("[quick]\nsteps = { seconds = 2, pause = 1, growth = 3, most = 5 }\n")
    options = ("--shape", str(stairs), "--rate", "12", "--slo", "p90=1s,errors=0", "-T", "predict")
    done = load(slow_server.url, *options, "--report", str(report), seconds="")
    assert done.returncode == 0, done.stderr
    found = re.match(r"kept: capacity (\d+)/s; at \1/s: .*; at (\d+)/s: ", verdict(done))
    assert found, verdict(done)
    assert int(found[2]) == 3 * int(found[1])
    # An image takes 20 ms, on two cores at best; the next step, 324/s, is three times their capacity.
    assert 12 <= int(found[1]) <= 108
    suite = ElementTree.parse(report / "junit.xml").getroot()
    assert suite.attrib["failures"] == "0"
    assert f"{found[2]}/s: p90" in str(suite.findtext("testcase/system-out"))
    assert f"Capacity {found[1]} requests/s" in (report / "report.html").read_text()
