"""Ask for /livez a hundred times a second from a core of its own: how long is a server's event loop ever busy?

A late answer tells that of a loop only with what Linux keeps of its thread: how long it could have run and wasn't let,
because the model's thread or other work had the core (Documentation/scheduler/sched-stats.rst).
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
    """The slowest of all answers, in seconds, and the longest for which the loop itself held one up."""

    answer: float
    loop: float


@contextlib.contextmanager
def probing(port: int, loop: int, core: int) -> Iterator[Callable[[], Lag]]:
    """Probe until the end of the block; gives what then tells the lag.

    Args:
        port: the server's.
        loop: id of the thread in which its event loop runs.
        core: where to probe from.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_probe, args=(port, loop, core, theirs))
    process.start()
    # Else it would never be told that the probe failed.
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
    """Return the seconds for which a thread could have run and another had the core, so far."""
    return int((thread / "schedstat").read_text().split()[1]) / 1e9
