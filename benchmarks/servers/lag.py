"""Measure the longest delay that a server's event loop causes, with a hundred requests to /livez per second.

A late answer alone doesn't show how long the loop was busy, because the model's thread or other work may have had the
core. Linux records for how long a thread was ready to run but waited for a core; that time is subtracted
(Documentation/scheduler/sched-stats.rst).
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.client import HTTPConnection
from multiprocessing.connection import Connection
from pathlib import Path

OWN_THREAD = Path("/proc/thread-self")


@dataclass(frozen=True)
class Lag:
    """The slowest of all answers, and the longest delay caused by the loop itself; both in seconds."""

    answer: float
    loop: float


@contextlib.contextmanager
def probing(port: int, loop: int, core: int) -> Iterator[Callable[[], Lag]]:
    """Probe until the end of the block, and yield a function that then returns the lag.

    Args:
        port: port of the server.
        loop: ID of the thread that runs its event loop.
        core: core to probe from.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_probe, args=(port, loop, core, theirs))
    process.start()
    # While this end is open, `recv` wouldn't notice that the probe failed.
    theirs.close()
    lags: list[Lag] = []
    try:
        yield lambda: lags[0]
    finally:
        ours.send(None)
        lags.append(ours.recv())
        process.join()


def _probe(port: int, loop: int, core: int, parent: Connection) -> None:
    os.sched_setaffinity(0, {core})
    threads = Path("/proc", str(loop), "task", str(loop)), OWN_THREAD
    connection = HTTPConnection("127.0.0.1", port)
    slowest = longest = 0.0
    while not parent.poll(0.01):
        kept_waiting = sum(map(waited, threads))
        started = time.perf_counter()
        connection.request("GET", "/livez")
        connection.getresponse().read()
        took = time.perf_counter() - started
        slowest = max(slowest, took)
        longest = max(longest, took - (sum(map(waited, threads)) - kept_waiting))
    connection.close()
    parent.send(Lag(slowest, longest))


def waited(thread: Path) -> float:
    """Return the seconds so far in which a thread was ready to run but another had the core."""
    return int((thread / "schedstat").read_text().split()[1]) / 1e9
