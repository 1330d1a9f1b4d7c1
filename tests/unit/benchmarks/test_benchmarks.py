"""The arithmetic of the benchmarks' verdicts, on figures with known results."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import time

import pytest

from benchmarks import openloop, overload
from benchmarks.servers.lag import OWN_THREAD, Lag, probing, waited
from benchmarks.servers.verdict import Figure, verdict
from benchmarks.serving import Row

NONE = openloop.Latency(0, 0, 0, 0, 0)


def row(
    contender: str, clients: int, rate: float, *, model: str = "cnn", image: str = "small", p50: float = 0.01
) -> Row:
    return Row(
        contender, model, image, clients, rate, ceiling=1000, p50=p50, p95=2 * p50, p99=3 * p50, max=0.02,
        cpu=1 / rate, errors=0, lag=Lag(answer=0.009, loop=0.004),
    )  # fmt: skip


def rows() -> list[Row]:
    return [
        row("ours, fp32", 1, 700, p50=0.0014),
        row("ours, fp32", 16, 800),
        row("ours, fp32", 16, 30, image="photo"),
        row("ours, fp32", 16, 980, model="resnet50"),
        row("ours, int8", 16, 1600),
        row("LitServe", 16, 200),
        row("BentoML, PIL image", 16, 160),
        row("BentoML, two services, batching", 16, 100),
        row("Flask + model.predict", 16, 8),
        *(row("ours, MAX_BATCH_SIZE=32", n, 900, model="10ms/call", p50=0.010) for n in (1, 64)),
        *(row("ours, MAX_BATCH_SIZE=1", n, 90, model="10ms/call", p50=0.010) for n in (1, 64)),
    ]


def test_every_figure_is_computed_from_its_rows() -> None:
    found = {figure.name: round(figure.measured, 6) for figure in verdict(rows(), plain_photos=5)}
    assert found == {
        "ours fp32 / ceiling, 16 clients": 0.8,
        "ours fp32 / LitServe, 16 clients": 4,
        "ours fp32 / BentoML with a PIL image, 16 clients": 5,
        "ours fp32 / BentoML's batching, 16 clients": 8,
        "ours fp32 / Flask + model.predict, 16 clients": 100,
        "CPU outside decoding and model, LitServe / ours, 16 clients": 16,
        "CPU outside decoding and model, BentoML with a PIL image / ours, 16 clients": 21,
        "ours int8 / ours fp32, 16 clients": 2,
        "p50 of one client above the ceiling's cost, ms": 0.4,
        "p99 / p50, 16 clients": 3,
        "slowest answer to one client, ms (garbage collection included)": 20,
        "photos of 12 megapixels, ours / full-size decode without a server": 6,
        "ResNet-50, ours / ceiling, 16 clients": 0.98,
        "ResNet-50, longest delay of /livez by the event loop, 16 clients, ms": 4,
        "10 ms per call, batches up to 32 / single, 64 clients": 10,
        "10 ms per call, p99 of batches / of single, 64 clients": 1,
        "10 ms per call, p50 of batches / of single, one client": 1,
    }
    assert all(figure.holds for figure in verdict(rows(), plain_photos=5))


def test_a_peer_measured_on_a_slower_machine_is_compared_by_the_ceiling_of_that_time() -> None:
    slowed = [dataclasses.replace(r, rate=r.rate / 2, ceiling=500) if r.contender == "LitServe" else r for r in rows()]
    figures = {figure.name: figure.measured for figure in verdict(slowed, plain_photos=5)}
    assert figures["ours fp32 / LitServe, 16 clients"] == pytest.approx(4)


def test_a_figure_shows_whether_it_keeps_its_bound() -> None:
    assert str(Figure("x", 2, 3)).startswith("NO")
    assert str(Figure("x", 3, 3)).startswith("yes")
    assert str(Figure("x", 3.1, 3, at_least=False)).startswith("NO")


SLEEPER = """
import http.server, time
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        time.sleep(0.2)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *_): pass
server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
"""
BUSY = "import time; ends = time.monotonic() + 60\nwhile time.monotonic() < ends: pass"


def test_the_time_that_a_server_itself_takes_counts_as_lag() -> None:
    with subprocess.Popen([sys.executable, "-c", SLEEPER], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            with probing(int(server.stdout.readline()), server.pid, min(os.sched_getaffinity(0))) as lag:
                time.sleep(2)
        finally:
            server.kill()
    assert lag().answer >= lag().loop > 0.1


def test_the_time_that_another_process_had_the_core_is_recorded_as_waiting() -> None:
    cores = os.sched_getaffinity(0)
    with subprocess.Popen([sys.executable, "-c", BUSY]) as other:
        try:
            os.sched_setaffinity(other.pid, {min(cores)})
            os.sched_setaffinity(0, {min(cores)})
            before, started = waited(OWN_THREAD), time.monotonic()
            while waited(OWN_THREAD) - before < 0.05:
                assert time.monotonic() < started + 30
        finally:
            os.sched_setaffinity(0, cores)
            other.kill()


def load(rate: float, goodput: float, *, load: float, rejected: int, cpu: float) -> overload.Row:
    return overload.Row(
        load=load, rate=rate, goodput=goodput,
        accepted=dataclasses.replace(NONE, count=round(10 * goodput)),
        rejected=dataclasses.replace(NONE, count=rejected),
        outcomes={}, kept_up=True, lag_p99=0, cpu_seconds=cpu, cpu_share=1, slowest_probe=0, recovery=0, growth=0,
    )  # fmt: skip


def test_the_bound_is_the_capacity_that_rejecting_leaves() -> None:
    # 10 s of one core at the capacity: 9,000 answers of 1 ms, and 10,000 rejects of 0.1 ms.
    at_capacity = load(1900, 900, load=1, rejected=10_000, cpu=10)
    above = load(5000, 500, load=5, rejected=45_000, cpu=10)
    case = overload.Case("cnn", [at_capacity, above], reject_cost=0.0001)
    assert case.peak == 900
    assert case.service_cost == pytest.approx(0.001)
    # (1 - rate r) / (s - r): each request costs r, and each answer s - r more.
    assert case.bound(above) == pytest.approx((1 - 5000 * 0.0001) / 0.0009)
    # The bound is never above the rate, and it is 0 once rejecting alone takes the whole core.
    assert case.bound(load(100, 100, load=0.5, rejected=0, cpu=1)) == 100
    assert case.bound(load(20_000, 0, load=10, rejected=200_000, cpu=10)) == 0
