"""Ask for /livez a hundred times a second from a core of its own: how long is a server's event loop ever busy?"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from multiprocessing.connection import Connection


@contextlib.contextmanager
def probing(port: int | None, core: int) -> Iterator[Callable[[], float]]:
    """Probe until the end of the block; gives what then tells the slowest answer in seconds, 0 without a port."""
    if port is None:
        yield lambda: 0.0
        return
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_probe, args=(port, core, theirs))
    process.start()
    slowest: list[float] = []
    try:
        yield lambda: slowest[0]
    finally:
        ours.send(None)
        slowest.append(ours.recv())
        process.join()


def _probe(port: int, core: int, parent: Connection) -> None:
    os.sched_setaffinity(0, {core})
    connection = HTTPConnection("127.0.0.1", port)
    slowest = 0.0
    while not parent.poll(0.01):
        started = time.perf_counter()
        connection.request("GET", "/livez")
        connection.getresponse().read()
        slowest = max(slowest, time.perf_counter() - started)
    connection.close()
    parent.send(slowest)
