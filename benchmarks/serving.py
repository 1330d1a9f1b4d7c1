"""Compare our service with the model alone and with other servers of the same model, each on one core.

    python -m benchmarks.serving [--quick] [--json FILE]

The server has one core, wrk another. The ceiling is decoding and inference in a loop without any server. It is
measured before and after each contender, because other work on the machine changes the speed of a core.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.servers import contenders
from benchmarks.servers.contenders import BENTOML, BENTOML_BATCHING, LITSERVE, SEED, Running, on_core, ours, running
from benchmarks.servers.lag import Lag, probing
from benchmarks.servers.models import Models, publish_models
from benchmarks.servers.verdict import verdict

LUA = Path(__file__).with_name("wrk.lua")
CLIENTS = (1, 16, 64)


@dataclass(frozen=True)
class Row:
    """One contender under one load. Times are in seconds; the ceiling was measured around it, with the same image."""

    contender: str
    model: str
    image: str
    clients: int
    rate: float
    ceiling: float
    p50: float
    p95: float
    p99: float
    max: float
    cpu: float
    """CPU seconds of the server per request."""
    errors: int
    lag: Lag | None = None
    """Lag of /livez under the same load, if it was measured."""


class Bench:
    """Measures the contenders one after the other.

    Args:
        models: the models to serve, and the images.
        seconds: duration of each load.
    """

    def __init__(self, models: Models, seconds: float) -> None:
        self.models = models
        self.rows: list[Row] = []
        self._seconds = seconds
        self._core, self._load_core, *rest = sorted(os.sched_getaffinity(0))
        self._probe_core = rest[0] if rest else self._load_core

    def ceiling(self, model: str, image: str, *plain: str) -> float:
        """Return the images per second without a server; `plain` is passed on to `benchmarks.servers.ceiling`."""
        entry = self.models.entries[model]
        command = [sys.executable, "-m", "benchmarks.servers.ceiling", str(entry.onnx), str(entry.size)]
        with on_core(self._core):
            done = subprocess.run(
                [*command, str(self.models.images[image]), str(self._seconds / 2), *plain],
                check=True, capture_output=True, text=True,
            )  # fmt: skip
        return float(json.loads(done.stdout)["rate"])

    def contender(
        self,
        name: str,
        model: str,
        start: AbstractContextManager[Running],
        *,
        images: tuple[str, ...] = ("small",),
        clients: tuple[int, ...] = CLIENTS,
        probe: bool = False,
    ) -> None:
        """Measure a server with each image under each number of clients."""
        loads = []
        before = {image: self.ceiling(model, image) for image in images}
        with start as server:
            for image in images:
                self._wrk(server, image, min(16, max(clients)), 2)
                for count in clients:
                    measured, cpu = self._load(server, image, count)
                    # The probes have a load of their own, because they take some hundredths of a core.
                    loads.append((image, count, measured, cpu, self._lag(server, image, count) if probe else None))
        for image, count, measured, cpu, lag in loads:
            ceiling = (before[image] + self.ceiling(model, image)) / 2
            rate = measured["requests"] / measured["seconds"]
            times = {key: measured[key] for key in ("p50", "p95", "p99", "max")}
            errors = int(measured["errors"])
            row = Row(name, model, image, count, rate, ceiling, cpu=cpu, errors=errors, lag=lag, **times)
            self.rows.append(row)
            print(line(row), flush=True)  # noqa: T201

    def _load(self, server: Running, image: str, count: int) -> tuple[dict[str, float], float]:
        before = server.cpu_seconds()
        measured = self._wrk(server, image, count, self._seconds)
        answered = measured["requests"] + measured["errors"]
        return measured, (server.cpu_seconds() - before) / max(1, answered)

    def _lag(self, server: Running, image: str, count: int) -> Lag:
        with probing(server.port, server.worker, self._probe_core) as lag:
            self._wrk(server, image, count, self._seconds)
        return lag()

    def _wrk(self, server: Running, image: str, count: int, seconds: float) -> dict[str, float]:
        command = ["wrk", "-t1", f"-c{count}", f"-d{max(1, round(seconds))}s", "--timeout", "20s", "-s", str(LUA)]
        with on_core(self._load_core):
            done = subprocess.run(
                [*command, f"http://127.0.0.1:{server.port}/predict"],
                env=os.environ | {"BODY": str(self.models.bodies[image])},
                check=True, capture_output=True, text=True,
            )  # fmt: skip
        result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
        return result


HEAD = (
    "contender                         model     image clients  requests/s  of ceiling     p50 ms    p95 ms    p99 ms"
    "    max ms  CPU ms/req  errors  livez ms   loop ms"
)


def line(row: Row) -> str:
    """Return a row of the table."""
    times = "".join(f"{1e3 * t:10.2f}" for t in (row.p50, row.p95, row.p99, row.max))
    lag = f"{1e3 * row.lag.answer:10.2f}{1e3 * row.lag.loop:10.2f}" if row.lag else ""
    return (
        f"{row.contender:33} {row.model:9} {row.image:5} {row.clients:7}  {row.rate:10.1f}  "
        f"{row.rate / row.ceiling:10.2f} {times}  {1e3 * row.cpu:10.2f}  {row.errors:6}{lag}"
    )


def measure(bench: Bench, core: int, folder: Path) -> None:
    """Measure all contenders."""
    models = bench.models
    both = ("small", "photo")

    def serve(model: str, **variables: str) -> AbstractContextManager[Running]:
        # The other servers have no deadline, and answer 64 clients however late.
        return ours(models.entries[model].store, core, DEADLINE_MS="60000", **variables)

    def peer(which: contenders.Peer, model: str) -> AbstractContextManager[Running]:
        entry = models.entries[model]
        return running(which, entry.onnx, entry.size, core, models.bodies["small"].read_bytes(), folder)

    bench.contender("ours, fp32", "cnn", serve("cnn", RUNTIME="onnx"), images=both)
    bench.contender("ours, int8", "cnn", serve("cnn", RUNTIME="onnx-int8"))
    for other in (LITSERVE, BENTOML, BENTOML_BATCHING):
        bench.contender(other.name, "cnn", peer(other, "cnn"), images=both)
    bench.contender(SEED.name, "cnn", peer(SEED, "cnn"))
    bench.contender("ours, fp32", "resnet50", serve("resnet50"), probe=True)
    bench.contender(LITSERVE.name, "resnet50", peer(LITSERVE, "resnet50"), clients=(16,))
    bench.contender(BENTOML.name, "resnet50", peer(BENTOML, "resnet50"), clients=(16,))
    for size in ("32", "1"):
        bench.contender(
            f"ours, MAX_BATCH_SIZE={size}", "10ms/call", serve("10ms/call", MAX_BATCH_SIZE=size), clients=(1, 64)
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser("python -m benchmarks.serving", description="compare servers, each on one core")
    parser.add_argument("--quick", action="store_true", help="one second per load, to check that the benchmark runs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows to this file")
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("error: wrk is missing; install it: apt-get install wrk")
    if len(os.sched_getaffinity(0)) < 2:
        sys.exit("error: two CPUs are needed, one for the server and one for wrk")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bench = Bench(publish_models(folder), 1 if options.quick else 5)
        print(HEAD)  # noqa: T201
        measure(bench, min(os.sched_getaffinity(0)), folder)
        plain = bench.ceiling("cnn", "photo", "plain")
    figures = verdict(bench.rows, plain)
    print("\n" + "\n".join(str(figure) for figure in figures))  # noqa: T201
    if options.json:
        content = {"rows": [asdict(row) for row in bench.rows], "figures": [asdict(figure) for figure in figures]}
        options.json.write_text(json.dumps(content, indent=2))


if __name__ == "__main__":
    main()
