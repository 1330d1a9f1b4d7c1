"""Measure the throughput of the service under 0.5 to 10 times its capacity.

    python -m benchmarks.overload [--model cnn|slow] [--seconds N] [--connections N] [--json FILE]

The server has one core, an open-loop generator the others. Rejecting costs CPU time, too: with s seconds per answer
and r per reject, one core can answer at most (1 - rate * r) / (s - r) requests per second. The output shows s, r and
the share of that bound. s is measured at the capacity, so the share exceeds 1 where a fuller queue makes calls cheaper.
A row is marked, and shows nothing about the server, if the generator fell behind or the server had to share its core.
As with a proxy, connections are open before a load begins, and more are opened when all are in use. --connections 0
also measures the cost of opening them.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx
import psutil

from benchmarks import openloop
from benchmarks.models import publish_cnn, publish_slow
from tests.integration.conftest import Server, Store, serving

LOADS = (0.5, 1, 2, 5, 10)
SLOW_MILLISECONDS = 20.0
"""Milliseconds per image of the second model, about those of a ResNet-50 at 160 x 160 pixels."""


@dataclass(frozen=True)
class Row:
    """The result of one load. Times are in seconds, rates per second."""

    load: float
    rate: float
    goodput: float
    accepted: openloop.Latency
    rejected: openloop.Latency
    outcomes: dict[str, int]
    kept_up: bool
    lag_p99: float
    cpu_seconds: float
    """CPU time of the worker until the last answer."""
    cpu_share: float
    """Share of its core. Far below 1 under overload, something else used the core, and the row shows little."""
    slowest_probe: float
    """Time of the slowest answer of /livez, /readyz and /metrics."""
    recovery: float
    """Time from the last request until a lone image is answered at once."""
    growth: int
    """Increase of the worker's resident memory, in bytes."""


@dataclass(frozen=True)
class Case:
    """A model under all loads."""

    model: str
    rows: list[Row]
    reject_cost: float
    """CPU seconds per reject, r."""

    @property
    def peak(self) -> float:
        """Most answers per second under any load."""
        return max(row.goodput for row in self.rows)

    @property
    def service_cost(self) -> float:
        """CPU seconds per answer, s, under a load equal to the capacity."""
        row = next(row for row in self.rows if row.load == 1)
        return (row.cpu_seconds - row.rejected.count * self.reject_cost) / row.accepted.count

    def bound(self, row: Row) -> float:
        """Return the most answers per second for which a core has time while it rejects all other requests."""
        free = max(0.0, 1 - row.rate * self.reject_cost)
        return min(row.rate, free / (self.service_cost - self.reject_cost))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser("python -m benchmarks.overload")
    parser.add_argument("--model", choices=["cnn", "slow"], action="append", help="model to measure (both)")
    parser.add_argument("--seconds", type=float, default=10, metavar="N", help="duration of each load (10)")
    parser.add_argument(
        "--connections", type=int, default=2000, metavar="N", help="connections open before a load (2000)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    core, *others = sorted(os.sched_getaffinity(0))
    # The generator and the probes must not take CPU time from the server.
    os.sched_setaffinity(0, others or [core])
    cases = []
    for model in options.model or ["cnn", "slow"]:
        with tempfile.TemporaryDirectory() as folder:
            cases.append(measure(model, Path(folder), core, options.seconds, options.connections))
        print(table(cases[-1]), flush=True)  # noqa: T201
    if options.json:
        options.json.write_text(json.dumps([_as_json(case) for case in cases], indent=2))


def measure(model: str, folder: Path, core: int, seconds: float, connections: int) -> Case:
    """Measure one model, served on `core`, under all loads, and the cost of a reject."""
    generators = sorted(os.sched_getaffinity(0))[-2:]
    store = Store(folder / "home")
    requests = publish_cnn(store, folder / "cnn") if model == "cnn" else publish_slow(store, folder, SLOW_MILLISECONDS)
    with serving_on(core, store) as server:
        # A few connections are always busy. A request that finds none free isn't sent.
        sated = openloop.run(server.port, requests, 5000, 4, cores=generators, max_connections=32, idle_connections=32)
        rates = {load: load * sated.goodput for load in LOADS}
        rows = [_row(server, requests, load, rate, seconds, connections, generators) for load, rate in rates.items()]
    return Case(model, rows, _reject_cost(folder, core, requests, 5 * sated.goodput, generators))


@contextlib.contextmanager
def serving_on(core: int, store: Store, **variables: str) -> Iterator[Server]:
    """Run a server on one core. Its threads and its idea of its CPU limit inherit the core."""
    with contextlib.ExitStack() as stack:
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {core})
        try:
            server = stack.enter_context(serving(store, ".", cwd=None, wait=True, **variables))
        finally:
            os.sched_setaffinity(0, before)
        yield server


def _row(
    server: Server,
    requests: list[openloop.Request],
    load: float,
    rate: float,
    seconds: float,
    connections: int,
    generators: list[int],
) -> Row:
    (process,) = psutil.Process(server.process.pid).children()
    memory, cpu = process.memory_info().rss, _cpu_seconds(process)
    with _probing(server) as slowest:
        result = openloop.run(server.port, requests, rate, seconds, cores=generators, idle_connections=connections)
        cpu = _cpu_seconds(process) - cpu
        answered = time.monotonic()
        while not _answers_at_once(server, requests[0]):
            time.sleep(0.05)
        recovery = result.timeline[-1].start - seconds + time.monotonic() - answered
    return Row(
        load=load,
        rate=rate,
        goodput=result.goodput,
        accepted=result.accepted,
        rejected=result.rejected,
        outcomes={f"{status} {code}".strip(): count for (status, code), count in result.outcomes.items()},
        kept_up=result.kept_up,
        lag_p99=result.lag_p99,
        cpu_seconds=cpu,
        cpu_share=cpu / (result.timeline[-1].start + 0.1),
        slowest_probe=slowest[0],
        recovery=max(0.0, recovery),
        growth=process.memory_info().rss - memory,
    )


def _cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


@contextlib.contextmanager
def _probing(server: Server) -> Iterator[list[float]]:
    """Request the probes and metrics during the block, and yield a list with the seconds of the slowest answer."""
    slowest = [0.0]
    ended = threading.Event()

    def probe() -> None:
        while not ended.wait(0.1):
            for path in ("/livez", "/readyz", "/metrics"):
                started = time.monotonic()
                httpx.get(server.url + path, timeout=30).raise_for_status()
                slowest[0] = max(slowest[0], time.monotonic() - started)

    with ThreadPoolExecutor(1) as pool:
        task = pool.submit(probe)
        try:
            yield slowest
        finally:
            ended.set()
        task.result()


def _answers_at_once(server: Server, request: openloop.Request) -> bool:
    body = request.data.partition(b"\r\n\r\n")[2]
    started = time.monotonic()
    kind = {"content-type": "multipart/form-data; boundary=b"}
    status = httpx.post(server.url + "/predict", content=body, headers=kind, timeout=30).status_code
    return status == 200 and time.monotonic() - started < 0.2


def _reject_cost(
    folder: Path, core: int, requests: list[openloop.Request], rate: float, generators: list[int]
) -> float:
    """Return the event loop's CPU seconds per reject, measured while one slow image fills the queue."""
    store = Store(folder / "rejecting")
    publish_slow(store, folder / "rejecting-entry", 1500)
    limits = {"QUEUE_LIMIT": "1", "MAX_BATCH_SIZE": "1", "DEADLINE_MS": "60000"}
    with serving_on(core, store, **limits) as server:
        (process,) = psutil.Process(server.process.pid).children()
        statistics = Path(f"/proc/{process.pid}/task/{process.pid}/schedstat")
        before = int(statistics.read_text().split()[0])
        result = openloop.run(server.port, requests, rate, 4, cores=generators)
        return (int(statistics.read_text().split()[0]) - before) / 1e9 / result.rejected.count


def table(case: Case) -> str:
    """Return the case as text."""
    peak, service, reject = case.peak, case.service_cost, case.reject_cost
    lines = [
        f"{case.model}: peak {peak:,.0f}/s, s = {1e3 * service:.3f} ms per answer, "
        f"r = {1e3 * reject:.4f} ms per reject",
        "  load    rate  goodput   of peak   bound  of bound  accepted p50    p99  rejected p50   p99"
        "  slowest probe    recovery  memory  core",
    ]
    for row in case.rows:
        bound = case.bound(row)
        share = f"{row.goodput / bound:9.2f}" if bound else "        -"
        latencies = [1e3 * x for x in (row.accepted.p50, row.accepted.p99, row.rejected.p50, row.rejected.p99)]
        lines.append(
            f"{row.load:5g}x {row.rate:8,.0f} {row.goodput:8,.0f} {row.goodput / peak:9.2f} {bound:7,.0f} {share} "
            "{:10.1f} ms {:6.0f} {:9.1f} ms {:6.0f}".format(*latencies)
            + f" {1e3 * row.slowest_probe:11.0f} ms {row.recovery:9.1f} s"
            + f" {row.growth / 2**20:+4.0f} MiB {row.cpu_share:5.2f}"
            + ("" if row.kept_up else f"  THE GENERATOR FELL BEHIND (lag {1e3 * row.lag_p99:.0f} ms)")
            + ("  SOMETHING ELSE USED THE CORE" if row.load > 1 and row.cpu_share < 0.9 else "")
        )
        others = {k: n for k, n in row.outcomes.items() if k not in ("200", "429 queue_full")}
        if others:
            lines.append(f"         also {others}")
    return "\n".join(lines)


def _as_json(case: Case) -> dict[str, object]:
    rows = [asdict(row) | {"bound": case.bound(row)} for row in case.rows]
    return {
        "model": case.model,
        "peak": case.peak,
        "service_cost": case.service_cost,
        "reject_cost": case.reject_cost,
        "rows": rows,
    }


if __name__ == "__main__":
    main()
