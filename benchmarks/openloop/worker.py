"""One process of the load generator: sends its share of the requests when they are due, and records the answers."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection as Pipe
from typing import cast

import numpy as np

from benchmarks.openloop.requests import Request

Outcome = tuple[int, str]
"""Status and problem code; status 0 for no answer at all."""

OK: Outcome = (200, "")
WRONG: Outcome = (200, "wrong answer")
UNSENT: Outcome = (0, "unsent")
TIMEOUT: Outcome = (0, "timeout")
CLOSED: Outcome = (0, "connection closed")
REFUSED: Outcome = (0, "connection refused")
GARBLED: Outcome = (0, "no HTTP")


@dataclass(frozen=True)
class Plan:
    """The share of one process in a run; `times` are seconds from the start."""

    host: str
    port: int
    requests: tuple[Request, ...]
    times: np.ndarray
    max_connections: int
    idle_connections: int
    timeout: float
    core: int | None


@dataclass(frozen=True)
class Report:
    """The outcome of each request of a plan, in order. Times are seconds from the start, far below 0 for never."""

    intended: np.ndarray
    sent: np.ndarray
    done: np.ndarray
    outcomes: list[Outcome]
    connections: int
    without_retry_after: int


def work(plan: Plan, pipe: Pipe) -> None:
    """Report through `pipe` that the connections are open, receive the start time, send the requests, and report."""
    import uvloop

    if plan.core is not None:
        os.sched_setaffinity(0, {plan.core})
    # A garbage collection would delay the requests due during it.
    gc.disable()
    pipe.send(uvloop.run(_Load(plan).run(pipe)))


class _Load:
    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        count = len(plan.times)
        self.sent, self.done = [0.0] * count, [0.0] * count
        self.outcomes = [TIMEOUT] * count
        self.free: list[_Connection] = []
        self.open = 0
        self.opened = 0
        self.without_retry_after = 0
        self._left = count
        self._next = 0
        self._opening: set[asyncio.Task[None]] = set()

    async def run(self, pipe: Pipe) -> Report:
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        await asyncio.gather(*(self._connect(-1) for _ in range(self.plan.idle_connections)))
        pipe.send("ready")
        start = pipe.recv()
        self._times: list[float] = (self.plan.times + start).tolist()
        if self._times:
            self._tick()
            left = max(self._times[-1] - time.monotonic(), 0) + self.plan.timeout
            # A request without an answer by then stays a TIMEOUT.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), left)
        sent, done = np.array(self.sent) - start, np.array(self.done) - start
        return Report(self.plan.times, sent, done, self.outcomes, self.opened, self.without_retry_after)

    def _tick(self) -> None:
        times = self._times
        now = time.monotonic()
        while self._next < len(times) and times[self._next] <= now:
            self._dispatch(self._next)
            self._next += 1
        if self._next < len(times):
            self._loop.call_later(times[self._next] - now, self._tick)

    def _dispatch(self, index: int) -> None:
        while self.free:
            connection = self.free.pop()
            if connection.alive:
                connection.carry(index)
                return
        if self.open >= self.plan.max_connections:
            self.finish(index, UNSENT)
            return
        # The request counts as sent now, because opening the connection is the server's time.
        self.sent[index] = time.monotonic()
        task = self._loop.create_task(self._connect(index))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _connect(self, index: int) -> None:
        self.open += 1
        try:
            await self._loop.create_connection(lambda: _Connection(self, index), self.plan.host, self.plan.port)
            self.opened += 1
        except OSError:
            self.open -= 1
            if index >= 0:
                self.finish(index, REFUSED)

    def finish(self, index: int, outcome: Outcome) -> None:
        self.done[index] = time.monotonic()
        self.outcomes[index] = outcome
        self._left -= 1
        if self._left == 0:
            self._ended.set()


class _Connection(asyncio.Protocol):
    """One keep-alive connection with at most one request on it; `index` is -1 for none."""

    def __init__(self, load: _Load, index: int) -> None:
        self.alive = True
        self._load = load
        self._index = index
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if self._index >= 0:
            self.carry(self._index)
        else:
            self._load.free.append(self)

    def carry(self, index: int) -> None:
        self._index = index
        requests = self._load.plan.requests
        self._request = requests[index % len(requests)]
        if not self._load.sent[index]:
            self._load.sent[index] = time.monotonic()
        self._transport.write(self._request.data)

    def data_received(self, data: bytes) -> None:
        self._received = data = self._received + data if self._received else data
        end = data.find(b"\r\n\r\n")
        if end < 0:
            return
        head = data[:end].lower()
        at = head.find(b"\r\ncontent-length: ")
        if at < 0 or self._index < 0:
            self._end(GARBLED)
            self._transport.abort()
            return
        length = int(head[at + 18 :].split(b"\r\n", 1)[0])
        if len(data) < end + 4 + length:
            return
        self._received = b""
        status = int(head[9:12])
        if status in (429, 503) and b"\r\nretry-after: " not in head:
            self._load.without_retry_after += 1
        self._end(_outcome(status, data[end + 4 :], self._request.predicted_class))
        if b"\r\nconnection: close" in head:
            self.alive = False
            self._transport.close()
        else:
            self._load.free.append(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.alive = False
        self._load.open -= 1
        self._end(CLOSED)

    def _end(self, outcome: Outcome) -> None:
        if self._index >= 0:
            index, self._index = self._index, -1
            self._load.finish(index, outcome)


def _outcome(status: int, body: bytes, predicted_class: str | None) -> Outcome:
    if status == 200 and predicted_class is None:
        return OK
    try:
        answer = json.loads(body)
    except ValueError:
        return (status, "no JSON")
    if status != 200:
        return (status, str(answer.get("code")))
    return OK if answer.get("predicted_class") == predicted_class else WRONG
