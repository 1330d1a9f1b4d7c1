"""An open-loop HTTP/1.1 load generator: it sends requests on a schedule that doesn't wait for answers.

Latency counts from the time when a request was due, so a stalled server can't hide its stall. The generator never
retries or pipelines. It checks each answer, and reports whether it kept up with its own schedule.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Sequence
from typing import Literal

import numpy as np

from benchmarks.openloop.requests import Request, form, get, post
from benchmarks.openloop.result import Latency, Result, Slot, summarise
from benchmarks.openloop.worker import CLOSED, GARBLED, OK, REFUSED, TIMEOUT, UNSENT, WRONG, Outcome, Plan, work

__all__ = ["CLOSED", "GARBLED", "OK", "REFUSED", "TIMEOUT", "UNSENT", "WRONG"]
__all__ += ["Latency", "Outcome", "Request", "Result", "Slot", "form", "get", "post", "run"]


def run(
    port: int,
    requests: Sequence[Request],
    rate: float,
    seconds: float,
    *,
    host: str = "127.0.0.1",
    arrivals: Literal["fixed", "poisson"] = "fixed",
    cores: Sequence[int] = (),
    processes: int = 1,
    max_connections: int = 4000,
    idle_connections: int = 64,
    timeout: float = 10,
    seed: int = 0,
) -> Result:
    """Send `rate` requests per second for `seconds`, cycling through `requests`; block until the last answer.

    Args:
        cores: pin one process to each; if empty, start `processes` unpinned ones.
        max_connections: a request that finds all of these in use is `UNSENT`; a connection carries one request at a
            time.
        idle_connections: connections opened before the start.
        timeout: seconds to wait for answers after the last request was due.
        seed: seed of the Poisson arrivals.
    """
    places: list[int | None] = list(cores) or [None] * processes
    shares = len(places)
    rng = np.random.default_rng(seed)
    context = multiprocessing.get_context("spawn")
    workers = []
    for i, core in enumerate(places):
        if arrivals == "fixed":
            times = np.arange(i, int(rate * seconds), shares) / rate
        else:
            times = np.sort(rng.uniform(0, seconds, rng.poisson(rate * seconds / shares)))
        limits = (max_connections // shares, idle_connections // shares)
        plan = Plan(host, port, tuple(requests), times, *limits, timeout, core)
        ours, theirs = context.Pipe()
        process = context.Process(target=work, args=(plan, theirs), daemon=True)
        process.start()
        theirs.close()
        workers.append((process, ours))
    try:
        for _, pipe in workers:
            pipe.recv()
        start = time.monotonic() + 0.05
        for _, pipe in workers:
            pipe.send(start)
        return summarise([pipe.recv() for _, pipe in workers], seconds)
    finally:
        for process, pipe in workers:
            process.terminate()
            process.join()
            pipe.close()
